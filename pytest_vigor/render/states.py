"""An NF's configuration, and its state before and after a step: the entries that matter, as a property names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from pytest_vigor.counterexample import Counterexample
from pytest_vigor.ghost.lpm import written
from pytest_vigor.layout import Array, Type, collapse
from pytest_vigor.notation import duration, part
from pytest_vigor.render.names import Names, leaves, number
from pytest_vigor.render.text import Row, table
from pytest_vigor.trace import Call, ObjectState, StepResult

FEW = 12
FEW_FIELDS = 6


def configuration(example: Counterexample) -> list[str]:
    """The fields of struct nf_config, and how many devices there are."""
    given = example.situation
    bits = int.from_bytes(given.config, "little")
    rows: list[Row] = []
    for field in example.header.config.fields:
        content = part(bits, field.offset, field.type.size_bytes)
        if isinstance(field.type, Array):
            rows += _elements(f"config.{field.name}", field.type, content)
        else:
            rows += _numbers(f"config.{field.name}", field.type, content)
    return table("Configuration", ("", ""), [*rows, Row("device_count", str(given.device_count))])


def _numbers(path: str, of: Type, bits: int) -> Iterator[Row]:
    for leaf in leaves(collapse(of)):
        name = f"{path}.{leaf.path}" if leaf.path and leaf.path[0] != "[" else path + leaf.path
        text = number(leaf, bits)
        yield Row(name, duration(int(text)) if name.endswith("_ns") and text.isdecimal() else text)


def _elements(path: str, of: Array, bits: int) -> Iterator[Row]:
    """The elements of an array; those in a row that are zero, of which there may be many, are one line."""
    size = of.element.size_bytes
    elements = [(index, part(bits, index * size, size)) for index in range(of.count)]
    for zero, group in groupby(elements, key=lambda element: element[1] == 0):
        alike = list(group)
        if zero and len(alike) > 1:
            yield Row(f"{path}[{alike[0][0]}] to [{alike[-1][0]}]", "all 0")
            continue
        for index, content in alike:
            yield from _numbers(f"{path}[{index}]", of.element, content)


def states(example: Counterexample, result: StepResult, first: bool) -> list[str]:
    """The state around a step. Of later steps only what changed: the rest has been shown."""
    names = Names(example.header)
    old, new = result.old or {}, result.new
    rows: list[Row] = []
    for name, held in old.items():
        after = None if new is None else new.get(name)
        rows += _structure(names, name, held, after, _touched(result.calls, name, example), first)
    rows += _figures(names, example, result, first)
    if new is not None and not any(row.changed for row in rows):
        if not first:
            return ["State", "  as before", ""] if old else []
        rows = [Row(row.label, row.before) for row in rows]
        return table("State, before and after", ("", ""), rows)
    return table("State" if new is not None else "State before", ("before", "after"), rows)


# ---- structures


def _structure(
    names: Names, name: str, old: ObjectState, new: ObjectState | None, touched: set[int], first: bool
) -> Iterator[Row]:
    if old.kind == "consistent_hash":  # which never changes
        if first:
            backends = "1 backend" if len(old.entries) == 1 else f"{len(old.entries)} backends"
            yield Row(name, f"{backends} on {sum(map(_slots, old.entries.values()))} slots")
        return
    after = {} if new is None else new.entries
    changed = {key for key in {*old.entries, *after} if new is not None and old.entries.get(key) != after.get(key)}
    few = first and len({*old.entries, *after}) <= FEW
    if old.kind == "flow_table":
        touched = {index for held in (old.entries, after) for index, entry in held.items() if _key(entry) in touched}
    keys = changed | ({*old.entries, *touched} if few else touched & {*old.entries, *after} if first else set())
    if old.kind == "vector":
        if first:
            keys |= touched
            yield Row(name, "1 record" if old.capacity == 1 else f"{old.capacity} records")
        yield from _records(names, name, old, new, sorted(keys))
        return
    if first or changed:
        yield _summary(name, old, new)
    for key in sorted(keys):
        label, before = _entry(names, name, old, key, old.entries)
        other, now = _entry(names, name, old, key, after)
        if not label or not other or label == other or new is None:
            yield Row(label or other, before, None if new is None else now)
        else:  # another key took over the index
            yield from (Row(label, before, "absent"), Row(other, "absent", now))


def _slots(entry: Any) -> int:
    """The slots of a consistent hash's backend."""
    slots: int = entry
    return slots


def _key(entry: Any) -> int:
    """The key of a flow table's entry."""
    key: int = entry[0]
    return key


def _summary(name: str, old: ObjectState, new: ObjectState | None) -> Row:
    def count(held: ObjectState) -> str:
        used = len(held.entries)
        if not used:
            return f"empty, room for {held.capacity}"
        return f"full, {used} of {used}" if used == held.capacity else f"{used} of {held.capacity} used"

    return Row(name, count(old), None if new is None else count(new), marked=False)


def _entry(names: Names, name: str, held: ObjectState, key: int, entries: Mapping[int, Any]) -> tuple[str, str]:
    """The label of an entry, "" where it cannot be known from these entries, and its value."""
    found = entries.get(key)
    match held.kind:
        case "map":
            return f"{name}[{names.key(name, key)}]", "absent" if found is None else str(found)
        case "lpm":
            return f"{name}[{written(key)}]", "absent" if found is None else str(found)
        case "flow_table":
            if found is None:
                return "", "absent"
            return f"{name}[{names.key(name, found[0])}]", f"index {key}, age {found[1]}"
        case "index_pool":
            return f"{name}[{key}]", "free" if found is None else f"age {found[1]}"
    return f"{name}[{key}]", "absent" if found is None else str(found)


def _records(
    names: Names, name: str, old: ObjectState, new: ObjectState | None, indices: Iterable[int]
) -> Iterator[Row]:
    for index in indices:
        before = dict(names.fields(name, _bits(old, index)))
        after = None if new is None else dict(names.fields(name, _bits(new, index)))
        for path, value in before.items():
            changed = after is not None and after[path] != value
            if changed or len(before) <= FEW_FIELDS:
                yield Row(f"{name}[{index}]{path}", value, None if after is None else after[path])


def _bits(held: ObjectState, index: int) -> int:
    found = held.entries.get(index, 0)
    return found if isinstance(found, int) else 0


def _touched(calls: Iterable[Call], name: str, example: Counterexample) -> set[int]:
    """The entries of a structure that a step's calls were about: keys of a map, indices of other structures."""
    out: set[int] = set()
    for call in calls:
        signature = example.signatures.get(call.function)
        if signature is None:
            continue
        for parameter, of in (*signature.keys.items(), *signature.records.items()):
            if call.arguments.get(of) != name:
                continue
            value = call.result if parameter == "result" else call.arguments.get(parameter)
            if isinstance(value, int):
                out.add(value)
    return out


# ---- numbers of its own


def _figures(names: Names, example: Counterexample, result: StepResult, first: bool) -> Iterator[Row]:
    """Those that the step changed, or that earlier ones may have: most stay as nf_init put them."""
    initial = example.run.init.scalars_new or {}
    new = result.scalars_new
    for path, before in (result.scalars_old or {}).items():
        after = None if new is None else new.get(path, before)
        if (first and initial.get(path) != before) or (after is not None and after != before):
            yield Row(path, names.figure(path, before), None if after is None else names.figure(path, after))


def is_initial(example: Counterexample) -> bool:
    """Whether the first step starts from the state that nf_init leaves."""
    first = example.run.steps[0]
    init = example.run.init
    return first.old == init.new and first.scalars_old == init.scalars_new
