"""`pytest-vigor`: what is needed around the tests. Each module here is one command, and a line in COMMANDS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_vigor.command import build, include, new, run
from pytest_vigor.errors import VigorError

#: Each adds its own parser, and leaves the function that runs it as `run`; that one returns the exit status.
COMMANDS = (new, include, build, run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pytest-vigor", description="Around proving network functions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.register(commands)
    parsed = parser.parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except VigorError as error:
        print(error, file=sys.stderr)
        return 1
    return status
