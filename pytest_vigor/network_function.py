"""What a property is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NetworkFunction:
    """A shared object and the header that describes it."""

    name: str
    binary: Path
    header: Path
