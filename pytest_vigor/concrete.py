"""A refutation with plain numbers, read from a solver's model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.index_pool import Pool
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.layout import Struct
from pytest_vigor.shrinking import Shrinking
from pytest_vigor.smt import Sat
from pytest_vigor.subject import Model, Subject
from pytest_vigor.symbols import struct_bits
from pytest_vigor.term import Term, Value

SMALL_CAPACITY = 64  #: up to which every entry is known


@dataclass(frozen=True, slots=True)
class Concrete:
    """A refutation with plain numbers: what :mod:`replay` needs, by name."""

    entry: str
    config: bytes
    device_count: int
    state: dict[str, Any] | None
    scalars: dict[str, int]
    steps: tuple[tuple[int, bytes, int], ...]  #: device, packet and time of each step
    argument: bytes | None
    complete: bool  #: whether the state is known entry by entry
    answer: Sat  #: what all of this was read from


def concrete(
    shrinking: Shrinking, subject: Subject, model: Model, old: Mapping[str, Any], complete: bool
) -> Concrete:
    """What has been wished for, in numbers; ``old`` is the state before the first step."""
    answer, header = shrinking.answer, subject.header
    steps: tuple[tuple[int, bytes, int], ...] = ()
    if model.entry == "nf_process":
        leaves = [*shrinking.leaves().values()]
        steps = tuple(_step(answer, leaves, each.inputs) for each in model.steps)
    argument = None
    if model.entry not in ("nf_process", "nf_init"):
        declared = next(each.argument for each in header.entries if each.name == model.entry)
        argument = _bytes(answer, struct_bits(declared, "argument"), declared) if declared is not None else None
    scalars = subject.behaviour.scalars if model.entry != "nf_init" else ()
    return Concrete(
        model.entry,
        _bytes(answer, struct_bits(header.config, "config"), header.config),
        int(answer.value(t.var(b.DEVICE_COUNT, 16))),
        {
            name: _entries(answer, each, model)
            for name, each in old.items() if not isinstance(each, ConsistentHash)  # nothing can be put into one
        } if old else None,
        {each.name: int(answer.value(t.var(f"state.{each.name}", each.bits))) for each in scalars},
        steps, argument, complete, answer,
    )  # fmt: skip


def _bytes(answer: Sat, bits: Value, struct: Struct) -> bytes:
    return int(answer.value(bits)).to_bytes(struct.size_bytes, "little")


def _entries(answer: Sat, state: Any, model: Model) -> dict[int, Any]:
    """The entries of a structure under the model: index to (key, age), key to value, or index to record."""
    match state:
        case Pool():
            flows = state.flows
            capacity = int(answer.value(flows.capacity))
            indices = range(capacity) if capacity <= SMALL_CAPACITY else {
                int(answer.value(i)) for i in model.facts.touched(flows.name)
            }  # fmt: skip
            return {
                index: (int(answer.value(flows.key(index))) if flows.key_bits else 0, _signed(answer, flows.age(index)))
                for index in indices if index < capacity and answer.value(flows.used(index))
            }  # fmt: skip
        case Map():
            items = state.items
            keys = {int(answer.value(key)) for key in model.facts.touched(items.name)}
            return {key: int(answer.value(items.value(key))) for key in sorted(keys) if answer.value(items.has(key))}
        case Vector():
            records = state.records
            capacity = int(answer.value(records.capacity))
            indices = range(capacity) if capacity <= SMALL_CAPACITY else {
                int(answer.value(i)) for i in model.facts.touched(records.name)
            }  # fmt: skip
            found = {index: int(answer.value(records.at(index))) for index in indices if index < capacity}
            return {index: bits for index, bits in found.items() if bits}
    raise TypeError(f"no entries of {state!r}")


def _signed(answer: Sat, age: Value) -> int:
    return t.signed(int(answer.value(age)), 64)


def _step(answer: Sat, leaves: Iterable[Term], inputs: Any) -> tuple[int, bytes, int]:
    length = int(answer.value(inputs.length))
    offsets = {
        int(answer.value(leaf.args[0])) for leaf in leaves
        if leaf.op == "app" and leaf.data[0] == inputs.frame.symbol
    }  # fmt: skip
    if inputs.frame.writes:
        content = bytes(int(answer.value(inputs.frame.byte(k))) for k in range(length))
    else:
        content = bytes(int(answer.value(inputs.frame.byte(k))) if k in offsets else 0 for k in range(length))
    return int(answer.value(inputs.device)), content, int(answer.value(inputs.now))
