"""Configurations that nf_init accepts, found by asking it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pytest_vigor.fuzz.play import Player
from pytest_vigor.fuzz.scene import USUAL
from pytest_vigor.headers import Header
from pytest_vigor.layout import Scalar, Struct, scalars
from pytest_vigor.notation import kind_of
from pytest_vigor.trace import REFUSED, StepResult

DEVICE_COUNTS = (2, 3, 1, 4, 5, 8, 32, 33)
NUMBERS = (1, 2, 0, 3, 4, 8, 100, 1_000, 10**6, 10**9, 10**10)
SPANS = (1, 1_000, 10**9, 2, 0, 3, 4, 8, 100, 10**6, 10**10)  #: of eight bytes, which are mostly times
SIZE_MAX = 4_096  #: of what may be how large a table is: a larger one takes long to set up and to read
FULL = 1 << 30  #: from here on, no table is that large: what is accepted is no size
TRIES = 300
#: From each of two configurations. Counted and not timed, so that a busy machine tries the same.
ASKED_MAX = 160
ENTRIES_MAX = 16_384  #: what is larger takes long to set up and to read, many times over
_FEW = 5


@dataclass(frozen=True, slots=True)
class Configurations:
    """For each number of struct nf_config, and for the device count, values that were accepted with plain others, the
    plainest first; `tried` are all that were. Empty where nothing was accepted."""

    config_type: Struct
    leaves: tuple[Scalar, ...]
    accepted: tuple[tuple[int, ...], ...]
    tried: tuple[tuple[int, ...], ...]

    @property
    def width(self) -> int:
        """How many numbers decide a configuration."""
        return len(self.tried)

    def chosen(self, numbers: Sequence[int]) -> tuple[bytes, int]:
        """The configuration and the device count that some numbers stand for; 0 is the plainest for each."""
        *values, device_count = (
            _pick(good, every, number) for good, every, number in zip(self.accepted, self.tried, numbers, strict=True)
        )
        return assembled(self.config_type, self.leaves, values), device_count


def _pick(good: Sequence[int], every: Sequence[int], number: int) -> int:
    """Mostly one of the few plainest, a middling one, the largest or the least, sometimes any that was accepted, rarely
    one that was not."""
    share, rest = number % 16, number // 16
    if share == 15:
        return every[rest % len(every)]
    pool = good or every
    if share < 11 and len(pool) > _FEW:
        # Limits are where mistakes are, but some things only happen well between them.
        pool = tuple(dict.fromkeys((*pool[:2], sorted(pool)[len(pool) // 2], max(pool), min(pool))))
    return pool[rest % len(pool)]


def assembled(config_type: Struct, leaves: Sequence[Scalar], values: Sequence[int]) -> bytes:
    """The memory of a struct with these numbers, by the order of its leaves."""
    memory = bytearray(config_type.size_bytes)
    for leaf, value in zip(leaves, values, strict=True):
        order = "little" if kind_of(leaf.type) == "number" else "big"
        size = leaf.type.size_bytes
        memory[leaf.offset : leaf.offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(memory)


def find(player: Player, header: Header) -> Configurations:
    """Asks nf_init about plain configurations until it accepts one, then about each number in that, and in a roomy
    one: some numbers can only be large where others are."""
    leaves = tuple(scalars(header.config))
    every = [*(_candidates(leaf, number, header) for number, leaf in enumerate(leaves)), list(DEVICE_COUNTS)]
    search = _Search(player, header, leaves, every)
    base = next((values for values in _tries(every) if search.accepts(values)), None)
    if base is None:
        return Configurations(header.config, leaves, (), tuple(map(tuple, every)))
    search.asked = 0
    while (plainer := search.plainest(base)) != base:
        base = plainer
    accepted = [[value] for value in base]
    search.vary(base, accepted, ASKED_MAX)
    roomy = search.moved(base, [max(values) if len(values) > 1 else values[0] for values in accepted])
    search.vary(roomy, accepted, 2 * ASKED_MAX)
    return Configurations(header.config, leaves, tuple(map(tuple, accepted)), tuple(map(tuple, every)))


@dataclass(slots=True)
class _Search:
    """`every` are the values that each number may have, the plainest first; the device count is the last number."""

    player: Player
    header: Header
    leaves: Sequence[Scalar]
    every: Sequence[Sequence[int]]
    asked: int = 0

    def accepts(self, values: Sequence[int]) -> bool:
        self.asked += 1
        *config, device_count = values
        result = self.player.play(assembled(self.header.config, self.leaves, config), device_count).init
        return result.ending != REFUSED and _entries(result) <= ENTRIES_MAX

    def is_free(self, number: int) -> bool:
        """Whether it is an address, of which one is as good as another: it need not be asked for."""
        return number < len(self.leaves) and kind_of(self.leaves[number].type) in ("mac", "ipv4")

    def moved(self, base: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """The base with as many of the wanted numbers as it accepts together, the last ones first."""
        out = list(base)
        for number in reversed(range(len(out))):
            changed = [*out[:number], wanted[number], *out[number + 1 :]]
            if not self.is_free(number) and changed != out and self.accepts(changed):
                out = changed
        return out

    def plainest(self, base: Sequence[int]) -> list[int]:
        """The base with each number as plain as it is accepted with the others: few devices first."""
        out = list(base)
        for number in reversed(range(len(out))):
            for candidate in () if self.is_free(number) else self.every[number]:
                changed = [*out[:number], candidate, *out[number + 1 :]]
                if changed == out or self.accepts(changed):
                    out = changed
                    break
        return out

    def vary(self, base: Sequence[int], accepted: Sequence[list[int]], asked_max: int) -> None:
        """Adds what else each number may be with the others as in the base: the plain values of every number before
        the others of any."""
        for rank in range(max(map(len, self.every))):
            for number, candidates in enumerate(self.every):
                if rank >= len(candidates) or candidates[rank] in accepted[number]:
                    continue
                changed = [*base[:number], candidates[rank], *base[number + 1 :]]
                if self.is_free(number) or (self.asked < asked_max and self.accepts(changed)):
                    accepted[number].append(candidates[rank])


def _entries(result: StepResult) -> int:
    """How many entries the tables have room for that nf_init made."""
    room = 0
    for each in (result.new or {}).values():
        slots: Any = each.entries.values() if each.kind == "consistent_hash" else (each.capacity,)
        room += sum(slots)
    return room


def _candidates(leaf: Scalar, number: int, header: Header) -> list[int]:
    kind = kind_of(leaf.type)
    if kind in ("mac", "ipv4"):
        # Each its own, so that one sees which is used.
        first = USUAL[kind][0] & ~0xFF | (0x80 + number) & 0xFF
        return [first, *USUAL[kind]]
    mask = (1 << 8 * leaf.type.size_bytes) - 1
    plain = SPANS if leaf.type.size_bytes == 8 else NUMBERS
    ports = USUAL["port"] if leaf.type.size_bytes == 2 else ()
    near = [each + distance for each in header.constants.values() for distance in (0, -1, 1)]
    values = dict.fromkeys([*plain, *ports, *near, mask >> 1, mask])
    is_size = leaf.type.size_bytes not in (1, 2, 8)
    return [each for each in values if 0 <= each <= mask and not (is_size and SIZE_MAX < each < FULL)]


def _tries(every: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The same plain number everywhere, then any."""
    for value in NUMBERS:
        yield [value if value in candidates else candidates[0] for candidates in every[:-1]] + [every[-1][0]]
    random = Random(0)
    for _ in range(TRIES):
        # Rather the plain ones, which come first.
        yield [each[int(len(each) * random.random() ** 3)] for each in every]
