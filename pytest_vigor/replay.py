"""Running an NF's binary natively in a given situation, with the contracts as monitors.

It runs in a child process several times over: with different bytes in all memory and registers that nobody
initialised, and with a guard page behind the packet or before it.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_vigor.binary import Binary, load
from pytest_vigor.errors import BinaryError
from pytest_vigor.headers import Header
from pytest_vigor.layout import IMAGE_BASE, padding, scalars
from pytest_vigor.native.client import Choices, Image, Lost, Native
from pytest_vigor.native.events import results
from pytest_vigor.trace import (
    BROKEN,
    CRASHED,
    INIT,
    REFUSED,
    RETURNED,
    Call,
    Entries,
    Figure,
    Member,
    ObjectState,
    Run,
    Situation,
    Step,
    StepResult,
)

FILLERS = (0xA5, 0x00, 0xFF)
WATCH_UP_TO = 4096
MEMORY_BYTES = 4 << 30


def situation(
    binary: Binary,
    header: Header,
    libvig: Path,
    contracts: Sequence[Path],
    config: bytes,
    device_count: int,
    steps: Sequence[Step],
    state: Mapping[str, Entries] | None = None,
    scalars: Mapping[str, int] | None = None,
) -> Situation:
    """The situation of a binary whose layouts a header gives; `config` is the memory of its struct nf_config."""
    return Situation(
        binary=str(binary.path.resolve()),
        libvig=str(libvig.resolve()),
        contracts=tuple(str(path.resolve()) for path in contracts),
        config=config,
        device_count=device_count,
        steps=tuple(steps),
        members=members(header),
        figures=figures(header),
        state=state,
        scalars=dict(scalars or {}),
        binary_digest=binary.digest,
    )


def members(header: Header) -> tuple[Member, ...]:
    """The structures that an NF's state holds."""
    return tuple(
        Member(each.name, each.kind, each.offset, () if each.record is None else padding(each.record))
        for each in header.state_objects
    )


def figures(header: Header) -> tuple[Figure, ...]:
    """The numbers that an NF's state holds."""
    if header.state is None:
        return ()
    return tuple(Figure(each.path, each.offset, each.type.size_bytes) for each in scalars(header.state))


def replay_command(path: Path) -> str:
    """What to type to run a saved situation again."""
    return f"pytest --vigor-replay {shlex.quote(str(path))}"


def replay(
    situation: Situation,
    cpu_seconds: float = 2.0,
    memory_bytes: int = MEMORY_BYTES,
    watch_up_to: int = WATCH_UP_TO,
    fillers: Sequence[int] = FILLERS,
) -> Run:
    """Runs the binary; never raises for anything that the binary does.

    `cpu_seconds` is what each call of the NF may take. Structures of a capacity above `watch_up_to` are not held
    against their contracts in full, which takes time for each entry; the calls are logged, and vectors' preconditions
    checked, all the same. With a single filler, nothing is learnt about uninitialised memory.
    """
    try:
        binary = load(Path(situation.binary), required=())
    except BinaryError as error:
        return Run(StepResult(INIT, REFUSED, str(error)))
    variants = [Choices(filler, watch_up_to=watch_up_to) for filler in fillers]
    variants.append(Choices(fillers[0], guard_after=False))
    image = image_of(binary)
    lines, failure = _run(situation, image, variants, cpu_seconds, memory_bytes)
    ran = [results(_of_variant(lines, number), image.size_bytes) for number in range(len(variants))]
    if not ran[0]:
        return Run(StepResult(INIT, *failure), binary_digest=binary.digest)
    shown = ran[0]
    if ran[-1] and shown[-1].ending == RETURNED != ran[-1][-1].ending:
        shown = ran[-1]
    found = difference(situation, ran[: len(fillers)], fillers)
    return Run(shown[0], shown[1:], bool(found), found, binary.digest)


def image_of(binary: Binary) -> Image:
    """What running a binary takes."""
    slots = tuple((each.offset, each.symbol) for each in binary.relocations if each.addend == 0)
    return Image(slots, max(segment.end for segment in binary.segments) - IMAGE_BASE)


def _run(
    situation: Situation, image: Image, variants: Sequence[Choices], cpu_seconds: float, memory_bytes: int
) -> tuple[list[dict[str, Any]], tuple[str, str]]:
    """The events of a child process, and what to say if there are none."""
    native, events = Native(memory_bytes), []
    failure = CRASHED, "nothing ran"
    try:
        seconds = native.job(situation, image, variants, cpu_seconds)
        for event in native.events(seconds):
            events.append(event)
            if event["event"] == BROKEN:
                failure = BROKEN, event["detail"]
    except Lost as lost:
        failure = lost.ending, lost.detail
    finally:
        native.stop()
    return events, failure


def _of_variant(events: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [event for event in events if event["variant"] == number]


# ---- what depends on uninitialised memory


def difference(situation: Situation, ran: Sequence[tuple[StepResult, ...]], fillers: Sequence[int]) -> str:
    """What differs between runs that differ only in what uninitialised memory holds, its fillers; empty if nothing."""
    holes = {member.name: member.padding for member in situation.members}
    first = [_observable(result, holes) for result in ran[0]]
    for filler, others in zip(fillers[1:], ran[1:], strict=True):
        if not others:
            continue
        for number, mine in enumerate(first):
            theirs = _observable(others[number], holes) if number < len(others) else {"ending": "not reached"}
            for name, value in mine.items():
                other = theirs.get(name)
                if other != value:
                    where = mine["entry"] if number == 0 else f"step {number} ({mine['entry']})"
                    what, one, another = _narrowed(name, value, other)
                    with_ = f"{one} with {fillers[0]:#04x} there, {another} with {filler:#04x}"
                    return f"{where}: {what} depends on uninitialised memory: {with_}"
    return ""


def _narrowed(name: str, mine: Any, theirs: Any) -> tuple[str, str, str]:
    """The part of something observed that differs, and how."""
    if isinstance(mine, ObjectState) and isinstance(theirs, ObjectState) and mine.entries != theirs.entries:
        key = min(key for key in {*mine.entries, *theirs.entries} if mine.entries.get(key) != theirs.entries.get(key))
        return f"{name}[{key}]", _entry(mine.entries.get(key)), _entry(theirs.entries.get(key))
    if name == "packet" and isinstance(mine, str) and isinstance(theirs, str) and len(mine) == len(theirs):
        at = next(at for at in range(0, len(mine), 2) if mine[at : at + 2] != theirs[at : at + 2])
        return f"byte {at // 2} of the packet", f"0x{mine[at : at + 2]}", f"0x{theirs[at : at + 2]}"
    return "what it returns" if name == "value" else name, _entry(mine), _entry(theirs)


def _entry(value: Any) -> str:
    if isinstance(value, tuple):  # key and age
        return f"({value[0]:#x}, {value[1]})"
    return "absent" if value is None else str(value)


def _observable(result: StepResult, holes: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, Any]:
    """What must be the same whatever uninitialised memory holds. A faulting address need not be."""
    shown: dict[str, Any] = {
        "entry": result.entry,
        "ending": result.ending,
        "function": result.function,
        "value": result.value,
        "packet": None if result.packet_after is None else result.packet_after.hex(),
        "scalars": result.scalars_new,
    }
    for name, state in (result.new or {}).items():
        shown[name] = _without_padding(state, holes.get(name, ()))
    for number, call in enumerate(result.calls):
        shown[f"call {number + 1}"] = _show(call)
    return shown


def _without_padding(state: ObjectState, holes: Sequence[tuple[int, int]]) -> ObjectState:
    if state.kind != "vector" or not holes:
        return state
    keep = (1 << state.element_bits) - 1
    for start, end in holes:
        keep &= ~((1 << 8 * end) - (1 << 8 * start))
    records = {index: bits & keep for index, bits in state.entries.items() if isinstance(bits, int)}
    return dataclasses.replace(state, entries={index: bits for index, bits in records.items() if bits})


def _show(call: Call) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in call.arguments.items())
    outs = "".join(f", {name}={value}" for name, value in call.outs.items())
    return f"{call.function}({arguments}) = {call.result}{outs}"
