"""What pytest says about a failed comparison of plain packets and states: the differences, not two long lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.index_pool import Pool
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.number import AnyValue
from pytest_vigor.property.packets import Packet
from pytest_vigor.property.steps import FLOOD, Sent, State
from pytest_vigor.render.packets import differences
from pytest_vigor.render.text import WIDTH

ROOM = WIDTH - len("E   assert ")
MOST = 6


def explain(op: str, left: object, right: object) -> list[str] | None:
    """The lines for pytest's hook of the same purpose; None where pytest's own do."""
    if op != "==" or not (_is_ours(left) or _is_ours(right)):
        return None
    lines = list(_differences(left, right))
    if len(lines) > MOST:
        lines[MOST - 1 :] = [f"and {len(lines) - MOST + 1} more"]
    whole = f"{_show(left)} == {_show(right)}"
    if len(whole) > ROOM:
        whole = f"{_short(left)} == {_short(right)}"
    return [whole, *lines]


def _is_ours(value: object) -> bool:
    match value:
        case Packet():
            return isinstance(value.facts, Plain)
        case Pool():
            return isinstance(value.flows.facts, Plain)
        case Map():
            return isinstance(value.items.facts, Plain)
        case Vector():
            return isinstance(value.records.facts, Plain)
        case ConsistentHash():
            return isinstance(value.facts, Plain)
        case State():
            return all(isinstance(each, int) or _is_ours(each) for _, each in value.items())
        case Sent():
            return all(_is_ours(packet) and (isinstance(device, int) or device is FLOOD) for device, packet in value)
    return False


def _show(value: object) -> str:
    if isinstance(value, Sent | list):
        return f"[{', '.join(f'({_show(device)}, {_show(packet)})' for device, packet in value)}]"
    return "..." if isinstance(value, AnyValue) else repr(value)


def _short(value: object) -> str:
    match value:
        case Sent() | list():
            return f"[{', '.join(f'({_show(device)}, {_short(packet)})' for device, packet in value)}]"
        case Pool() | Map() | Vector():
            count = len(value.entries())
            return f"<{value.kind.replace('_', ' ')} of {count}>"
    return _show(value)


def _differences(left: Any, right: Any) -> Iterator[str]:
    match left, right:
        case Packet(), Packet():
            yield from (f"{name}: {a} != {b}" for name, a, b in differences(left, right))
        case (Sent(), list()) | (list(), Sent()):
            yield from _sent(left, right)
        case (State(), State()):
            others = dict(right.items())
            for name, value in left.items():
                if not isinstance(value, int):
                    yield from (f"{name}{line}" for line in _entries(value, others[name]))
                elif value != others[name]:
                    yield f"{name}: {value} != {others[name]}"
        case (Pool(), Pool()) | (Map(), Map()) | (Vector(), Vector()):
            yield from _entries(left, right)


def _sent(left: list[Any], right: list[Any]) -> Iterator[str]:
    if len(left) != len(right):
        yield f"{len(left)} sent != {len(right)} sent"
        return
    for number, ((device, packet), (other_device, other)) in enumerate(zip(left, right, strict=True)):
        which = f" {number + 1}" if len(left) > 1 else ""
        if not any(isinstance(each, AnyValue) for each in (device, other_device)) and device != other_device:
            yield f"device{which}: {device!r} != {other_device!r}"
        if isinstance(packet, Packet) and isinstance(other, Packet):
            yield from (f"packet{which}: {name}: {a} != {b}" for name, a, b in differences(packet, other))


def _entries(left: Any, right: Any) -> Iterator[str]:
    if type(left) is not type(right) or not isinstance(left, Pool | Map | Vector):
        return
    if isinstance(left, Vector):  # whose records are all there; entries are those that are not zero
        indices = sorted({*left.entries(), *right.entries()})
        mine, theirs = ({str(index): repr(each.at(index)) for index in indices} for each in (left, right))
    else:
        mine, theirs = _written(left), _written(right)
    for key in {**mine, **theirs}:
        a, b = mine.get(key, "absent"), theirs.get(key, "absent")
        if a != b:
            yield f"[{key}]: {a} != {b}"


def _written(held: Any) -> dict[str, str]:
    """The entries of a plain structure, as text."""
    match held:
        case Map():
            return {repr(held.key_of(key)): str(value) for key, value in held.entries().items()}
        case Pool() if held.kind == "flow_table":
            table: Any = held
            return {repr(table.key_at(i)): f"index {i}, age {age}" for i, (_, age) in held.entries().items()}
    return {str(index): f"age {age}" for index, (_, age) in held.entries().items()}
