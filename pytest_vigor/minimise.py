"""From a model to a situation that one can set up: small numbers, few entries, every entry of the state known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.concrete import SMALL_CAPACITY, Concrete, concrete
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.index_pool import Pool
from pytest_vigor.ghost.map import VALUE_BITS, Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.headers import Header
from pytest_vigor.layout import Type, scalars
from pytest_vigor.notation import kind_of
from pytest_vigor.packet import ETHER_BYTES, HEADERS, TYPE_IPV4
from pytest_vigor.property.checksums import REST
from pytest_vigor.shrinking import ADDRESS_BITS, Shrinking, turned
from pytest_vigor.smt import Sat
from pytest_vigor.subject import Model, Subject
from pytest_vigor.term import Bool, Term, Value

DUMMIES = 4
FEW_SLOTS = (1, 2, 10, 50, 100, 1_000)
TYPE_OFFSET = HEADERS["ether"]["type"].offset_bits // 8
#: Where addresses stand in a packet; a packet without IPv4 has as many as an Ethernet header.
ADDRESSES = tuple(
    (8 * start + field.offset_bits, field)
    for header, start in (("ether", 0), ("ipv4", ETHER_BYTES))
    for field in HEADERS[header].values()
    if field.form in ADDRESS_BITS
)
_TAG = re.compile(r"^.*?(?=argument\.)")  # which step's argument it is


def concretise(subject: Subject, model: Model, pinned: list[Bool] | None = None) -> Concrete | None:
    """The smallest situation found that still refutes; None where ``pinned`` rules all of them out."""
    shrinking = Shrinking(subject, model, pinned or [])
    if pinned and not shrinking.learn():
        return None
    behaviour = subject.behaviour
    for leaf in _plain_leaves(shrinking):
        if REST in str(leaf.data):  # what nobody looked at one by one is zero in the packet
            shrinking.wish(t.eq(leaf.width, leaf, 0))
    shrinking.small(t.var(b.DEVICE_COUNT, 16), 16, (2, 3, 4, 8))
    old = model.steps[0].old if model.entry != "nf_init" else {}
    # How many entries a map needs decides its capacity, and the capacity of the others how many they have.
    complete = all(_spread(shrinking, each) for each in old.values() if isinstance(each, Map))
    for capacity in {id(c): c for s in behaviour.structures for n, c in s.parameters if n == "capacity"}.values():
        shrinking.small(capacity, 32, (1, 2, 3, 4, 8))
    _leave_no_choice(shrinking, model)
    for instance in model.steps if model.entry == "nf_process" else ():
        shrinking.small(instance.inputs.length, 16, (60, 14, 0, 34, 42, 54))
        shrinking.small(instance.inputs.device, 16, (0, 1, 2))
    complete &= all(_spread(shrinking, each) for each in old.values() if not isinstance(each, Map))
    done = _address_packets(shrinking, model)
    typed = _typed(subject.header, shrinking)
    for leaf in sorted(_plain_leaves(shrinking), key=lambda leaf: _place(shrinking.answer, leaf)):
        if leaf.uid not in done and leaf.uid not in typed:
            shrinking.small(leaf, leaf.width)
    for instance in model.steps if model.entry == "nf_process" else ():
        now = t.extract(instance.inputs.now, 64, b.TIME_BITS - 1, 0)
        shrinking.small(now, b.TIME_BITS, (0, 1, 2, 1_000_000_000))
    types = {each.name: each.key or each.record for each in subject.header.state_objects}
    for name, each in old.items():
        for value, bits, of in _shown(shrinking, each, types.get(name)):
            if not (isinstance(each, Vector) and shrinking.wish(t.eq(bits, value, 0))):  # no record is like that
                shrinking.data(value, bits, of)
    if model.entry != "nf_init":
        for scalar in behaviour.scalars:
            shrinking.small(t.var(f"state.{scalar.name}", scalar.bits), scalar.bits)
    _address_structs(shrinking, typed)
    return concrete(shrinking, subject, model, old, complete)


def _plain_leaves(shrinking: Shrinking) -> Iterator[Term]:
    """The bytes of packets that matter, then other inputs: all that one would like to be zero."""
    for leaf in shrinking.leaves().values():
        named = str(leaf.data) if leaf.op == "var" else ""
        if leaf.width and ((leaf.op == "app" and str(leaf.data[0]).endswith(b.PACKET)) or named.startswith("config.")
                           or "argument." in named or REST in named):  # fmt: skip
            yield leaf


def _typed(header: Header, shrinking: Shrinking) -> dict[int, tuple[Term, str]]:
    """The unknown addresses in the configuration and in arguments, each with its kind. Of those in arrays, of which
    most are not used, and in arguments only the ones that something depends on."""
    kinds: dict[str, str] = {}
    for prefix, of in (("config", header.config), *(("argument", each.argument) for each in header.entries)):
        for leaf in () if of is None else scalars(of):
            kinds[f"{prefix}.{leaf.path}"] = kind_of(leaf.type)
    single = [t.var(f"config.{leaf.path}", 8 * leaf.type.size_bytes) for leaf in scalars(header.config)
              if kind_of(leaf.type) in ADDRESS_BITS and _is_single(leaf.path)]  # fmt: skip
    out = {}
    for each in (*single, *_plain_leaves(shrinking)):
        kind = kinds.get(_TAG.sub("", str(each.data)), "")
        if ADDRESS_BITS.get(kind) == each.width:
            out[each.uid] = each, kind
    return out


def _is_single(path: str) -> bool:
    return "[" not in path


def _address_structs(shrinking: Shrinking, typed: Mapping[int, tuple[Term, str]]) -> None:
    """Wishes for addresses in the configuration and in arguments; in arrays, zeros where they do not matter."""
    matter = shrinking.matter({uid: leaf for uid, (leaf, _) in typed.items()})
    for uid, (leaf, kind) in sorted(typed.items(), key=lambda each: str(each[1][0].data)):
        value, is_asked = turned(leaf, leaf.width // 8), uid in matter or _is_single(str(leaf.data))
        if not is_asked or not shrinking.address(value, kind):
            shrinking.small(value, leaf.width)


def _address_packets(shrinking: Shrinking, model: Model) -> set[int]:
    """Wishes for addresses in packets; the uids of the bytes that were given. Of a packet alone, only those of which a
    byte matters, as the others are shown as "any"."""
    done: set[int] = set()
    is_alone = len(model.steps) == 1
    for instance in model.steps if model.entry == "nf_process" else ():
        frame = instance.inputs.frame
        if frame.writes or frame.content is not None:
            continue
        known = {leaf.args[0]: leaf for leaf in shrinking.leaves().values()
                 if leaf.op == "app" and leaf.data[0] == frame.symbol}  # fmt: skip
        for offset in (TYPE_OFFSET, TYPE_OFFSET + 1):
            if offset in known:
                shrinking.small(known[offset], 8)
        length = int(shrinking.answer.value(instance.inputs.length))
        if shrinking.answer.value(frame.read_big_endian(TYPE_OFFSET, 2)) != TYPE_IPV4:
            length = min(length, ETHER_BYTES)
        for offset_bits, field in ADDRESSES:
            offsets = range(offset_bits // 8, (offset_bits + field.size_bits) // 8)
            matter = [known[offset] for offset in offsets if offset in known]
            if (not matter and is_alone) or offsets.stop > length:
                continue
            if shrinking.address(frame.read_big_endian(offsets.start, len(offsets)), field.form):
                done.update(leaf.uid for leaf in matter)
    return done


def _place(answer: Sat, leaf: Term) -> tuple[str, int]:
    return str(leaf.data), int(answer.value(leaf.args[0])) if leaf.args else 0


def _shown(shrinking: Shrinking, state: Any, of: Type | None) -> Iterator[tuple[Value, int, Type | None]]:
    """The numbers of a structure's entries, with their bits, and the type of what are keys or records."""
    answer, facts = shrinking.answer, shrinking.model.facts
    match state:
        case Pool():
            flows = state.flows
            for index in range(min(int(answer.value(flows.capacity)), SMALL_CAPACITY)):
                if shrinking.answer.value(flows.used(index)):
                    yield flows.age(index), 64, None
                    if flows.key_bits:
                        yield flows.key(index), flows.key_bits, of
        case Map():
            for key in facts.touched(state.items.name):
                if shrinking.answer.value(state.items.has(key)):
                    yield key, state.items.key_bits, of
                    yield state.items.value(key), VALUE_BITS, None
        case Vector():
            for index in range(min(int(answer.value(state.records.capacity)), SMALL_CAPACITY)):
                yield state.records.at(index), state.records.record_bits, of


def _spread(shrinking: Shrinking, state: Any) -> bool:
    """Makes every entry of a structure a part of the model; whether that was possible."""
    facts = shrinking.model.facts
    match state:
        case Pool() | Vector():
            layers = state.flows if isinstance(state, Pool) else state.records
            capacity = int(shrinking.answer.value(layers.capacity))
            if capacity > SMALL_CAPACITY:
                return False
            shrinking.wish(t.eq(32, layers.capacity, capacity))
            for index in range(capacity):
                facts.touch(layers.name, index)
            return shrinking.learn()
        case Map():
            items = state.items
            # An entry that is not needed would be one more to set up.
            touched = [key for key in facts.touched(items.name) if not shrinking.wish(t.lnot(items.has(key)))]
            for extra in range(DUMMIES + 1):
                keys = [*touched, *map(state.spare, range(extra))]
                for key in keys[len(touched):]:
                    facts.touch(items.name, key)
                if not shrinking.learn():
                    return False
                total: Value = 0
                for number, key in enumerate(keys):
                    fresh = t.land(items.has(key), *(t.ne(items.key_bits, key, k) for k in keys[:number]))
                    total = t.add(32, total, t.bit(fresh, 32))
                if shrinking.wish(t.eq(32, total, items.size())):
                    return True
            return False
        case ConsistentHash():
            shrinking.small(state.slot_count, 32, FEW_SLOTS)
    return True


def _leave_no_choice(shrinking: Shrinking, model: Model) -> None:
    """Wishes that tables from which libVig takes a free index have no other one: then it takes the one of the model."""
    chosen = {str(leaf.data) for leaf in shrinking.leaves().values() if leaf.op == "var"}
    for instance in model.steps:
        for called, arguments, _ in instance.calls:
            if not any(f"{instance.tag}{called.symbol}.{name}" in chosen for name, _, _ in called.results):
                continue
            for pool in (instance.new.get(name) for name in arguments.values() if isinstance(name, str)):
                if isinstance(pool, Pool) and (capacity := int(shrinking.answer.value(pool.flows.capacity))) <= 8:
                    full = t.land(t.eq(32, pool.flows.capacity, capacity), *map(pool.flows.used, range(capacity)))
                    if shrinking.learn():
                        shrinking.wish(full)


def same_choices(model: Model, run: Sequence[Sequence[Mapping[str, int]]]) -> list[Bool]:
    """That what the model's steps let libVig choose is what it chose in the calls of each step of a native run."""
    out: list[Bool] = []
    for instance, calls in zip(model.steps, run, strict=False):
        for (called, _, _), outs in zip(instance.calls, calls, strict=False):
            for name, value in outs.items():
                for result, _, bits in called.results:
                    if result == name:
                        chosen = t.var(f"{instance.tag}{called.symbol}.{name}", bits)
                        out.append(t.eq(bits, chosen, value & t.mask(bits)))
    return out
