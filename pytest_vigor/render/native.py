"""What the native replay showed, in words."""

from __future__ import annotations

from pathlib import Path

from pytest_vigor.counterexample import Counterexample, Reach
from pytest_vigor.render.states import is_initial
from pytest_vigor.render.text import paragraph
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
    Fault,
    StepResult,
)

LOUD = "!! "
# Breaking these need not show: the processor does not know where an object ends, and what is not initialised may
# happen not to matter.
SILENT = ("memory", "initialised")


def replayed(example: Counterexample) -> list[str]:
    """Whether the native binary breaks the claim too."""
    lines = _confirmed(example) if example.confirmed else _unconfirmed(example)
    if example.obligation is None and example.run.differs_with_stack:
        lines += paragraph(f"Besides, it depends on memory that nobody initialised: {example.run.difference}.")
    return [*lines, *_reach(example), ""]


def _confirmed(example: Counterexample) -> list[str]:
    start = f"CONFIRMED: {_ran(example)}"
    if example.obligation is None:
        claim = example.location is None or example.location.text.startswith("assert")
        return paragraph(f"{start} {'fails the same assert' if claim else 'raises the same exception'}.")
    if example.run.ending == RETURNED and example.run.differs_with_stack:
        start += " with different bytes in memory that nobody initialised, does different things:"
        return [*paragraph(start), *paragraph(example.run.difference, "  ")]
    return paragraph(f"{start} {what_happened(example)}.")


def _ran(example: Counterexample) -> str:
    how = "from this state" if example.run.steps else "with this configuration"
    if example.reach is Reach.FOUND and example.run.steps:
        how = "from its start"
    return f"{Path(example.situation.binary).name}, run natively {how},"


def _unconfirmed(example: Counterexample) -> list[str]:
    lines = paragraph(f"NOT CONFIRMED: {_ran(example)} {what_happened(example)}.", LOUD)
    owed = example.obligation
    if owed is not None and owed.kind in SILENT and example.run.ending == RETURNED:
        text = (
            "That need not mean that it is right: the processor notices only what leaves the packet or all mapped "
            "memory, and uninitialised bytes only show where they decide something. If the C line above is "
            "right, report this: then a contract or the engine is wrong."
        )
    else:
        text = "A contract or the engine is wrong about this NF: report this, with the output of -vv."
    return [*lines, *paragraph(text, LOUD)]


def what_happened(example: Counterexample) -> str:
    """What became of the native process: "is stopped by SIGSEGV ..."."""
    run, result = example.run, example.run.last
    called = f", in {result.function}" if result.function else ""
    where = f", at {example.fault}" if example.fault is not None else ""
    match run.ending:
        case _ if run.differs_with_stack and run.ending == RETURNED:
            return f"depends on memory that nobody initialised ({run.difference})"
        case _ if run.ending == RETURNED:
            return _returned(example, result)
        case _ if run.ending == CRASHED and result.fault is not None:
            return f"is stopped by {result.fault.signal}{_address(example, result, result.fault)}{called}{where}"
        case _ if run.ending == HUNG:
            return f"does not return: it was stopped when its CPU time was used up{called}{where}"
        case _ if run.ending == VIOLATED:
            return f"calls {result.function} although the contract requires that {result.detail}"
        case _ if run.ending == MISMATCH:
            return f"finds that {result.function or 'libVig'} does not do what its contract says: {result.detail}"
        case _ if run.ending == REFUSED:
            return f"cannot be set up: {result.detail}"
        case _ if run.ending == BROKEN:
            return f"could not be watched: {result.detail}"
    return f"{run.ending}{': ' + result.detail if result.detail else ''}{called}{where}"


def _returned(example: Counterexample, result: StepResult) -> str:
    if result.entry != PROCESS:
        return f"returns from {result.entry} as it should"
    count = example.situation.device_count
    if result.value is not None and not -2 <= result.value < count:
        return f"returns {result.value}, which is neither a device (0 to {count - 1}), NF_DROP nor NF_FLOOD"
    if example.obligation is not None:
        return "ends normally"
    return "does not fail the assert"


def _address(example: Counterexample, result: StepResult, fault: Fault) -> str:
    what, size_bytes = _block(example, result)
    if fault.guard == "after" and fault.offset_bytes is not None:
        past = fault.offset_bytes - size_bytes + 1
        return f" at byte {fault.offset_bytes} of {what}, which has {size_bytes}: {past} {_bytes(past)} past its end"
    if fault.guard == "before" and fault.offset_bytes is not None:
        return f" at {-fault.offset_bytes} {_bytes(-fault.offset_bytes)} before the start of {what}"
    if fault.address is None:
        return ""
    # Elsewhere, addresses differ from run to run.
    return f" at the address {fault.address:#x}, a null pointer's" if fault.address < 4096 else " outside of the packet"


def _bytes(count: int) -> str:
    return "byte" if count == 1 else "bytes"


def _block(example: Counterexample, result: StepResult) -> tuple[str, int]:
    """What has guard pages around it in the last step, and its size."""
    if result.entry == INIT:
        return "the configuration", len(example.situation.config)
    step = example.situation.steps[len(example.run.steps) - 1]
    return ("the packet", len(step.packet)) if step.entry == PROCESS else ("the argument", len(step.argument or b""))


def _reach(example: Counterexample) -> list[str]:
    if not example.run.steps:
        return []
    if is_initial(example) and not example.number:
        return ["The state before is the one that nf_init leaves."]
    match example.reach:
        case Reach.FOUND:
            return ["The state before is one that these steps lead to."]
        case Reach.NOT_FOUND:
            text = "The state before fits every invariant, but no packets were found within the budget that lead to it."
            return paragraph(text)
    return ["The state before fits every invariant; whether packets lead to it is not known."]
