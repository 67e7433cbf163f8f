"""What has happened so far in a run: where later packets get their addresses, ports and times from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_vigor.addresses import group, ipv4, station
from pytest_vigor.behaviour import NF_DROP, NF_FLOOD, TIME_BITS
from pytest_vigor.fuzz.frames import seen
from pytest_vigor.headers import Header
from pytest_vigor.layout import Scalar, Type, scalars
from pytest_vigor.notation import kind_of, part
from pytest_vigor.packet import ETHER_BYTES
from pytest_vigor.trace import PROCESS, ObjectState, Step, StepResult

TIME_MAX = (1 << TIME_BITS) - 1
#: Addresses that mean nobody, groups among them; broadcast, and none.
USUAL = {
    "mac": (station(0), station(1), station(2), 0xFFFFFFFFFFFF, group(0), 0),
    "ipv4": (ipv4(0), ipv4(1), ipv4(2), ipv4(3), 0, 0xFFFFFFFF),
    "port": (1024, 80, 53, 2048, 0, 0xFFFF),
    # -1 is all ones, in whatever width; 32, 24 and so on are the lengths of prefixes.
    "number": (0, 1, 32, -1, 0, 32, 1, 24, 2, 32, 0, 3, 8, 16),
}
BITS = {"mac": 48, "ipv4": 32, "port": 16, "number": 64}
#: The least that is worth taking for an address or port, rather than for a small number.
LEAST = {"mac": 1 << 32, "ipv4": 1 << 16, "port": 1, "number": 0}
RECENT = 24
TIMES = 8  #: from which on something may last until now
_SHARE = 20
_USUAL, _EARLIER, _WORD = 9, 15, 18


def usual(number: int) -> int:
    """The number that stands for one of the usual values: see Scene.value."""
    return number * _SHARE


def lately(number: int) -> int:
    """The number that stands for one of those seen in the run, the latest first."""
    return number * _SHARE + _USUAL


def compared(number: int) -> int:
    """The number that stands for one of the words."""
    return number * _SHARE + _EARLIER


@dataclass(frozen=True, slots=True)
class Manner:
    """How the packets of one run are. Long sequences that belong together hardly come about where every packet may be
    odd and every address another one; other bugs show only in such. So some runs are of one kind, some of the other
    (swarm testing: Groce et al., ISSTA'12)."""

    tame: bool  #: all packets are whole TCP or UDP, and little time passes
    narrow: bool  #: few addresses and ports are used

    @classmethod
    def of(cls, number: int) -> Manner:
        """0 is the plainest."""
        return MANNERS[number % len(MANNERS)]


MANNERS = (Manner(True, True), Manner(False, False), Manner(True, False), Manner(True, True), Manner(False, True))
_NARROW = 2


@dataclass(slots=True)
class Scene:
    """A run so far. ``words`` are numbers that the NF or the property may compare with."""

    header: Header
    leaves: tuple[Scalar, ...]  #: the numbers of the configuration
    config: bytes
    device_count: int
    words: tuple[int, ...]
    manner: Manner
    accepted: Mapping[str, Sequence[bytes]]  #: arguments of the NF's further functions, the plainest first
    names: frozenset[str]  #: what the property speaks of
    state: Mapping[str, ObjectState] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)
    received: list[tuple[int, bytes]] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    _seen: dict[str, list[int]] = field(default_factory=dict)
    _spans: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        bits = int.from_bytes(self.config, "little")
        self._seen = {"mac": [], "ipv4": [], "port": [], "number": [self.device_count - 1, self.device_count]}
        for leaf in self.leaves:
            value = part(bits, leaf.offset, leaf.type.size_bytes)
            if leaf.type.size_bytes == 8:
                self._spans.add(value)
            kind = kind_of(leaf.type)
            if kind != "number":
                content = value.to_bytes(leaf.type.size_bytes, "little")
                self._note(kind, int.from_bytes(content, "big"))
            else:
                self._note("number", value)
                if leaf.type.size_bytes == 2:
                    self._note("port", value)
                    self._note("port", value + 1)

    def _note(self, kind: str, value: int) -> None:
        held = self._seen[kind]
        if value in held:
            held.remove(value)
        held.insert(0, value)
        del held[RECENT:]

    def add(self, step: Step, result: StepResult) -> None:
        """Takes note of a step."""
        self.state = result.new or self.state
        self.figures = dict(result.scalars_new or self.figures)
        if step.entry != PROCESS:
            argument = next((each.argument for each in self.header.entries if each.name == step.entry), None)
            for leaf in scalars(argument) if argument is not None else ():
                kind = kind_of(leaf.type)
                if kind != "number" and step.argument is not None:
                    content = step.argument[leaf.offset : leaf.offset + leaf.type.size_bytes]
                    self._note(kind, int.from_bytes(content, "big"))
            return
        if len(step.packet) >= ETHER_BYTES:  # others say nothing to build on
            self.received.insert(0, (step.device, step.packet))
        if step.now not in self.times:
            self.times.insert(0, step.now)
        for kind, value in seen(step.packet):
            self._note(kind, value)
        if result.packet_after is None or result.value is None or result.value == NF_DROP:
            return
        device = (step.device + 1) % self.device_count if result.value == NF_FLOOD else result.value
        self.sent.insert(0, (device % self.device_count, result.packet_after))
        if result.packet_after != step.packet:
            for kind, value in seen(result.packet_after):
                self._note(kind, value)

    @property
    def now(self) -> int:
        """The time of the last packet."""
        return self.times[0] if self.times else 0

    def keys(self) -> list[tuple[Type, int]]:
        """What the state's tables find their entries by, as types and bits."""
        out: list[tuple[Type, int]] = []
        for each in self.header.state_objects:
            held = self.state.get(each.name)
            if each.key is None or held is None:
                continue
            if held.kind == "map":
                out += [(each.key, key) for key in held.entries]
            elif held.kind == "flow_table":
                out += [(each.key, entry[0]) for entry in held.entries.values() if isinstance(entry, tuple)]
        return out

    # ---- from a drawn number to a value

    def value(self, kind: str, number: int) -> int:
        """A value of a kind; 0 stands for the plainest one."""
        share, rest = number % _SHARE, number // _SHARE
        few = _NARROW if self.manner.narrow and kind != "number" else None
        pool: Sequence[int] = USUAL[kind][:few]
        if share >= _WORD:
            return rest & ((1 << BITS[kind]) - 1)
        if share >= _EARLIER:
            pool = [each for each in self.words if LEAST[kind] <= each < 1 << BITS[kind]] or pool
        elif share >= _USUAL:
            pool = self._seen[kind][: few and 2 * few] or pool
        return pool[rest % len(pool)]

    def time(self, number: int) -> int:
        """A time not before the last one; 0 stands for the same time."""
        share, rest = number % 12, number // 12
        now = self.now
        if share < 5:
            return self._not_late(now + (0, 0, 1, 2)[rest % 4])
        if share < 8 or (self.manner.tame and share != 8):
            return self._moment(rest)
        if share < 9:
            return self._not_late(now + JUMPS[rest % len(JUMPS)])
        if share < 11:
            return self._not_late(now + rest)
        later = [each for each in self.words if now < each <= TIME_MAX]
        return later[rest % len(later)] if later else self._not_late(now + rest)

    def _moment(self, number: int) -> int:
        """When something may end that began at an earlier time; 0 stands for the first such moment."""
        spans = self._spans.union(value for value in self.figures.values() if value)
        ends = sorted({time + span for span in spans for time in self.times[:TIMES]})
        later = [end for end in ends if self.now <= end + 1 and end - 1 <= TIME_MAX]
        if not later:
            return self.now
        near = later[number // 3 % len(later)] + (0, 1, -1)[number % 3]
        return self._not_late(max(self.now, near))

    def _not_late(self, time: int) -> int:
        return min(time, TIME_MAX)


# From microseconds over seconds to what no longer fits in 31 or 32 bits, of nanoseconds and of seconds.
JUMPS = (
    1_000, 1_000_000, 10**9, 10**10, (1 << 31) + 1, (1 << 32) + 1, 3_600 * 10**9, 10**15, 1_700_000_000 * 10**9,
    ((1 << 31) + 1) * 10**9, ((1 << 32) + 1) * 10**9,
)  # fmt: skip
