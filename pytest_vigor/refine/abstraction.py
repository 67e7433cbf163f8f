"""What a structure's memory means: one module beside its contract, ``libvig/<structure>/abstraction.py``.

Such a module defines, each as a function of the heap, of the structure's place in it and of the parameters of its
allocation:

- ``unknown``: the bytes whose content is not fixed by the allocation; all others never change;
- ``invariant``: by name, what holds of the contents between calls;
- ``state``: the abstract state that the contents mean.

``element(heap, place, index)`` says where a record is lent. ``by_value(heap, place)`` may name ranges of addresses in
which an index that was read from memory does not split the path, and the members that it was read from: it chooses
among all elements there. ``Unbounded`` may say all this of structures of any capacity (see unbounded.py); where it does
so only, the others are left out.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_vigor.term import Bool


@dataclass(frozen=True, slots=True)
class Abstraction:
    """The abstraction of one structure; ``struct`` is the tag of its C struct."""

    struct: str
    unknown: Callable[..., Iterable[Any]]
    invariant: Callable[..., Iterable[tuple[str, Bool]]]
    state: Callable[..., Any]
    by_value: Callable[..., tuple[tuple[int, int, tuple[str, ...]], ...]]
    element: Callable[..., Any] | None
    unbounded: Callable[..., Any] | None


def beside(file: str, name: str) -> ModuleType:
    """The module at a path relative to another, which need not be in a package."""
    path = (Path(file).parent / name).resolve()
    known = f"vigor_abstraction_{abs(hash(path))}"
    if known in sys.modules:
        return sys.modules[known]
    spec = importlib.util.spec_from_file_location(known, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    spec.loader.exec_module(module)
    return module


def _unsaid(*_: Any) -> Any:
    raise TypeError("what this structure's memory means is only said of any capacity")


def abstractions(root: Path) -> dict[str, Abstraction]:
    """The abstractions of a library, by structure."""
    found = {}
    for path in sorted(root.glob("*/abstraction.py")):
        module = beside(str(path), path.name)
        name = path.parent.name
        found[name] = Abstraction(
            name, getattr(module, "unknown", _unsaid), getattr(module, "invariant", _unsaid),
            getattr(module, "state", _unsaid),
            getattr(module, "by_value", lambda *_: ()), getattr(module, "element", None),
            getattr(module, "Unbounded", None),
        )  # fmt: skip
    return found
