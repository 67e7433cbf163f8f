"""From the events that a child sends to the results that a run consists of."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_vigor.native.guarded import GUARD_BYTES
from pytest_vigor.trace import (
    BROKEN,
    CRASHED,
    HUNG,
    INIT,
    MISMATCH,
    PROCESS,
    REFUSED,
    RETURNED,
    VIOLATED,
    Call,
    Fault,
    StepResult,
    state_from_json,
)

_EARLY = {"refused": REFUSED, "violated": VIOLATED, "mismatch": MISMATCH, "hung": HUNG, "broken": BROKEN}
_TOO_LONG = (signal.SIGPROF, signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL)
_WITH_ADDRESS = (signal.SIGSEGV, signal.SIGBUS)
_FROM_KERNEL = 128  # SI_KERNEL: the processor did not say which address


@dataclass(slots=True)
class _Open:
    """A step whose events are still coming in."""

    fields: dict[str, Any]
    calls: list[dict[str, Any]] = field(default_factory=list)
    block: Sequence[int] | None = None
    entered: str | None = None

    def close(self) -> StepResult:
        calls = tuple(
            Call(
                call["function"],
                call["arguments"],
                call.get("result"),
                call.get("outs", {}),
                call["records"],
                "result" in call,
            )
            for call in self.calls
        )
        return StepResult(**{"ending": CRASHED, **self.fields}, calls=calls)


class Transcript:
    """What the calls of the NF did, by the events of one variant as they come in."""

    def __init__(self, image_bytes: int, image_start: int = 0) -> None:
        self._image_bytes, self.image_start = image_bytes, image_start
        self._steps: list[_Open] = []

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes note of an event."""
        name = event["event"]
        if name == "loaded":
            self.image_start = event["image_start"]
        elif name == "step":
            fields = {"entry": event["entry"], "old": _state(event), "scalars_old": _numbers(event)}
            self._steps.append(_Open(fields))
        elif not self._steps:
            # The NF could not even be loaded.
            self._steps.append(_Open({"entry": INIT}))
            _end(self._steps[-1], event, self.image_start, self._image_bytes)
        else:
            _add(self._steps[-1], event, self.image_start, self._image_bytes)

    def last(self) -> StepResult:
        """What the last call did that was begun."""
        return self._steps[-1].close()

    def results(self) -> tuple[StepResult, ...]:
        """What all of them did, that of nf_init first."""
        return tuple(step.close() for step in self._steps)


def results(events: Iterable[Mapping[str, Any]], image_bytes: int) -> tuple[StepResult, ...]:
    """What the calls of the NF did, that of nf_init first, by all events of one variant."""
    transcript = Transcript(image_bytes)
    for event in events:
        transcript.add(event)
    return transcript.results()


def _state(event: Mapping[str, Any], name: str = "old") -> Any:
    return state_from_json(event.get(name))


def _numbers(event: Mapping[str, Any]) -> dict[str, int] | None:
    scalars = event.get("scalars")
    return None if scalars is None else {name: int(value, 16) for name, value in scalars.items()}


def _add(step: _Open, event: Mapping[str, Any], image_start: int, image_bytes: int) -> None:
    match event["event"]:
        case "calling":
            step.block = event["block"]
        case "enter":
            step.entered = event["function"]
        case "call":
            fields = ("function", "arguments", "records")
            step.calls.append({name: event[name] for name in fields})
        case "returned":
            call = step.calls[-1]
            call |= {"result": event["result"], "outs": event["outs"], "records": call["records"] | event["records"]}
            step.entered = None
        case "value":
            packet = event.get("packet")
            step.fields |= {
                "value": event["value"],
                "packet_after": None if packet is None else bytes.fromhex(packet),
            }
        case "done":
            step.fields |= {"ending": RETURNED, "new": _state(event, "new"), "scalars_new": _numbers(event)}
            _rename(step, event.get("names", {}))
        case _:
            _end(step, event, image_start, image_bytes)


def _rename(step: _Open, names: Mapping[str, str]) -> None:
    """What nf_init allocates has a name only once it is in `struct nf_state`."""

    def renamed(value: Any) -> Any:
        return names.get(value, value) if isinstance(value, str) else value

    for call in step.calls:
        call["result"] = renamed(call["result"])
        call["arguments"] = {name: renamed(value) for name, value in call["arguments"].items()}


def _end(step: _Open, event: Mapping[str, Any], image_start: int, image_bytes: int) -> None:
    name = event["event"]
    if name in _EARLY:
        step.fields |= {"ending": _EARLY[name], "detail": event["detail"], "function": event.get("function")}
        return
    if name != "ended" or step.fields.get("ending", RETURNED) != RETURNED:
        return
    status = event["status"]
    if status == 0 and "ending" in step.fields:
        return
    if status >= 0:
        detail = f"it ended its process with status {status}"
        step.fields |= {"ending": CRASHED, "detail": _join(detail, event["printed"]), "function": step.entered}
        return
    number = signal.Signals(-status)
    fault = _fault(step, number, event["noted"], image_start, image_bytes)
    step.fields |= {
        "ending": HUNG if number in _TOO_LONG else CRASHED,
        "detail": _join(_describe(step, fault, number in _TOO_LONG), event["printed"]),
        "function": step.entered,
        "fault": fault,
    }


_INPUTS = {INIT: "configuration", PROCESS: "packet"}


def _describe(step: _Open, fault: Fault, is_late: bool) -> str:
    what = "it did not return in its time" if is_late else fault.signal
    if fault.offset_bytes is not None and step.block is not None:
        name, size_bytes = _INPUTS.get(step.fields["entry"], "argument"), step.block[3]
        where = f"{-fault.offset_bytes} before" if fault.guard == "before" else f"{fault.offset_bytes} of"
        what += f" at byte {where} the {name} of {size_bytes} bytes"
    elif fault.address is not None:
        what += f" at the address {fault.address:#x}"
    if step.entered is not None:
        what += f", in {step.entered}"
    if "ending" in step.fields:
        what += ", while its state was set up for the next step"
    elif "value" in step.fields:
        what += ", afterwards, while its state was read"
    return what


def _join(detail: str, printed: str) -> str:
    return "\n".join(text for text in (detail, printed) if text)


def _fault(step: _Open, number: signal.Signals, noted: Sequence[int], start: int, size_bytes: int) -> Fault:
    noted_signal, code, address, instruction = noted
    if noted_signal != number:
        return Fault(number.name)
    code_offset = instruction - start if 0 <= instruction - start < size_bytes else None
    if number not in _WITH_ADDRESS or code == _FROM_KERNEL:
        return Fault(number.name, code_offset=code_offset)
    guard, offset = None, None
    if step.block is not None:
        first, end, content, _ = step.block
        if first - GUARD_BYTES <= address < first:
            guard = "before"
        elif end <= address < end + GUARD_BYTES:
            guard = "after"
        if guard is not None:
            offset = address - content
    return Fault(number.name, address, guard, offset, code_offset)
