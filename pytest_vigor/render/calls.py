"""The calls of libVig's functions that a native run made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pytest_vigor.counterexample import Counterexample, Signature
from pytest_vigor.render.names import Names
from pytest_vigor.render.text import INDENT, paragraph, section
from pytest_vigor.trace import VIOLATED, Call, StepResult

#: Of more different calls than both together, only the first and the last are shown: a loop may make thousands.
FIRST, LAST = 24, 4


def calls(example: Counterexample, result: StepResult) -> list[str]:
    """Each call with its arguments and what it returned, in order."""
    return section("libVig calls of the native run", _lines(example, result))


def _lines(example: Counterexample, result: StepResult) -> Iterator[str]:
    rows = [(text, sum(1 for _ in same)) for text, same in groupby(_texts(example, result))]
    left_out = range(FIRST, len(rows) - LAST)
    for number, (text, count) in enumerate(rows):
        if number not in left_out:
            yield from paragraph(f"{text}, {count} times in a row" if count > 1 else text, INDENT, INDENT * 3)
        elif number == FIRST:
            yield f"{INDENT}... {sum(rows[each][1] for each in left_out)} calls are left out ..."


def _texts(example: Counterexample, result: StepResult) -> Iterator[str]:
    names = Names(example.header)
    for call in result.calls:
        signature = example.signatures.get(call.function, Signature())
        text = _call(names, signature, call)
        if not call.returned:
            text += " is against its contract" if result.ending == VIOLATED else " does not return"
        yield text


def _call(names: Names, signature: Signature, call: Call) -> str:
    def show(parameter: str, value: int | str | None) -> str:
        held = call.arguments.get(signature.keys.get(parameter, ""))
        if isinstance(held, str) and isinstance(value, int):
            return names.key(held, value)
        held = call.arguments.get(signature.records.get(parameter, ""))
        if isinstance(held, str) and isinstance(value, int):
            content = call.records.get(parameter)
            inside = "" if content is None else f" {names.record(held, content)}"
            return f"{held}[{value}]{inside}"
        return str(value)

    named = ", ".join(
        # What a structure or a key is, one sees.
        value if isinstance(value, str) else show(name, value)
        if name in signature.keys or name in signature.records else f"{name}={value}"
        for name, value in call.arguments.items()
    )  # fmt: skip
    if not call.returned:
        return f"{call.function}({named})"
    outs = "".join(f", {name}={show(name, value)}" for name, value in call.outs.items())
    if call.result is None:
        return f"{call.function}({named}){outs}"
    truth = {0: "false", 1: "true"}
    result = truth.get(int(call.result), "") if signature.truth and isinstance(call.result, int) else ""
    return f"{call.function}({named}) = {result or show('result', call.result)}{outs}"
