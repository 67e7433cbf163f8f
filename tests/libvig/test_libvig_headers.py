"""Contracts and C headers declare the same functions, with the same parameters and results."""

import functools
from pathlib import Path
from typing import Any

import pytest
from pycparser import CParser, c_ast

from pytest_vigor import contract as c
from pytest_vigor.build import contract_files, libvig_root
from pytest_vigor.compiler import find_compiler
from pytest_vigor.headers.declarations import Layouts, gather
from pytest_vigor.headers.preprocess import preprocess
from pytest_vigor.layout import Integer
from tests.libvig.compiled import contracts
from tests.libvig.structures import STRUCTURES

FOLDERS = ("flow_table", "index_pool", "lpm", "map", "net", "vector")

# What NFs do not call: whoever inspects or tests a structure does.
INSPECTION = {f"{name}_{what}" for name in ("lpm", "map") for what in ("slots", "slot")}
INSPECTION |= {f"{structure.name}_is_valid" for structure in STRUCTURES}

# Its argument is memory, for which contracts have no kind yet; exploring an NF that calls it ends in Unknown.
UNDESCRIBED = {"net_checksum"}


@functools.cache
def declared(folder: str) -> tuple[dict[str, Any], Layouts]:
    """The functions that a structure's header declares, by name, and the types it knows."""
    header = libvig_root() / folder / f"{folder}.h"
    text = preprocess(header, [libvig_root()], find_compiler()).text
    found = gather(CParser().parse(text, str(header)))
    own = {
        node.name: node for node in found.functions if Path(node.coord.file) == header and "static" not in node.storage
    }
    return own, Layouts(found)


def spelled(layouts: Layouts, node: Any) -> str:
    """A type as a contract would say it: "State flow_table", "number 32", "number 64 signed", "pointer void"…"""
    if isinstance(node, c_ast.PtrDecl):
        pointee = layouts.resolve(node.type)
        if isinstance(pointee, c_ast.Struct):
            return f"pointer {pointee.name}"
        const = "const " if "const" in node.type.quals else ""
        return f"pointer {const}{'void' if layouts.spell(node.type) == 'void' else spelled(layouts, node.type)}"
    if layouts.spell(node) == "void":
        return "void"
    placed = layouts.place(node).type
    assert isinstance(placed, Integer), node
    return _number(8 * placed.size_bytes, placed.signed)


def _number(bits: int, is_signed: bool) -> str:
    return f"number {bits}{' signed' if is_signed else ''}"


def meant(kind: c.Kind | c.Returns) -> str:
    """The C type that a contract declares."""
    match kind:
        case c.State(cls) | c.New(cls):
            return f"pointer {cls.kind}"  # type: ignore[attr-defined]
        case c.Key():
            return "pointer const void"
        case c.Loan() | c.Borrowed():
            return "pointer void"
        case c.Out(of=str()):
            return "pointer void"
        case c.Out(bits, is_signed):
            return f"pointer {_number(bits, is_signed)}"
        case c.Scalar(bits, is_signed):
            return _number(bits, is_signed)
        case c.Nothing():
            return "void"


def is_inlined_with_pointers(node: Any, layouts: Layouts) -> bool:
    """Whether a function becomes part of the NF, which is explored with it, and is not one from numbers to a number."""
    types = [parameter.type for parameter in node.type.args.params] + [node.type.type]
    return "inline" in node.funcspec and not all(
        isinstance(layouts.resolve(of), c_ast.IdentifierType) and layouts.spell(of) != "void" for of in types
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_declared_function_has_one_contract(folder: str) -> None:
    functions, layouts = declared(folder)
    described = {
        contract.name
        for contract in contracts().by_name.values()
        if Path(contract.source) == libvig_root() / folder / "contract.py"
    }
    exempt = {name for name, node in functions.items() if is_inlined_with_pointers(node, layouts)}
    assert len(functions) > len(exempt | INSPECTION & functions.keys())
    assert described == functions.keys() - INSPECTION - UNDESCRIBED - exempt


def test_no_structure_is_forgotten() -> None:
    """A new structure has to be put into these tests."""
    assert {path.parent.name for path in contract_files()} - UNTESTED == set(FOLDERS)
    assert set(FOLDERS) - {"net"} == {structure.name for structure in STRUCTURES}


# Structures that are tested elsewhere.
UNTESTED = {"consistent_hash"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_contracts_agree_with_the_header(folder: str) -> None:
    functions, layouts = declared(folder)
    for name, contract in contracts().by_name.items():
        if name in functions:
            of = functions[name].type
            assert {p.name: spelled(layouts, p.type) for p in of.args.params} == {
                parameter: meant(kind) for parameter, kind in contract.parameters.items()
            }, name
            assert [p.name for p in of.args.params] == list(contract.parameters), name
            assert spelled(layouts, of.type) == meant(contract.returns), name


def test_contracts_name_their_own_structures() -> None:
    for name, contract in contracts().by_name.items():
        for kind in (*contract.parameters.values(), contract.returns):
            of = getattr(kind, "of", None)
            if of is not None:
                assert isinstance(contract.parameters[of], c.State), name


@pytest.mark.parametrize("folder", ["flow_table", "index_pool", "map"])
def test_limits_of_the_capacity_agree(folder: str) -> None:
    text = (libvig_root() / folder / f"{folder}.h").read_text()
    assert f"#define {folder.upper()}_CAPACITY_MAX (UINT32_C(1) << 30)" in text
    module = next(module for module in c.load(libvig_root()) if Path(str(module.__file__)).parent.name == folder)
    assert module.CAPACITY_MAX == 1 << 30
