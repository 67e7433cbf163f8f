"""Imports go down the floors only, so that each part can be read without those above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pytest_vigor"

# From top to bottom: floor, then modules. A module may import those on lines below its own. Within a package folder
# imports are free. A new module needs a place here.
FLOORS = """
7  __main__ plugin
7  readings
7  proofs
7  items
7  command
7  report
6  launch
6  check trial failures
6  free_fields
6  store render evidence
5  minimise
5  concrete
5  shrinking
5  reach
5  judge capture
4  obligations
4  subject
4  refine
4  fuzz
4  invariant replay
4  explore plain
4  native
3  symbols
3  property
3  instance
3  contract
2  ghost
2  witness
2  smt behaviour counterexample equalities
1  integers residues translation
1  known
1  comparisons
1  build binary headers lines record structs
0  identity surroundings
0  named
0  network_function assumption compiler frame hooks number packet trace verdict
0  addresses ahead notation unanswered
0  dependence
0  layout term
0  arithmetic
0  room
1  work
0  errors footprint interrupt watch
"""

LINES = [line.split() for line in FLOORS.strip().splitlines()]
HEIGHTS = {module: -number for number, (_, *modules) in enumerate(LINES) for module in modules}

# What lifts and explores binaries. The part that says "proved" must not depend on the part that explores.
LIFTERS = {"angr", "archinfo", "cle", "claripy", "pyvex"}
FREE_OF_EXPLORING = ("judge", "property", "smt", "store")


def part(path: Path) -> str:
    """The module or package folder directly under pytest_vigor that the file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if part(path) not in ("__init__", "_libvig")]
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]


def imported(path: Path) -> Iterator[str]:
    """Everything that a file imports, wherever in it, by full name."""
    package = ["pytest_vigor", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            # `from pytest_vigor import term` imports a module, `from pytest_vigor.term import Term` a name.
            yield from (f"{module}.{alias.name}" if module == "pytest_vigor" else module for alias in node.names)


def parts(path: Path) -> set[str]:
    """The parts of pytest_vigor that a file imports."""
    names = (name.split(".") for name in imported(path))
    return {name[1] for name in names if name[0] == "pytest_vigor" and len(name) > 1 and name[1] != "__version__"}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_module_imports_only_what_lies_below(path: Path) -> None:
    own = part(path)
    assert own in HEIGHTS, f"{own} has no floor: give it one in FLOORS"
    for other in parts(path) - {own}:
        assert other in HEIGHTS, f"{own} imports {other}, which has no floor"
        assert HEIGHTS[other] < HEIGHTS[own], f"{own} imports {other}, which does not lie below it"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_only_explore_lifts(path: Path) -> None:
    lifters = {name.split(".")[0] for name in imported(path)} & LIFTERS
    assert not lifters or part(path) == "explore", f"only explore may import {', '.join(sorted(lifters))}"


@pytest.mark.parametrize("start", FREE_OF_EXPLORING)
def test_what_says_proved_does_not_reach_what_explores(start: str) -> None:
    reached, waiting = {start}, [start]
    while waiting:
        current = waiting.pop()
        for path in FILES:
            if part(path) == current:
                waiting += (found := parts(path) - reached)
                reached |= found
    assert "explore" not in reached


def test_no_module_is_on_two_floors() -> None:
    listed = [module for _, *modules in LINES for module in modules]
    assert len(listed) == len(set(listed))
