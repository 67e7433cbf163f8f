"""What pytest's items say of a property: the network function that it is about, and what it is called with."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from pytest_vigor.errors import VigorError
from pytest_vigor.network_function import NetworkFunction


def network_function(item: pytest.Function) -> NetworkFunction:
    """That which the mark ``nf`` names; its binary is built if need be. VigorError if there is none."""
    mark = item.get_closest_marker("nf")
    if mark is None or not mark.args:
        raise VigorError(
            f"{item.nodeid} does not say which network function it is about", 'mark it: @pytest.mark.nf("bridge")'
        )
    name, header = str(mark.args[0]), mark.kwargs.get("header", mark.args[1] if len(mark.args) > 1 else None)
    bases = [item.path.parent, *item.path.parent.parents]
    if name.endswith(".so"):
        binary = _find(name, bases, f"{item.nodeid} is about {name}")
        path = _find(str(header), bases, f"the header of {name}") if header else binary.with_suffix(".h")
        return NetworkFunction(binary.stem, binary, path)
    from pytest_vigor import build

    for base in bases:
        for folder in (base / "nfs" / name, base / name):
            if (folder / f"{folder.name}.c").is_file() and (folder / f"{folder.name}.h").is_file():
                return NetworkFunction(folder.name, build.binary_of(folder), folder / f"{folder.name}.h")
    raise VigorError(
        f"{item.nodeid} is about the network function {name!r}, which is not there",
        f"put it into nfs/{name}/{name}.c and {name}.h, or mark the path of a shared object",
    )


def _find(name: str, bases: list[Path], what: str) -> Path:
    for base in bases:
        if (base / name).is_file():
            return base / name
    raise VigorError(f"{what}: there is no file {name}", "build it, or correct the path in the mark")


def arguments_of(item: pytest.Function) -> dict[str, Any]:
    """What a property that is set up is called with, besides its step."""
    return {name: item.funcargs[name] for name in _wanted(item)}


def arguments_ahead(item: pytest.Function) -> dict[str, Any] | None:
    """The same before it is set up; None where that takes fixtures."""
    named: set[str] = set()
    for mark in item.iter_markers("parametrize"):
        if mark.kwargs.get("indirect") or len(mark.args) > 2:
            return None
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        named |= {name.strip() for name in names.split(",")} if isinstance(names, str) else set(names)
    wanted = _wanted(item)
    if item.cls is not None or not set(wanted) <= named or not set(item.fixturenames) <= {"step", "request"} | named:
        return None
    return {name: item.callspec.params[name] for name in wanted}


def _wanted(item: pytest.Function) -> list[str]:
    return [name for name in inspect.signature(item.obj).parameters if name != "step"]
