"""Configurations that nf_init accepts, found by asking it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter

from pytest_vigor.fuzz.play import Player
from pytest_vigor.fuzz.scene import USUAL, kind_of
from pytest_vigor.headers import Header
from pytest_vigor.layout import Scalar, Struct, scalars
from pytest_vigor.trace import REFUSED

DEVICE_COUNTS = (2, 3, 1, 4, 5, 8, 32, 33)
NUMBERS = (1, 2, 0, 3, 4, 8, 100, 1_000, 10**6, 10**9, 10**10)
SPANS = (1, 1_000, 10**9, 2, 0, 3, 4, 8, 100, 10**6, 10**10)  #: of eight bytes, which are mostly times
SIZE_MAX = 4_096
TRIES = 300
SLOW_SECONDS = 0.25
SEARCH_SECONDS = 0.7
_FEW = 4


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
    """Mostly one of the few plainest, sometimes any that was accepted, rarely one that was not."""
    share, rest = number % 16, number // 16
    if share == 15:
        return every[rest % len(every)]
    pool = (good or every)[: None if share >= 11 else _FEW]
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
    """Asks nf_init about plain configurations until it accepts one, then about each number in that."""
    leaves = tuple(scalars(header.config))
    every = [*(_candidates(leaf, number, header) for number, leaf in enumerate(leaves)), list(DEVICE_COUNTS)]

    def accepts(values: Sequence[int]) -> bool:
        *config, device_count = values
        started = perf_counter()
        result = player.play(assembled(header.config, leaves, config), device_count).init
        # What is set up slowly is not worth trying many times.
        return result.ending != REFUSED and perf_counter() - started < SLOW_SECONDS

    accepts([0] * len(every))  # the process has to start first
    base = next((values for values in _tries(every) if accepts(values)), None)
    started = perf_counter()
    if base is None:
        return Configurations(header.config, leaves, (), tuple(map(tuple, every)))
    accepted = [[value] for value in base]
    # The plain values of every number before the others of any.
    for rank in range(max(map(len, every))):
        for number, candidates in enumerate(every):
            if rank >= len(candidates) or candidates[rank] == base[number]:
                continue
            # An address that is as good as another one need not be asked for.
            is_free = number < len(leaves) and kind_of(leaves[number].type) in ("mac", "ipv4")
            is_late = perf_counter() - started > SEARCH_SECONDS
            if is_free or (not is_late and accepts([*base[:number], candidates[rank], *base[number + 1 :]])):
                accepted[number].append(candidates[rank])
    return Configurations(header.config, leaves, tuple(map(tuple, accepted)), tuple(map(tuple, every)))


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
    values = dict.fromkeys([*plain, *ports, *near])
    # What has less than eight bytes may be a size, and a large table takes long to read.
    most = mask if leaf.type.size_bytes in (1, 2, 8) else SIZE_MAX
    return [each for each in values if 0 <= each <= most]


def _tries(every: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The same plain number everywhere, then any."""
    for value in NUMBERS:
        yield [value if value in candidates else candidates[0] for candidates in every[:-1]] + [every[-1][0]]
    random = Random(0)
    for _ in range(TRIES):
        # Rather the plain ones, which come first.
        yield [each[int(len(each) * random.random() ** 3)] for each in every]
