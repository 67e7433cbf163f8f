"""What was found out, kept in pytest's cache under a digest of everything that it depends on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FORMAT = 1
_SOURCES = Path(__file__).parent
_TOOLS = ("z3-solver", "pyvex", "archinfo")


@cache
def tool_digest() -> str:
    """A digest of this tool's own text and of the versions of what it relies on."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*.py")):
        digest.update(path.read_bytes())
    for name in _TOOLS:
        try:
            digest.update(f"{name} {version(name)}".encode())
        except PackageNotFoundError:
            digest.update(name.encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of files, each written whole or not at all; of more than ``most`` the oldest go."""

    folder: Path
    most: int = 64

    def key(self, *digests: str) -> str:
        """The name under which something that depends on these is kept."""
        return hashlib.sha256("\n".join((str(FORMAT), tool_digest(), *digests)).encode()).hexdigest()[:40]

    def get(self, key: str) -> Mapping[str, Any] | None:
        """What was kept; None if nothing was, or if it cannot be read any more."""
        path = self.folder / f"{key}.json"
        try:
            kept = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(kept, dict) or kept.get("key") != key:
            return None
        return kept

    def put(self, key: str, content: Mapping[str, Any]) -> None:
        """Keeps something. A process that dies on the way leaves what was there before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"key": key, **content}, file, separators=(",", ":"))
            os.replace(name, self.folder / f"{key}.json")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._prune()

    def _prune(self) -> None:
        files = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[self.most :]:
            path.unlink(missing_ok=True)

    def lock(self, key: str) -> Any:
        """A lock between processes, so that two do not explore the same binary at once."""
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{key}.lock")
