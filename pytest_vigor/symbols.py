"""The symbols of a Behaviour as records and states that a property can read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.headers import Header
from pytest_vigor.layout import Integer, Scalar, Struct, Type, scalars
from pytest_vigor.number import Run
from pytest_vigor.property.steps import State
from pytest_vigor.record import Record, decode
from pytest_vigor.term import Value


def scalar_symbol(prefix: str, leaf: Scalar) -> Value:
    """The bits of a number in a struct that is unknown; a C bool is 0 or 1 (assumption BOOLS_ARE_BOOLS)."""
    if isinstance(leaf.type, Integer) and leaf.type.boolean:
        return t.zext(t.bit(t.var(f"{prefix}.{leaf.path}", 0)), 1, 8)
    return t.var(f"{prefix}.{leaf.path}", 8 * leaf.type.size_bytes)


def struct_bits(struct: Struct, prefix: str) -> Value:
    """The bits of an unknown struct, little-endian; padding is zero."""
    return _struct_bits(struct, prefix, t.subject())


@lru_cache(maxsize=64)  # every run of a property asks for the configuration
def _struct_bits(struct: Struct, prefix: str, _subject: int) -> Value:
    parts: list[tuple[int, Value]] = []
    end = struct.size_bytes
    for leaf in sorted(scalars(struct), key=lambda each: each.offset, reverse=True):
        size = leaf.type.size_bytes
        parts.append((8 * (end - leaf.offset - size), 0))
        parts.append((8 * size, scalar_symbol(prefix, leaf)))
        end = leaf.offset
    return t.concat([*parts, (8 * end, 0)])


def config_record(header: Header, run: Run, bits: Value | None = None) -> Record:
    """The configuration, unknown or with the given bits."""
    whole = struct_bits(header.config, "config") if bits is None else bits
    record = decode(run, header.config, whole)
    assert isinstance(record, Record)
    return record


def view(header: Header, run: Any, states: Mapping[str, Any], numbers: Mapping[str, Value]) -> State:
    """Structures and mutable numbers as a property reads them."""
    types: dict[str, Type | None] = {each.name: each.key or each.record for each in header.state_objects}
    members: dict[str, Any] = {name: state.for_run(run, types.get(name)) for name, state in states.items()}
    if header.state is not None:
        for leaf in scalars(header.state):
            if leaf.path in numbers:
                members[leaf.path] = decode(run, leaf.type, numbers[leaf.path])
    return State(members)


