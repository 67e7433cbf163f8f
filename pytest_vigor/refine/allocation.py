"""Whether the function that allocates a structure makes an empty valid one, wherever memory comes from, or none where
the contract allows that."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.explore.memory import Failed
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.library import (
    Laid,
    Library,
    NotShown,
    Parameters,
    Refuted,
    Unsettled,
    Verdict,
    argument,
    concluded,
    holding,
    unbroken,
)
from pytest_vigor.refine.listed import Finite
from pytest_vigor.refine.machine import ALIGNMENTS
from pytest_vigor.refine.refinement import Symbol, alternatives

CACHE_LINE_BYTES = 64


def allocation(library: Library, contract: c.Contract, parameters: Parameters) -> Verdict:
    """Whether allocating with these parameters does what the contract says, for memory at every alignment and for
    none."""
    return concluded(lambda: sum(_allocates(library, contract, parameters, alignment) for alignment in ALIGNMENTS))


def _bound(contract: c.Contract, values: Any) -> dict[str, Any]:
    out = {}
    for name, kind in contract.parameters.items():
        assert isinstance(kind, c.Scalar)
        out[name] = Symbol(values[name], kind.bits, kind.signed)
    return out


def _called(
    library: Library, contract: c.Contract, path: CallPath, values: Any, alignment: int = 0
) -> list[CallPath]:
    passed = [argument(values[name], kind) for name, kind in contract.parameters.items() if isinstance(kind, c.Scalar)]
    library.machine.search.broken.clear()
    returned, stuck = library.machine.call(path, contract.name, passed, alignment=alignment, short=True)
    unbroken(library, lambda model: [])
    if stuck or not returned:
        raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
    return returned


def _allocates(library: Library, contract: c.Contract, parameters: Parameters, alignment: int) -> int:
    assert isinstance(contract.returns, c.New)
    cls = contract.returns.cls
    path = library.machine.start()
    ways = alternatives(path, contract, _bound(contract, parameters), Finite(0))
    made = [way.outcome.result for way in ways if way.outcome.result is not None]
    shown = f"{contract.name}({', '.join(f'{name}={value}' for name, value in parameters.items())})"
    ends = _called(library, contract, path, parameters, alignment)
    succeeded = False
    for end in ends:
        pointer = end.registers.read("rax")
        got_memory = end.taken is not None
        if pointer == 0:
            if made and got_memory:
                raise NotShown(Refuted(f"{shown} returns NULL, and there was memory"))
            continue
        if not made or not got_memory or not isinstance(pointer, int):
            raise NotShown(Refuted(f"{shown} returns a structure, the contract says NULL"))
        if len(made) != 1 or dict(made[0].parameters) != dict(parameters):
            raise NotShown(Refuted(f"{shown} is to make {made}"))
        succeeded = True
        _is_empty(library, end, cls, pointer, parameters)
    if made and not succeeded:
        raise NotShown(Refuted(f"{shown} never makes a structure"))
    return len(ends)


def _is_empty(library: Library, end: CallPath, cls: type, pointer: int, parameters: Parameters) -> None:
    """The memory that was taken holds a valid empty structure whose parts do not overlap."""
    taken = end.taken
    assert taken is not None
    region = taken[0]
    facts = Finite(parameters.get("capacity", 0))
    try:
        laid = library.laid(end, cls, pointer, region, parameters)
        claims = [(f"afterwards {name}", holds) for name, holds in library.invariant(end, laid)]
        claims += [("it begins a cache line", pointer % CACHE_LINE_BYTES == 0), *_parts(laid)]
        empty = c.state(cls, facts, "empty", parameters, None, None, empty=True)  # type: ignore[arg-type]
        facts.concluding = True
        claims.append(("it is empty", library.state(end, laid, facts).same(empty)))
    except Failed:
        unbroken(library, lambda model: [])
        raise
    holding(library, end, [], claims, lambda model: [])


def _parts(laid: Laid) -> list[tuple[str, bool]]:
    """The parts of a structure are apart from each other and inside its memory."""
    size = laid.region.size_bytes
    assert isinstance(size, int)
    spans = sorted((each.address, each.address + each.size_bytes) for each in laid.unknown)
    own = laid.place.address, laid.place.address + laid.place.struct.size_bytes
    outside = [span for span in spans if span[0] >= own[1]]
    apart = all(a[1] <= b[0] for a, b in pairwise(spans))
    apart = apart and all(own[1] <= span[0] or (span[1] <= own[1] and span[0] >= own[0]) for span in spans)
    inside = all(laid.region.base <= a and b <= laid.region.base + size for a, b in [own, *outside])
    return [("its parts do not overlap", apart), ("its parts lie in its memory", inside)]


def refusal(library: Library, contract: c.Contract) -> Verdict:
    """Whether allocating returns NULL for all parameters for which the contract says so."""
    return concluded(lambda: _refuses(library, contract))


def _refuses(library: Library, contract: c.Contract) -> int:
    values = {
        name: t.var(f"argument {name}", kind.bits)
        for name, kind in contract.parameters.items() if isinstance(kind, c.Scalar)
    }  # fmt: skip
    path = library.machine.start()
    memory = t.var(f"{contract.name}.memory", 0)
    ways = alternatives(path, contract, _bound(contract, values), Finite(0))
    refused = t.lor(
        *(way.decided for way in ways if way.outcome.result is None and memory.uid not in t.leaves(way.decided))
    )
    if refused is False:
        return 0
    path.hold(refused)
    ends = _called(library, contract, path, values)
    for end in ends:
        holding(library, end, [], [("the result is NULL", t.eq(64, end.registers.read("rax"), 0))], lambda model: [
            f"  {name} = {model.seen(value):#x}" for name, value in values.items()
        ])  # fmt: skip
    return len(ends)
