"""`pytest-vigor include`."""

from __future__ import annotations

import argparse
import shlex
from typing import Any


def register(commands: Any) -> None:
    """Adds the command."""
    command = commands.add_parser("include", help="print the compiler flags that find libVig's headers")
    command.set_defaults(run=include)


def include(_: argparse.Namespace) -> int:
    """Prints the flags with which a compiler finds libVig's headers."""
    from pytest_vigor.build import include_flags

    print(shlex.join(include_flags()))
    return 0
