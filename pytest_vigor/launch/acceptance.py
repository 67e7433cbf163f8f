"""Asks an NF what it accepts, before anything else is started.

Only nf_init knows the limits of a configuration; they are found by asking it again with other values. Each question
is a child process, as an NF is initialised once and takes memory for good.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_vigor.errors import ConfigurationError
from pytest_vigor.headers import Header
from pytest_vigor.launch.configuration import Call, encoded, limits
from pytest_vigor.layout import Integer, Scalar, scalars
from pytest_vigor.notation import scalar

_SECONDS_PER_QUESTION = 20


@dataclass(frozen=True, slots=True)
class Libraries:
    """An NF and the libVig that it runs with."""

    nf: Path
    libvig: Path


def refused(libraries: Libraries, calls: Sequence[Call], device_count: int) -> int | None:
    """The number of the first call that the NF refuses; None if there is none."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the parent may run here, whatever happens: not its clean-up, not its handlers.
        status = 1
        try:
            os.close(reader)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_SECONDS_PER_QUESTION)
            os.write(writer, str(_first_refused(libraries, calls, device_count)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise ConfigurationError(
            f"{libraries.nf.name} does not survive being configured",
            "prove it: pytest --vigor properties/test_every_nf.py",
        )
    return None if said == b"None" else int(said)


def _first_refused(libraries: Libraries, calls: Sequence[Call], device_count: int) -> int | None:
    ctypes.CDLL(str(libraries.libvig), mode=ctypes.RTLD_GLOBAL)
    nf = ctypes.CDLL(str(libraries.nf))
    for number, call in enumerate(calls):
        function = getattr(nf, call.function)
        function.restype = ctypes.c_bool
        memory = ctypes.create_string_buffer(call.argument, len(call.argument) or 1)
        more = (ctypes.c_uint16(device_count),) if call.function == "nf_init" else ()
        if not function(memory, *more):
            return number
    return None


def check(libraries: Libraries, header: Header, calls: Sequence[Call], device_count: int) -> None:
    """ConfigurationError if the NF refuses one of the calls, with the keys to blame and what they may be."""
    number = refused(libraries, calls, device_count)
    if number is None:
        return
    before, call = calls[:number], calls[number]
    argument = header.config if number == 0 else next(e.argument for e in header.entries if e.name == call.function)
    what = f"{call.where}: {call.function} of {libraries.nf.name} refuses"

    def accepts(memory: bytes) -> bool:
        return refused(libraries, [*before, replace(call, argument=memory)], device_count) is None

    blamed = [] if argument is None else list(_blamed(call.argument, scalars(argument), header.constants, accepts))
    if not blamed:
        remedy = f"no change of one number alone would do; compare with {libraries.nf.stem}.h"
        raise ConfigurationError(f"{what} this with {device_count} devices", remedy)
    (key, limits), *others = blamed
    raise ConfigurationError(f"{what} {key}", ", or ".join([limits, *(": ".join(each) for each in others)]))


def _blamed(
    memory: bytes, places: Sequence[Scalar], constants: dict[str, int], accepts: Callable[[bytes], bool]
) -> Iterator[tuple[str, str]]:
    """The keys of which a change alone would do, and the range in which it would."""
    for place in places:
        of = place.type
        # A list has the same limits for all of its elements, in all likelihood none.
        if not isinstance(of, Integer) or of.boolean or of.big_endian or "[" in place.path:
            continue

        def accepts_number(number: int, place: Scalar = place, of: Integer = of) -> bool:
            end = place.offset + of.size_bytes
            return accepts(memory[: place.offset] + encoded(of, number) + memory[end:])

        least, most = limits(of)
        tried = [each for each in dict.fromkeys((1, 0, *constants.values())) if least <= each <= most]
        good = next(filter(accepts_number, tried), None)
        if good is not None:
            lowest, highest = _edge(good, least, accepts_number), _edge(good, most, accepts_number)
            bits = int.from_bytes(memory[place.offset : place.offset + of.size_bytes], "little")
            yield f"{place.path} = {scalar(of, bits)}", f"give {lowest} to {highest}"


def _edge(good: int, end: int, accepts: Callable[[int], bool]) -> int:
    """The last accepted number on the way to `end`."""
    if accepts(end):
        return end
    bad = end
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if accepts(middle) else (good, middle)
    return good
