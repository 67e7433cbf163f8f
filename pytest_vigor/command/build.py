"""`pytest-vigor build`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Adds the command."""
    command = commands.add_parser("build", help="build NFs, each NAME/NAME.c to NAME/NAME.so, where not up to date")
    command.add_argument("--libvig", action="store_true", help="build libVig as a shared object, too")
    command.add_argument("folders", nargs="*", type=Path, metavar="NF_DIR")
    command.set_defaults(run=build)


def build(arguments: argparse.Namespace) -> int:
    """Builds the NF in each folder and prints where it is."""
    from pytest_vigor.build import binary_of, build_libvig

    if arguments.libvig:
        print(build_libvig())
    for folder in arguments.folders:
        print(binary_of(folder))
    return 0
