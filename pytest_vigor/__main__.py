"""`python -m pytest_vigor`: what is needed around the tests."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_vigor.errors import VigorError


def include(_: argparse.Namespace) -> None:
    """Prints the flags with which a compiler finds libVig's headers."""
    from pytest_vigor.build import include_flags

    print(shlex.join(include_flags()))


def build(arguments: argparse.Namespace) -> None:
    """Builds the NF in each folder and prints where it is."""
    from pytest_vigor.build import binary_of, build_libvig

    if arguments.libvig:
        print(build_libvig())
    for folder in arguments.folders:
        print(binary_of(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_vigor", description="Around proving network functions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("include", help="print the compiler flags that find libVig's headers")
    command.set_defaults(run=include)
    command = commands.add_parser("build", help="build NFs, each NAME/NAME.c to NAME/NAME.so, where not up to date")
    command.add_argument("--libvig", action="store_true", help="build libVig as a shared object, too")
    command.add_argument("folders", nargs="*", type=Path, metavar="NF_DIR")
    command.set_defaults(run=build)
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except VigorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
