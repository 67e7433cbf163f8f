"""Memory while exploring: separate regions, far enough apart that an address's constant part names the region.

An address whose region is not known is never guessed. Every access must lie within its region and every byte that
decides something must have been written: both are obligations on the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from pytest_vigor import term as t
from pytest_vigor.binary import Binary
from pytest_vigor.frame import OFFSET_BITS, Frame, Limits
from pytest_vigor.term import Bool, Term, Value

REGION_BASE = 0x1000_0000_0000
REGION_BITS = 40
ADDRESS_BITS = 64
NULL_PAGE = 4096
ENUMERATION_LIMIT = 256

Cell = tuple[Value, int, int]  #: a value, the size of that value in bytes, and which byte of it (0 is the lowest)


class Stop(Exception):
    """Exploring cannot go on here: what comes next is not modelled."""

    def __init__(self, reason: str, kind: str = "unmodelled") -> None:
        super().__init__(reason)
        self.reason, self.kind = reason, kind


class Failed(Exception):
    """An obligation that cannot hold was met; it is on the path already."""


class Asker(Protocol):
    """The path that memory belongs to."""

    @property
    def known(self) -> Limits:
        """What is known on it."""

    def oblige(self, condition: Bool, kind: str, where: int, detail: str = "") -> None:
        """Adds an obligation; raises Failed where it cannot hold."""

    def possible(self, *conditions: Bool) -> bool:
        """Whether conditions can all hold here; yes where nobody knows."""

    def values(self, value: Value, width: int, limit: int) -> list[int]:
        """Every value that a term can have here; raises Stop beyond the limit."""


@dataclass(slots=True)
class Region:
    """A stretch of memory. ``size_bytes`` may depend on the input; ``image`` gives bytes that were never written."""

    name: str
    base: int
    size_bytes: Value
    writable: bool = True
    alive: bool = True
    image: Callable[[int], int] | None = None
    frame: Frame | None = None
    cells: dict[int, Cell] = field(default_factory=dict)
    owner: object = None

    def copy(self, owner: object) -> Region:
        return Region(
            self.name, self.base, self.size_bytes, self.writable, self.alive, self.image, self.frame,
            dict(self.cells), owner,
        )  # fmt: skip


class Memory:
    """The regions of one path. Copies share regions until one of them writes."""

    def __init__(self, binary: Binary, asker: Asker) -> None:
        self.binary, self.asker = binary, asker
        self.owner: object = object()
        self.regions: dict[int, Region] = {}
        self.uninitialised = 0
        for segment in binary.segments:
            region = Region(
                f"the NF's {'data' if segment.writable else 'constants'} at {segment.address:#x}",
                segment.address, segment.size_bytes, segment.writable,
                image=lambda address: binary.read(address, 1)[0],
            )  # fmt: skip
            self.regions[-segment.address] = region

    def fork(self, asker: Asker) -> Self:
        """A copy for another path; both must copy a region before they write to it."""
        other = type(self).__new__(type(self))
        other.binary, other.asker, other.regions = self.binary, asker, dict(self.regions)
        other.uninitialised = self.uninitialised
        self.owner, other.owner = object(), object()
        return other

    # ---- regions

    def add(self, name: str, size_bytes: Value, *, writable: bool = True, frame: Frame | None = None) -> Region:
        """A new region of uninitialised memory, or of a frame's bytes."""
        number = sum(key > 0 for key in self.regions) + 1
        base = REGION_BASE + (number << REGION_BITS)
        region = Region(name, base, size_bytes, writable, frame=frame, owner=self.owner)
        self.regions[number] = region
        return region

    def key_of(self, base: int) -> int:
        """How the table knows the region with this base."""
        return -base if base < REGION_BASE else (base - REGION_BASE) >> REGION_BITS

    def region_at(self, address: int) -> Region | None:
        """The region that an address's constant part names."""
        if address >= REGION_BASE:
            number = (address - REGION_BASE + (1 << REGION_BITS - 1)) >> REGION_BITS
            return self.regions.get(number)
        for key, region in self.regions.items():
            if key < 0 and isinstance(region.size_bytes, int) and 0 <= address - region.base <= region.size_bytes:
                if address == region.base + region.size_bytes and -address in self.regions:
                    continue
                return region
        return None

    def own(self, region: Region) -> Region:
        """The region, private to this path."""
        if region.owner is not self.owner:
            key = self.key_of(region.base)
            region = self.regions[key] = self.regions[key].copy(self.owner)
        return region

    # ---- access

    def _locate(self, address: Value, size_bytes: int, where: int, write: bool, guard: Bool) -> tuple[Region, Value]:
        const, _ = t.split_base(ADDRESS_BITS, address)
        region = self.region_at(const)
        verb = "write" if write else "read"
        if region is None:
            name = self.binary.imports.get(const & -16)
            if name is not None:
                raise Stop(f"{verb} of {name}, which is another library's")
            if isinstance(address, int) and (const < NULL_PAGE or const > t.mask(ADDRESS_BITS) - NULL_PAGE):
                self.asker.oblige(t.lnot(guard), "memory", where, f"{verb} through a null pointer")
                raise Failed
            if not isinstance(address, int):
                raise Stop(f"{verb} through a pointer of unknown origin: {t.show(address)}")
            self.asker.oblige(t.lnot(guard), "memory", where, f"{verb} at {const:#x}, which is no object's memory")
            raise Failed
        offset = t.sub(ADDRESS_BITS, address, region.base)
        what = f"{size_bytes}-byte {verb} of {region.name}"
        if not region.alive:
            self.asker.oblige(t.lnot(guard), "memory", where, f"{what} after its end")
            raise Failed
        if write and not (region.writable and (region.base >= REGION_BASE or not isinstance(offset, int)
                                               or self.binary.writable(const))):  # fmt: skip
            self.asker.oblige(t.lnot(guard), "memory", where, f"{what}, which is read-only")
            raise Failed
        if not isinstance(offset, int) and region.base < REGION_BASE:
            self._stays_in_object(const, offset, region.base, size_bytes, what, where, guard)
        end = t.add(ADDRESS_BITS, offset, size_bytes)
        size = region.size_bytes
        if isinstance(end, int) and isinstance(size, int):
            inside: Bool = size_bytes <= end <= size
        else:
            inside = t.land(t.ule(ADDRESS_BITS, end, size), t.ule(ADDRESS_BITS, offset, end))
        self.asker.oblige(t.implies(guard, inside), "memory", where, f"{what} stays within it")
        if inside is False:
            raise Failed
        return region, offset

    def _stays_in_object(
        self, const: int, offset: Value, base: int, size_bytes: int, what: str, where: int, guard: Bool
    ) -> None:
        """An index into an object that the binary names must not leave it for its neighbour."""

        def within(start: int, size: int) -> Bool:
            return t.ule(ADDRESS_BITS, t.sub(ADDRESS_BITS, offset, start - base), max(size - size_bytes, 0))

        for name, (start, size) in self.binary.objects.items():
            if start <= const < start + size:
                self.asker.oblige(t.implies(guard, within(start, size)), "memory", where, f"{what} stays within {name}")
        around = [each for each in self.binary.hidden if each[1] <= const < each[1] + each[2]]
        if around:
            inside = t.lor(*(within(*each[1:]) for each in around))
            # An index that starts at one may be added to an address before its array, where something else lies.
            if all(const != start for _, start, _ in around) and not self.asker.possible(guard, inside):
                end = max(start + size for _, start, size in around)
                behind = next((each for each in self.binary.hidden if each[1] >= end), None)
                inside = within(*behind[1:]) if behind is not None else True
            self.asker.oblige(t.implies(guard, inside), "memory", where, f"{what} stays within {around[0][0]}")

    def load(self, address: Value, size_bytes: int, where: int, guard: Bool = True) -> Value:
        """Little-endian bytes at an address."""
        choice = _choice(address)
        if choice is not None:
            chosen, yes, no = choice
            yes_guard, no_guard = t.land(guard, chosen), t.land(guard, t.lnot(chosen))
            left = self._load_or_none(yes, size_bytes, where, yes_guard)
            right = self._load_or_none(no, size_bytes, where, no_guard)
            if left is None and right is None:
                raise Failed
            if left is None or right is None:
                return right if left is None else left  # type: ignore[return-value]
            return t.ite(8 * size_bytes, chosen, left, right)  # type: ignore[no-any-return]
        region, offset = self._locate(address, size_bytes, where, False, guard)
        if region.frame is not None:
            frame = replace(region.frame, limits=self.asker.known)
            return frame.read(t.extract(offset, ADDRESS_BITS, OFFSET_BITS - 1, 0), size_bytes)
        if isinstance(offset, int):
            return self._load_at(region, offset, size_bytes)
        out: Value | None = None
        for value, test in self._places(region, offset, size_bytes):
            loaded = self._load_at(region, value, size_bytes)
            out = loaded if out is None else t.ite(8 * size_bytes, test, loaded, out)
        if out is None:
            raise Failed
        return out

    def _places(self, region: Region, offset: Value, size_bytes: int) -> list[tuple[int, Bool]]:
        """Every offset within the region that a symbolic one can be, each with its condition. An index into an array
        needs no solver: there are only so many elements."""
        const, rest = t.split_base(ADDRESS_BITS, offset)
        if isinstance(rest, Term) and isinstance(region.size_bytes, int):
            atom, stride = rest, 1
            if rest.op == "shl" and isinstance(rest.args[1], int):
                atom, stride = rest.args[0], 1 << rest.args[1]
            elif rest.op == "add" and len(rest.args) == 1:
                atom, stride = rest.args[0], rest.data[1][0]
            first = t.signed(const, ADDRESS_BITS)
            room = region.size_bytes - size_bytes - first
            if 0 < stride <= region.size_bytes and atom.hi * stride < 1 << (ADDRESS_BITS - 1) and room >= 0:
                low = max(atom.lo, -(first // stride))
                indices = range(low, min(atom.hi, room // stride) + 1)
                if len(indices) <= ENUMERATION_LIMIT:
                    return [(first + k * stride, t.eq(ADDRESS_BITS, atom, k)) for k in indices]
        found = self.asker.values(offset, ADDRESS_BITS, ENUMERATION_LIMIT)
        return [(value, t.eq(ADDRESS_BITS, offset, value)) for value in found]

    def _load_or_none(self, address: Value, size_bytes: int, where: int, guard: Bool) -> Value | None:
        try:
            return self.load(address, size_bytes, where, guard)
        except Failed:
            return None

    def _load_at(self, region: Region, offset: int, size_bytes: int) -> Value:
        cells = region.cells
        first = cells.get(offset)
        if first is not None and first[1] == size_bytes and first[2] == 0:
            value = first[0]
            if all(cells.get(offset + k) == (value, size_bytes, k) for k in range(1, size_bytes)):
                return value
        parts: list[tuple[int, Value]] = []
        for position in range(offset, offset + size_bytes):
            cell = cells.get(position)
            if cell is not None:
                value, width, k = cell
                parts.append((8, t.extract(value, 8 * width, 8 * k + 7, 8 * k)))
            elif region.image is not None:
                parts.append((8, region.image(region.base + position)))
            else:
                self.uninitialised += 1
                fresh = t.undefined(f"uninitialised.{region.name}+{position}", 8)
                parts.append((8, fresh))
        parts.reverse()
        return t.concat(parts)

    def store(self, address: Value, size_bytes: int, value: Value, where: int, guard: Bool = True) -> None:
        """Writes little-endian bytes at an address."""
        choice = _choice(address)
        if choice is not None:
            chosen, yes, no = choice
            for side, when in ((yes, chosen), (no, t.lnot(chosen))):
                try:
                    self.store(side, size_bytes, value, where, t.land(guard, when))
                except Failed:
                    continue
            return
        region, offset = self._locate(address, size_bytes, where, True, guard)
        region = self.own(region)
        if region.frame is not None:
            short = t.extract(offset, ADDRESS_BITS, OFFSET_BITS - 1, 0)
            for each, what in ((value, "what is written to the packet"), (short, "where the packet is written")):
                if isinstance(each, Term) and each.undefined:
                    self.asker.oblige(independent(each), "initialised", where, what)
            region.frame = region.frame.write(short, size_bytes, value, guard)
            return
        if isinstance(offset, int):
            if guard is not True:
                value = t.ite(8 * size_bytes, guard, value, self._load_at(region, offset, size_bytes))
            for k in range(size_bytes):
                region.cells[offset + k] = (value, size_bytes, k)
            return
        for at, test in self._places(region, offset, size_bytes):
            here = t.land(guard, test)
            kept = t.ite(8 * size_bytes, here, value, self._load_at(region, at, size_bytes))
            for k in range(size_bytes):
                region.cells[at + k] = (kept, size_bytes, k)

    def oblige(self, condition: Bool, kind: str, where: int) -> None:
        """What the block interpreter has to say, such as that no divisor is zero."""
        self.asker.oblige(condition, "division" if "divi" in kind or "quotient" in kind else kind, where, kind)


def _choice(address: Value) -> tuple[Term, Value, Value] | None:
    """An address that is one of two, as a conditional move makes it: the test and both."""
    if not isinstance(address, Term):
        return None
    if address.op == "ite":
        return address.args
    if address.op == "add":
        for atom in address.args:
            if atom.op == "ite":
                test, yes, no = atom.args

                def replaced(by: Value, atom: Term = atom) -> Value:
                    const, coeffs = address.data
                    total: Value = const
                    for a, c in zip(address.args, coeffs, strict=True):
                        total = t.add(ADDRESS_BITS, total, t.scale(ADDRESS_BITS, by if a is atom else a, c))
                    return total

                return test, replaced(yes), replaced(no)
    return None


def independent(value: Term) -> Bool:
    """That a value does not depend on the uninitialised bytes in it."""
    memo: dict[int, Value] = {}

    def other(leaf: Term) -> Value | None:
        return t.undefined(f"{leaf.data}.other", leaf.width) if leaf.op == "undefined" else None

    twin = t.substitute(value, other, memo)
    return t.iff(value, twin) if value.width == 0 else t.eq(value.width, value, twin)
