"""`pytest-vigor new`: a network function to start from, and its first properties."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from string import Template
from typing import Any

from pytest_vigor.errors import VigorError

_TEMPLATES = Path(__file__).parent / "template"
#: What is written, by the template that it is made from.
FILES = {
    "nf.h": "nfs/$name/$name.h",
    "nf.c": "nfs/$name/$name.c",
    "README.md": "nfs/$name/README.md",
    "properties.txt": "properties/test_$name.py",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def register(commands: Any) -> None:
    """Adds the command."""
    command = commands.add_parser("new", help="write a network function to start from, with properties that hold")
    command.add_argument("name", metavar="NAME", help="of the network function: lower-case letters, digits and _")
    command.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="the project (default: this folder)")
    command.set_defaults(run=new)


def new(arguments: argparse.Namespace) -> int:
    """Writes the files, none over another, and says what to do with them."""
    name, folder = arguments.name, arguments.into
    if not _NAME.fullmatch(name):
        raise VigorError(
            f"{name!r} is no name for a network function", "use lower-case letters, digits and _, as in rate_limiter"
        )
    names = {"name": name, "NAME": name.upper()}
    files = {folder / Template(path).substitute(names): source for source, path in FILES.items()}
    there = [str(path) for path in files if path.exists()]
    if there:
        raise VigorError(f"{there[0]} is there already", "choose another name, or move it away")
    for path, source in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template((_TEMPLATES / source).read_text()).substitute(names))
        print(path)
    print(f"\nProve its properties:  pytest --vigor {folder / 'properties' / f'test_{name}.py'}")
    return 0
