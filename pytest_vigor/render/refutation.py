"""A refutation: what went wrong, from which state, on which packet, and what the native binary did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pytest_vigor.counterexample import Counterexample, Obligation, Place
from pytest_vigor.render.calls import calls
from pytest_vigor.render.names import leaves, number
from pytest_vigor.render.native import replayed, what_happened
from pytest_vigor.render.packets import before, hexdump, packets, scapy
from pytest_vigor.render.states import configuration, states
from pytest_vigor.render.text import INDENT, WIDTH, Row, paragraph, section, table
from pytest_vigor.trace import PROCESS, Step, StepResult

OFTEN = "Use -v to get more diff"
LIBRARY = "libvig/"
WANTED = ("contract", "crash", "result")
ENDS_WANTED = ("stays within it", "is intact")


def refutation(example: Counterexample, verbosity: int = 0) -> list[str]:
    """The lines of the report, below its claim."""
    lines = [*_wrong(example), "", *configuration(example)]
    taken = list(zip(example.situation.steps, example.run.steps, strict=False))
    lines += section("Steps that lead to the state before", before(example, taken[: example.number]))
    steps = taken[example.number :]
    for number_, (step, result) in enumerate(steps):
        if len(steps) > 1:
            lines += [f"Step {number_ + 1} of {len(steps)} ".ljust(WIDTH, "-"), ""]
        lines += states(example, result, first=number_ == 0)
        lines += _input(example, step, result, example.any_fields if number_ == 0 else ())
        lines += calls(example, result)
    if not steps:
        lines += calls(example, example.run.init)
    lines += section("C lines on the way", _source(example.lines, verbosity))
    lines += replayed(example)
    if verbosity >= 2:
        lines += _for_tools(taken)
    while lines and not lines[-1]:
        lines.pop()
    return lines


# ---- what went wrong


def _wrong(example: Counterexample) -> Iterator[str]:
    owed = example.obligation
    if owed is None:
        if example.location is not None:
            yield str(example.location)
            yield from _quoted(">   ", example.location.text)
        yield from _quoted("E   ", _without_advice(example.message) or f"the native binary {what_happened(example)}")
        return
    if owed.place is not None:
        yield str(owed.place)
        yield from _quoted(">   ", owed.place.text)
    yield from _quoted("E   ", f"{owed.kind}: {_breach(owed)}")


def _breach(owed: Obligation) -> str:
    """Some obligations say what would be right, others what is wrong."""
    if owed.kind == "initialised":
        return f"{owed.detail} depends on memory that nobody initialised"
    wanted = owed.kind in WANTED or owed.detail.endswith(ENDS_WANTED)
    return f"not ensured: {owed.detail}" if wanted else owed.detail


def _without_advice(message: str) -> str:
    """pytest's words on a failed assert, without what the sections below show better."""
    lines = message.splitlines()
    for number_, line in enumerate(lines):
        if line.strip() in (OFTEN, "Full diff:"):
            lines = lines[:number_]
            break
    return "\n".join(lines).rstrip()


def _quoted(mark: str, text: str) -> Iterator[str]:
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        yield from paragraph(line.strip(), mark + indent, mark + indent + INDENT * 2)


# ---- packets, lines


def _input(example: Counterexample, step: Step, result: StepResult, any_fields: Sequence[str]) -> list[str]:
    if step.entry == PROCESS:
        return packets(step, result, example.situation.device_count, any_fields)
    declared = next((each.argument for each in example.header.entries if each.name == step.entry), None)
    if declared is None or step.argument is None:
        return [f"Call  {step.entry}()", ""]
    bits = int.from_bytes(step.argument, "little")
    returned = "" if result.value is None else f"returns {'true' if result.value else 'false'}"
    rows = [Row(f"argument.{leaf.path}", number(leaf, bits)) for leaf in leaves(declared)]
    return table(f"Call of {step.entry}", (returned, ""), rows)


def _source(places: Sequence[Place], verbosity: int) -> Iterator[str]:
    shown = [each for each in places if verbosity >= 1 or not each.file.startswith(LIBRARY)]
    for (file, function), group in groupby(shown, key=lambda each: (each.file, each.function)):
        lines = list(group)
        within = f" in {function}" if function else ""
        yield f"{INDENT}{file}:{lines[0].line}{within}"
        width = len(str(lines[-1].line))
        for each in lines:
            start = f"{INDENT * 2}{each.line:{width}}  "
            yield from paragraph(each.text, start, " " * (len(start) + 4))
    if len(shown) < len(places):
        yield f"{INDENT}and lines of libVig's headers, which -v shows"


def _for_tools(steps: Sequence[tuple[Step, StepResult]]) -> Iterator[str]:
    for number_, (step, result) in enumerate(steps):
        if step.entry != PROCESS:
            continue
        of = f" of step {number_ + 1}" if len(steps) > 1 else ""
        kinds = [("received", step.packet)]
        if result.packet_after not in (None, step.packet):
            kinds.append(("sent", result.packet_after or b""))
        for kind, content in kinds:
            yield f"Packet {kind}{of}, for scapy"
            yield INDENT + scapy(content)
            yield from (INDENT + line for line in hexdump(content))
            yield ""
