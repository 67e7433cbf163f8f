"""Functions of other structures, of which a function under proof only needs to know what their contracts say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.explore.block import CALLER_SAVED
from pytest_vigor.explore.entry import ARGUMENT_REGISTERS
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.machine import Model
from pytest_vigor.refine.refinement import Alternative, Symbol, alternatives
from pytest_vigor.term import Value


def returning(path: CallPath, function: str, result: Value = 0, bits: int = 0) -> None:
    """Has a function return a result of so many bits, and leave the registers as it may."""
    path.registers.clobber(CALLER_SAVED, f"after {function} at {path.where:#x}")
    if bits:
        rest = t.undefined(f"the upper bits of {function} at {path.where:#x}", 64 - bits) if bits < 64 else 0
        path.registers.write("rax", t.concat([*([(64 - bits, rest)] if bits < 64 else []), (bits, result)]))


def yes_or_no(path: CallPath, function: str) -> tuple[CallPath, CallPath]:
    """The paths on which a function says yes, and no. What else holds of them need not exclude each other: so each has
    a condition of its own, or paths that meet again would be one of them only."""
    path.calls += 1
    says = t.var(f"{function} says yes ({path.calls})", 0)
    yes, no = path, path.fork()
    for each, result, condition in ((yes, 1, says), (no, 0, t.lnot(says))):
        returning(each, function, result, 8)
        each.hold(condition)
    return yes, no


def by_contract(contract: c.Contract, facts: Everywhere) -> Model:
    """A model of a function: its contract, whose requirements are obligations. Structures are known by their handles,
    and their states are the path's. ``facts`` is what is known of the states, all of which holds from there on."""

    def called(path: CallPath) -> list[CallPath]:
        bound: dict[str, Any] = {}
        states: dict[str, str] = {}
        outs: dict[str, tuple[Any, int]] = {}
        for register, (parameter, kind) in zip(ARGUMENT_REGISTERS, contract.parameters.items(), strict=False):
            value = path.registers.read(register)
            match kind:
                case c.State(cls):
                    assert isinstance(value, int)
                    name = path.handles.get(value, "")
                    is_one = isinstance(path.ghosts.get(name), cls)
                    path.oblige(is_one, "contract", path.where, f"{contract.name} is called on a {cls.kind}")  # type: ignore[attr-defined]
                    states[parameter] = name
                    bound[parameter] = path.ghosts[name]
                case c.Key(of):
                    bits = bound[of].key_bits
                    bound[parameter] = Symbol(path.memory.load(value, bits // 8, path.where), bits, False)
                case c.Scalar(bits, signed):
                    bound[parameter] = Symbol(t.extract(value, 64, bits - 1, 0), bits, signed)
                case c.Out(bits, _, of):
                    outs[parameter] = value, bound[of].key_bits if of else bits
        path.calls += 1
        path.hold(t.land(*facts.defined))
        ways = alternatives(path, replace(contract, name=f"{contract.name}.{path.calls}"), bound, facts)
        path.hold(t.land(*facts.defined))
        return [_gone(path.fork(), contract, way, states, outs) for way in ways]

    return called


def _gone(
    end: CallPath, contract: c.Contract, way: Alternative, states: dict[str, str], outs: dict[str, tuple[Any, int]]
) -> CallPath:
    """The path on which a call has gone one of its ways."""
    end.hold(t.land(way.decided, way.chosen))
    end.oblige(way.required, "contract", end.where, contract.name)
    match contract.returns:
        case c.Scalar(bits):
            returning(end, contract.name, c.result_bits(way.outcome.result, bits), bits)
        case c.New():
            returning(end, contract.name, _made(end, way.outcome.result, contract.name), 64)
        case _:
            returning(end, contract.name)
    for parameter, (address, bits) in outs.items():
        if parameter in way.outcome.changes:
            end.memory.store(address, bits // 8, c.result_bits(way.outcome.changes[parameter], bits), end.where)
    for parameter, name in states.items():
        if parameter in way.outcome.changes:
            end.ghosts[name] = way.outcome.changes[parameter]
    return end


def _made(path: CallPath, made: c.NewStructure | None, by: str) -> int:
    """The handle of a structure that was made, or NULL. The path knows what it was made with."""
    if made is None:
        return 0
    name = f"made by {by} ({path.calls})"
    handle = path.memory.add(name, 0).base
    path.handles[handle] = name
    path.made[name] = made
    return handle
