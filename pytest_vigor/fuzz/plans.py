"""What Hypothesis draws: plans of steps, whose addresses, ports and times are only decided in a run.

A plan consists of numbers of which 0 stands for the plainest choice, so that what Hypothesis shrinks to is plain. They
mean an address "of an earlier packet" or a time "when the oldest entry expires", which only the run can tell: see
`scene`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from pytest_vigor.behaviour import LENGTH_MAX
from pytest_vigor.fuzz.configurations import assembled
from pytest_vigor.fuzz.frames import (
    KINDS,
    datagram,
    fix_checksums,
    put,
    reply,
    starts,
)
from pytest_vigor.fuzz.scene import Scene, compared, lately, usual
from pytest_vigor.headers import Entry
from pytest_vigor.layout import Type, scalars
from pytest_vigor.notation import kind_of, part
from pytest_vigor.packet import ETHER_BYTES, HEADERS, IPV4_BYTES, PROTOCOL_TCP, PROTOCOL_UDP, TRANSPORTS
from pytest_vigor.trace import Step

LARGE = (1 << 56) - 1
_ELSEWHERE = 176  #: of 256
_ACCEPTED = 3  #: of 4
STEPS_MAX = 20
LENGTHS = (60, 64, ETHER_BYTES - 1, ETHER_BYTES, 12, 0, 1, 33, 34, 41, 42, 53, 54, 1514, LENGTH_MAX, LENGTH_MAX - 1)
MINIMUM_BYTES = 60  #: IEEE 802.3 §3.2.8, without the check sequence
FRESH, FITTING, REPEATED, ANSWERED, REPLIED, CALLED = range(6)

#: What a new frame holds, UDP first; 0 is no IPv4.
PROTOCOLS = (PROTOCOL_UDP, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_TCP, 0, 1)
#: Fields that are mostly as they should be, with values that they should sometimes have.
ODD: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("ipv4", "ihl", (6, 15, 4, 0)), ("ipv4", "flags", (1, 2, 4)), ("ipv4", "fragment_offset", (1, 0x1FFF)),
    ("ipv4", "version", (6, 0)), ("ipv4", "total_length", (28, 20, 27, 0, 0xFFFF)), ("ipv4", "ttl", (1, 0, 255)),
    ("ipv4", "protocol", (1, 6, 17, 0, 255)), ("ipv4", "checksum", (0, 0xFFFF)), ("udp", "checksum", (0, 0xFFFF)),
    ("tcp", "checksum", (0, 0xFFFF)), ("tcp", "flags", (2, 16, 1, 4)), ("ipv4", "tos", (1,)),
    ("ether", "type", (0x86DD, 0x0806, 0x8100, 0, 0x0600)), ("ipv4", "identification", (1,)),
)  # fmt: skip
_NAMED = len(ODD) * 3 // 2  #: numbers up to this stand for those that the property speaks of
#: Those of them with which a packet is still one of its kind.
MILD = {("ipv4", "ttl"), ("ipv4", "checksum"), ("udp", "checksum"), ("tcp", "checksum"), ("tcp", "flags"),
        ("ipv4", "tos"), ("ipv4", "identification")}  # fmt: skip
#: Which ends of a packet that fits an entry are exchanged: mostly none or all.
TURNS: tuple[frozenset[str], ...] = (
    *[frozenset[str]()] * 3, *[frozenset(KINDS.values())] * 3, frozenset({"port"}), frozenset({"ipv4"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A step to be. Numbers are as said above; ``earlier`` is which earlier packet it is made from, or, for one that is
    FITTING, which entry of the state it is to fit."""

    made: int
    earlier: int
    device: int
    wait: int
    length: int
    protocol: int
    fields: tuple[tuple[int, int], ...]  #: which of KINDS, and its value
    odd: tuple[int, int]  #: which of ODD, or one that the property names (0 for none), and its value
    fill: int
    entry: int
    argument: tuple[int, ...]


# Drawing is what takes the time, so as little as possible is drawn apart.
_NUMBER, _BYTE, _LENGTH = st.integers(0, LARGE), st.integers(0, 255), st.integers(0, (1 << 20) - 1)
# Fields by number, then as many numbers for those that the property speaks of.
_FIELD, _PROTOCOL = st.integers(0, 2 * len(KINDS) - 1), st.integers(0, len(PROTOCOLS) - 1)
# Of at most 24 bits, beyond which Hypothesis prefers small numbers.
_MIX = st.integers(0, 16 ** len(KINDS) - 1)
_CHANGES, _ODDITY = st.sampled_from((0, 0, 1, 1, 1, 2)), st.integers(0, 3 * len(ODD))


def _mixed(mix: int, word: int) -> tuple[tuple[int, int], ...]:
    """A value for every field: a usual one, one that was seen lately, or one that code may compare with."""
    digits = (mix >> 4 * number & 15 for number in range(len(KINDS)))
    return tuple(
        (number, usual(digit) if digit < 8 else lately(digit - 8) if digit < 14 else compared(word))
        for number, digit in enumerate(digits)
    )


def plans(entries: Sequence[Entry]) -> Any:
    """A strategy for plans, of packets or of calls of these entry points."""
    most = max((len(scalars(each.argument)) for each in entries if each.argument is not None), default=0)
    shares = {FRESH: 5, FITTING: 4, REPEATED: 3, ANSWERED: 2, REPLIED: 3, CALLED: 3 if entries else 0}
    made_how = st.sampled_from([made for made, share in shares.items() for _ in range(share)])

    @st.composite
    def one(draw: Callable[[Any], Any]) -> Plan:
        made = draw(made_how)
        if made == CALLED:
            entry = draw(st.integers(0, len(entries) - 1))
            return Plan(made, 0, 0, 0, 0, 0, (), (0, 0), 0, entry, tuple(draw(_NUMBER) for _ in range(most)))
        earlier = 0 if made == FRESH else draw(_BYTE)
        is_new = made in (FRESH, FITTING)
        protocol = draw(_PROTOCOL) if is_new else 0
        fields = _mixed(draw(_MIX), draw(_BYTE)) if is_new else ()
        fields += tuple((draw(_FIELD), draw(_NUMBER)) for _ in range(draw(_CHANGES)))
        odd = draw(_ODDITY)
        return Plan(
            made, earlier, draw(_BYTE), draw(_NUMBER), draw(_LENGTH), protocol, fields,
            (odd, draw(_BYTE) if 0 < odd <= _NAMED else 0), draw(_BYTE) if odd > 2 * len(ODD)
            else 0, 0, (),
        )  # fmt: skip

    return one()


# ---- in a run


def step_of(plan: Plan, scene: Scene, entries: Sequence[Entry]) -> Step:
    """The step that a plan is in a run."""
    if plan.made == CALLED:
        entry = entries[plan.entry]
        return Step(entry.name, argument=_argument(entry, plan.argument, scene))
    device, packet = frame_of(plan, scene)
    return Step(device=device, packet=packet, now=scene.time(plan.wait))


def _argument(entry: Entry, numbers: Sequence[int], scene: Scene) -> bytes | None:
    if entry.argument is None:
        return None
    share, rest = numbers[0] % 4, numbers[0] // 4
    accepted = scene.accepted.get(entry.name, ())
    if accepted and share < _ACCEPTED:
        return accepted[rest % len(accepted)]
    leaves = scalars(entry.argument)
    values = [scene.value(kind_of(leaf.type), number) for leaf, number in zip(leaves, numbers, strict=False)]
    return assembled(entry.argument, leaves, values)


def frame_of(plan: Plan, scene: Scene) -> tuple[int, bytes]:
    """Device and frame of a plan."""
    device, frame = _base(plan, scene)
    found = starts(bytes(frame))
    if plan.made > FITTING:
        for (header, name), kind, number in _changes(plan, scene):
            if header in found:
                put(frame, found[header], header, name, scene.value(kind, number))
    (header, name, values), value = _odd(plan, scene), plan.odd[1]
    is_odd = bool(header)
    if is_odd and name != "checksum" and header in found:
        put(frame, found[header], header, name, values[value % len(values)])
    fix_checksums(frame)
    if is_odd and name == "checksum" and header in found:
        put(frame, found[header], header, name, values[value % len(values)])
    # What belongs to earlier packets mostly comes where those came.
    if plan.made == FRESH or plan.device >= _ELSEWHERE:
        device = plan.device % scene.device_count
    return device, _cut(bytes(frame), plan, scene)


def _odd(plan: Plan, scene: Scene) -> tuple[str, str, tuple[int, ...]]:
    """What is odd about a plan's packet. Some are so in what the property speaks of, else hardly any would be."""
    which = plan.odd[0]
    if 0 < which <= len(ODD) and (not scene.manner.tame or ODD[which - 1][:2] in MILD):
        return ODD[which - 1]
    named = [each for each in ODD if _is_named(*each[:2], scene.names)] if len(ODD) < which <= _NAMED else []
    return named[which % len(named)] if named else ("", "", (0,))


#: Where headers usually begin.
_STARTS = {"ether": 0, "ipv4": ETHER_BYTES, **dict.fromkeys(("tcp", "udp", "tcpudp"), ETHER_BYTES + IPV4_BYTES)}


#: What else a property may call the header that a field stands in.
_ALIKE = {"tcp": {"tcp", "tcpudp"}, "udp": {"udp", "tcpudp"}, "tcpudp": {"tcp", "udp", "tcpudp"}}


def _is_named(header: str, name: str, names: frozenset[str]) -> bool:
    headers = _ALIKE.get(header, {header})
    if f"byte {_STARTS[header] + HEADERS[header][name].offset_bits // 8}" in names:
        return True
    return bool(headers & names) and any(each == name or each.startswith(f"{name}_") for each in names)


def _changes(plan: Plan, scene: Scene) -> list[tuple[tuple[str, str], str, int]]:
    places = [*KINDS.items()]
    named = [place for place in places if _is_named(*place[0], scene.names)] or places
    return [
        (*(places[which] if which < len(places) else named[which % len(named)]), number)
        for which, number in plan.fields
    ]


def _base(plan: Plan, scene: Scene) -> tuple[int, bytearray]:
    pool = scene.sent if plan.made == REPLIED else scene.received
    if plan.made > FITTING and (pool or scene.received):
        pool = pool or scene.received
        device, earlier = pool[plan.earlier % len(pool)]
        return device, bytearray(earlier if plan.made == REPEATED else reply(earlier))
    fields = {place: scene.value(kind, number) for place, kind, number in _changes(plan, scene)}
    protocol, device = PROTOCOLS[plan.protocol % 2 if scene.manner.tame else plan.protocol], 0
    keys = scene.keys() if plan.made == FITTING else []
    if keys:
        which, turned = divmod(plan.earlier, len(TURNS))
        fits, protocol, device = _fitting(*keys[which % len(keys)], TURNS[turned], protocol, scene)
        fields |= fits
    if not protocol:
        frame = bytearray(MINIMUM_BYTES)
        for (header, name), value in fields.items():
            if header == "ether":
                put(frame, 0, header, name, value)
        return device, frame
    header, name, values = _odd(plan, scene)
    words = values[plan.odd[1] % len(values)] if (header, name) == ("ipv4", "ihl") else 0
    return device, datagram(fields, protocol, max(words, IPV4_BYTES // 4))


def _fitting(
    of: Type, bits: int, turned: frozenset[str], protocol: int, scene: Scene
) -> tuple[dict[tuple[str, str], int], int, int]:
    """Fields, protocol and device of a packet that fits a key, its ends exchanged in what is `turned`: each part of
    the key is taken for what it is likely to be."""
    device, fields, free = 0, {}, {kind: list(places) for kind, places in _PLACES.items()}
    for leaf in scalars(of):
        kind = kind_of(leaf.type)
        content = part(bits, leaf.offset, leaf.type.size_bytes).to_bytes(leaf.type.size_bytes, "little")
        value = int.from_bytes(content, "little" if kind == "number" else "big")
        if kind != "number":
            if free[kind]:
                fields[free[kind].pop(-1 if kind in turned else 0)] = value
        elif value in TRANSPORTS:
            protocol = value
        elif value < scene.device_count:
            device = value
    return fields, protocol, device


_PLACES: dict[str, list[tuple[str, str]]] = {
    kind: [place for place, its in KINDS.items() if its == kind] for kind in ("mac", "ipv4", "port")
}


def _cut(frame: bytes, plan: Plan, scene: Scene) -> bytes:
    share, rest = plan.length % 16, plan.length // 16
    usual = len(frame) if plan.made > FITTING else max(MINIMUM_BYTES, len(frame))
    length = usual
    if share >= 15:
        length = rest % (LENGTH_MAX + 1)
    elif share >= 13:
        compared = [word for word in scene.words if word <= LENGTH_MAX] or LENGTHS
        length = compared[rest % len(compared)]
    elif share >= 10:
        length = rest % 65
    elif share >= 8:
        length = LENGTHS[rest % len(LENGTHS)]
    if scene.manner.tame:
        length = max(length, usual)
    return (frame + bytes([plan.fill]) * (length - len(frame)))[:length]


