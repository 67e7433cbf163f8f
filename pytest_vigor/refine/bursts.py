"""The proofs that a runtime does with every burst of frames what it must: dispatch_burst, compiled from
libvig/runtime/proof/, with everything around it as burst.py and an I/O describe it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_vigor import contract as c, term as t
from pytest_vigor.behaviour import NF_DROP, NF_FLOOD
from pytest_vigor.binary import load
from pytest_vigor.build import build_nf, default_libvig, libvig_root
from pytest_vigor.explore.entry import short
from pytest_vigor.explore.memory import Failed
from pytest_vigor.layout import scalars
from pytest_vigor.refine.burst import (
    GHOST,
    Burst,
    Frame,
    Io,
    Sizes,
    answer,
    ghost,
    nf_process,
    proof_clock,
    shown,
    wanted,
)
from pytest_vigor.refine.burst_dpdk import Dpdk
from pytest_vigor.refine.burst_linux import Linux
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.library import Library, NotShown, Unsettled, Verdict, concluded, holding, unbroken
from pytest_vigor.refine.machine import Machine
from pytest_vigor.smt import Sat
from pytest_vigor.structs import structs
from pytest_vigor.term import Bool, Value

IOS = {"dpdk": Dpdk, "linux": Linux}


@dataclass(slots=True)
class Proof:
    """The proof about one I/O and burst sizes."""

    library: Library
    io: Io
    counters: dict[tuple[int, str], tuple[int, Value]] = field(default_factory=dict)

    def verdict(self) -> Verdict:
        """Whether dispatch_burst does what it must."""
        return concluded(self._prove)

    def _prove(self) -> int:
        machine, sizes = self.library.machine, self.io.sizes
        machine.search.broken.clear()
        path, more = self.io.begin(machine)
        path.ghosts |= {GHOST: path.ghosts.get(GHOST, Burst()), "sizes": sizes}
        arguments = [short(sizes.devices, 16), short(sizes.burst, 16), short(int(sizes.time_per_packet), 8), *more]
        (path,), _ = machine.call(path, "proof_begin", arguments)
        self._between_bursts(path)
        models = {"nf_process": nf_process(self.io), "proof_clock": proof_clock, **self.io.models()}
        returned, stuck = machine.call(path, "proof_burst", [short(sizes.device, 16)], models=models)
        unbroken(self.library, self._told)
        if stuck:
            raise NotShown(Unsettled(stuck[0].reason))
        counts = set()
        for end in returned:
            count = t.extract(end.registers.read("rax"), 64, 31, 0)
            if not isinstance(count, int) or count > sizes.burst:
                raise NotShown(Unsettled("how many frames there were is not known"))
            counts.add(count)
            try:
                claims = list(self._claims(end, count))
            except Failed:
                unbroken(self.library, self._told)
                raise
            holding(self.library, end, [], claims, self._told)
        if counts != set(range(sizes.burst + 1)):
            raise NotShown(Unsettled("some number of frames is never met"))
        return len(returned)

    def _between_bursts(self, path: CallPath) -> None:
        """What is counted and known of time can be anything; batches are empty."""
        address, _ = self.library.machine.binary.objects["runtime"]
        for leaf in scalars(self.library.structs["runtime"]):
            if leaf.path == "now":
                now = t.var("time 0", 64)
                _put(path, address + leaf.offset, 8, now)
                path.ghosts[GHOST] = replace(ghost(path), now=now)
            elif leaf.path == "frames_since":
                _put(path, address + leaf.offset, 4, t.var("frames since the clock was read", 32))
        address, _ = self.library.machine.binary.objects["counters"]
        first = {each.name: each.offset for each in self.library.structs["counters"].fields}["devices"]
        struct = self.library.structs["counters_device"]
        for device in range(self.io.sizes.devices):
            for leaf in scalars(struct):
                at = address + first + device * struct.size_bytes + leaf.offset
                before = t.var(f"{leaf.path} of device {device}", 64)
                _put(path, at, 8, before)
                self.counters[device, leaf.path] = at, before

    # ---- the end

    def _claims(self, end: CallPath, count: int) -> Iterator[tuple[str, Bool]]:
        there, frames = self.io.frames(end, count)
        yield "all that was there is received, up to the burst's size", there
        for number, frame in enumerate(frames):
            yield f"frame {number} is sent or released once for each claim", frame.claims == 0
            yield f"the NF is asked about frame {number} if it is one for the NF", t.iff(frame.asked, shown(frame))
            for device in range(self.io.sizes.devices):
                goes = wanted(self.io, number, frame, device)
                yield f"frame {number} goes to device {device} if the NF says so", t.iff(device in frame.offered, goes)
                yield f"frame {number} goes to device {device} once", frame.sent.count(device) <= 1
        yield from self._counted(end, frames)
        yield from self._ready(end)
        yield from self.io.handed_back(end, count)

    def _counted(self, end: CallPath, frames: tuple[Frame, ...]) -> Iterator[tuple[str, Bool]]:
        sizes = self.io.sizes
        expected: dict[tuple[int, str], Value] = {}

        def count(device: int, name: str, condition: Bool) -> None:
            one = t.ite(64, condition, 1, 0) if not isinstance(condition, bool) else int(condition)
            expected[device, name] = t.add(64, expected.get((device, name), 0), one)

        source = sizes.device
        for number, frame in enumerate(frames):
            said = answer(number)
            drops = t.eq(32, said, NF_DROP & t.mask(32))
            floods = t.land(t.eq(32, said, NF_FLOOD & t.mask(32)), sizes.devices > 1)
            nowhere = t.land(t.lnot(t.ult(32, said, sizes.devices)), t.lnot(drops), t.lnot(floods))
            count(source, "received", True)
            count(source, "dropped_by_nf", t.land(shown(frame), drops))
            count(source, "dropped_no_device", t.land(shown(frame), nowhere))
            count(source, "dropped_unfinished", frame.unfinished)
            count(source, "unsent", t.land(t.lnot(shown(frame)), t.lnot(frame.unfinished)))
            for _ in range(sizes.devices - 2):
                count(source, "copies", t.land(shown(frame), floods))
            for device in range(sizes.devices):
                count(device, "sent", device in frame.sent)
                count(device, "unsent", device in frame.offered and device not in frame.sent)
        begin, size_bytes = self.library.machine.binary.objects["counters"]
        region = end.memory.region_at(begin)
        assert region is not None
        written = {region.base + offset for offset in region.cells} & {*range(begin, begin + size_bytes)}
        ours = {at + k for at, _ in self.counters.values() for k in range(8)}
        yield "nothing is counted of other devices", written <= ours
        for device in range(sizes.devices):
            unsent: Value = 0
            for (of, name), (at, before) in self.counters.items():
                if of != device:
                    continue
                more = t.sub(64, end.memory.load(at, 8, end.where), before)
                if name in ("dropped_too_long", "dropped_queue_full", "dropped_link_down"):
                    unsent = t.add(64, unsent, more)
                else:
                    yield f"{name} of device {device} is counted", t.eq(64, more, expected.get((device, name), 0))
            told = f"what device {device} did not take, or was too long, is counted"
            yield told, t.eq(64, unsent, expected.get((device, "unsent"), 0))

    def _ready(self, end: CallPath) -> Iterator[tuple[str, Bool]]:
        """The next burst finds what this one found."""
        address, _ = self.library.machine.binary.objects["runtime"]
        fixed = {"device_count": self.io.sizes.devices, "burst": self.io.sizes.burst, "pending": 0}
        for leaf in scalars(self.library.structs["runtime"]):
            if leaf.path in fixed or (leaf.path.startswith("batches") and leaf.path.endswith("count")):
                value = end.memory.load(address + leaf.offset, leaf.type.size_bytes, end.where)
                yield f"{leaf.path} is as before", t.eq(8 * leaf.type.size_bytes, value, fixed.get(leaf.path, 0))
            elif leaf.path == "now":
                yield "the time goes on", t.eq(64, end.memory.load(address + leaf.offset, 8, end.where), ghost(end).now)

    def _told(self, model: Sat) -> list[str]:
        sizes = self.io.sizes
        lines = [f"  bursts of up to {sizes.burst} from device {sizes.device} of {sizes.devices}"]
        for symbol in (*self.io.symbols(), *(answer(k) for k in range(sizes.burst))):
            assert isinstance(symbol, t.Term)
            lines.append(f"  {symbol.data} = {model.seen(symbol):#x}")
        return lines


def _put(path: CallPath, address: int, size_bytes: int, value: Value) -> None:
    region = path.memory.region_at(address)
    assert region is not None
    region = path.memory.own(region)
    for k in range(size_bytes):
        region.cells[address - region.base + k] = (value, size_bytes, k)


def compiled(io: str) -> Path:
    """The I/O's burst, built if need be."""
    return build_nf([libvig_root() / "runtime" / "proof" / f"{io}.c"], default_libvig().with_name(f"burst-{io}.so"))


def burst(io: str, sizes: Sizes, cpu_seconds: float, binary: Path | None = None) -> Proof:
    """The proof about bursts of these sizes; of the I/O as it is, or of another binary."""
    binary = binary or compiled(io)
    found = structs(binary)
    library = Library(Machine(load(binary, required=()), cpu_seconds), found, c.collect([]), {})
    return Proof(library, IOS[io](sizes, found))
