"""Which header fields of a refuting packet do not matter: with other values, the claim fails all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_vigor.native.client import Choices, Image, Native, Session
from pytest_vigor.plain import plain_packet
from pytest_vigor.render.packets import Located, located
from pytest_vigor.replay import FILLERS, MEMORY_BYTES, WATCH_UP_TO
from pytest_vigor.trace import PROCESS, RETURNED, Run, Situation

#: What decides which headers there are: other values would make another packet.
SHAPING = ("ether.type", "ipv4.version", "ipv4.ihl", "ipv4.total_length", "ipv4.flags", "ipv4.fragment_offset",
           "ipv4.protocol")  # fmt: skip
TURNS = (0x5A5A5A5A5A5A, 0xFFFFFFFFFFFF, 0x010000000001)


def free_fields(packet: bytes, fails: Callable[[bytes], bool]) -> tuple[str, ...]:
    """The fields that may all have other values at once, by asking with some."""
    free: list[Located] = []
    for each in located(plain_packet(packet)):
        if each.name not in SHAPING and all(fails(altered(packet, [*free, each], turn)) for turn in TURNS):
            free.append(each)
    return tuple(each.name for each in free)


def altered(packet: bytes, fields: Sequence[Located], turn: int) -> bytes:
    """The packet with some bits of these fields turned."""
    out = int.from_bytes(packet, "big")
    for each in fields:
        mask = (1 << each.field.size_bits) - 1
        out ^= (turn & mask or 1) << 8 * len(packet) - each.offset_bits - each.field.size_bits
    return out.to_bytes(len(packet), "big")


def free_in(
    given: Situation, image: Image, cpu_seconds: float, fails: Callable[[Situation, Run], bool], number: int = 0
) -> tuple[str, ...]:
    """The fields of the packet of the step with that number, with which a situation fails whatever they are. Each is
    tried in a fork of a native process that has the state before. Of what shows only in later steps, none are known."""
    if len(given.steps) != number + 1 or given.steps[number].entry != PROCESS:
        return ()
    lead, last = given.steps[:number], given.steps[number]
    native = Native(MEMORY_BYTES)
    try:
        before = replace(given, steps=lead)
        session = Session.begin(native, before, image, Choices(FILLERS[0], watch_up_to=WATCH_UP_TO), cpu_seconds)

        def fails_with(packet: bytes) -> bool:
            other = replace(given, steps=(*lead, replace(last, packet=packet)))
            if not session.open:
                return False
            run = Run(session.init, (*session.taken[1:], *session.aside(other.steps[number:])))
            return run.ending == RETURNED and fails(other, run)

        return free_fields(last.packet, fails_with) if fails_with(last.packet) else ()
    finally:
        native.stop()
