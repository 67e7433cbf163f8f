"""Ways in which a compiled library and contracts are held against each other, besides long random use."""

from __future__ import annotations

import resource
from functools import partial

from pytest_vigor import contract as c
from tests.libvig.compiled import Function, Library
from tests.libvig.isolated import isolated
from tests.libvig.oracle import CANARY, Disagreement, allocate
from tests.libvig.play import U32_MAX, Choices, Play, Seeded
from tests.libvig.structures import Structure


def allocations(library: Library, structure: Structure) -> int:
    """Allocations that must succeed, must not, or cannot. Sizes that might take a machine's memory are left out."""
    sizes = (0, 1, 8, 20, 64, 65, 1000)
    done = 0
    for size in sizes if structure.size_parameter else (None,):
        for capacity in (0, 1, 2, 63, 64, 65, 1000):
            parameters = {"capacity": capacity} | ({} if size is None else {structure.size_parameter or "": size})
            allocate(library, structure, parameters)
            done += 1
    if not structure.lends:
        for capacity in ((1 << 30) + 1, (1 << 31), (1 << 31) + 1, U32_MAX):
            parameters = {"capacity": capacity} | ({structure.size_parameter: 1} if structure.size_parameter else {})
            if allocate(library, structure, parameters) is not None:
                raise Disagreement(f"{structure.name} was allocated with {parameters}")
            done += 1
    if structure.size_parameter:
        # 2^62 bytes, which no machine has; sizes in 32 or 64 bits must not wrap on the way to that answer.
        for capacity in (1 << 30, (1 << 30) - 1):
            parameters = {"capacity": capacity, structure.size_parameter: U32_MAX}
            if allocate(library, structure, parameters, short=True) is not None:
                raise Disagreement(f"{structure.name} was allocated with {parameters}")
            done += 1
    return done


def memory_is_short(library: Library, structure: Structure, limit_bytes: int = 1 << 31) -> int:
    """Allocations that memory is too short for. It stays short: call this in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    sizes = {structure.size_parameter: 20} if structure.size_parameter else {}
    for capacity in structure.too_large:
        if allocate(library, structure, {"capacity": capacity} | sizes, short=True) is not None:
            raise Disagreement(f"{structure.name} of capacity {capacity} was allocated in {limit_bytes} bytes")
    return len(structure.too_large)


def refusals(library: Library, structure: Structure, seed: int, wanted: int) -> int:
    """Calls that the contract forbids make a library that was built with VIGOR_CHECKS stop; returns how many did."""
    refused = number = 0
    while refused < wanted and number < wanted:
        play = Play(library, structure, Seeded(f"{seed}.{structure.name}.{number}"))
        number += 1
        for _ in range(30):
            chosen = play.choose()
            if chosen is None or play.subject.call(*chosen):
                continue
            function, arguments = chosen
            native = play.subject.native
            ending = isolated(partial(native, function, arguments), cpu_seconds=2, quiet=True)
            if ending.how != "SIGABRT":
                raise Disagreement(f"{function.contract.name}{arguments} is forbidden, and ended with {ending.how}")
            refused += 1
            if refused >= wanted:
                break
    return refused


def numbers(library: Library, choices: Choices, rounds: int) -> int:
    """The functions from numbers to a number; returns how many calls were compared."""
    functions = [function for function in library.functions.values() if is_numeric(function)]
    for function in functions:
        for _ in range(rounds):
            arguments = {
                name: _number(choices, kind)
                for name, kind in function.contract.parameters.items()
                if isinstance(kind, c.Scalar)
            }
            expected = function.contract.body(c.PlainCall({}), **arguments).result
            result = function(arguments, 0, CANARY).result
            if result != expected:
                shown = ", ".join(f"{name}={value:#x}" for name, value in arguments.items())
                raise Disagreement(f"{function.contract.name}({shown}) = {result}, the contract says {expected}")
    return rounds * len(functions)


def is_numeric(function: Function) -> bool:
    """Whether a function is one from numbers to a number."""
    kinds = (*function.contract.parameters.values(), function.contract.returns)
    return all(isinstance(kind, c.Scalar) for kind in kinds)


def _number(choices: Choices, kind: c.Scalar) -> int:
    if choices.number(0, 1):
        return choices.number(0, (1 << kind.bits) - 1)
    words = [choices.pick((0, 1, 2, 0x7FFF, 0x8000, 0xFFFD, 0xFFFE, 0xFFFF)) for _ in range(kind.bits // 16)]
    return sum(word << 16 * place for place, word in enumerate(words))
