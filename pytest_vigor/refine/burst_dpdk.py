"""DPDK's side of a burst: what libvig/runtime/dpdk_frames.h calls (DPDK 22.11, rte_ethdev.h, rte_mbuf.h)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_vigor import term as t
from pytest_vigor.explore.entry import short
from pytest_vigor.refine.burst import GHOST, Frame, Io, changed, device_of, ghost, given, known, returns
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.machine import Machine, Model
from pytest_vigor.term import Bool, Value

BUFFER_BYTES = 128 + 2048  #: RTE_MBUF_DEFAULT_BUF_SIZE
VLAN_STRIPPED = 6  #: the bit RTE_MBUF_F_RX_VLAN_STRIPPED of ol_flags
TAG_BYTES = 4
LINK_STATUS = 34  #: the bit of struct rte_eth_link


class Dpdk(Io):
    """Frames are buffers with a count of claims."""

    name = "dpdk"

    def begin(self, machine: Machine) -> tuple[CallPath, list[Value]]:
        return machine.start(), []

    def models(self) -> dict[str, Model]:
        return {
            "rte_eth_rx_burst": self._receive,
            "rte_eth_tx_burst": self._transmit,
            "rte_eth_link_get_nowait": self._link,
            "rte_vlan_insert": self._insert_tag,
            "rte_mbuf_refcnt_update": self._update,
            "rte_pktmbuf_free": lambda path: self._release(path, [given(path, "rdi")]),
            "rte_pktmbuf_free_bulk": self._release_all,
        }

    # ---- frames

    def _symbol(self, number: int, name: str) -> Value:
        if name == "tag not put back":
            return t.var(f"{name} into frame {number}", 1)
        leaf = next(leaf for leaf in self.structs["rte_mbuf"].fields if leaf.name == name)
        return t.var(f"{name} of frame {number}", 8 * leaf.type.size_bytes)

    def symbols(self) -> Iterator[Value]:
        for number in range(self.sizes.burst):
            for name in ("ol_flags", "data_off", "data_len", "nb_segs", "tag not put back"):
                yield self._symbol(number, name)

    def _frame(self, path: CallPath, number: int) -> Frame:
        """A buffer with a frame."""
        data = path.memory.add(f"the bytes of frame {number}", BUFFER_BYTES)
        mbuf = path.memory.add(f"the buffer of frame {number}", self.structs["rte_mbuf"].size_bytes)
        for leaf in self.structs["rte_mbuf"].fields:
            value = data.base if leaf.name == "buf_addr" else self._symbol(number, leaf.name)
            for k in range(leaf.type.size_bytes):
                mbuf.cells[leaf.offset + k] = (value, leaf.type.size_bytes, k)
        offset, length, segments = (self._symbol(number, each) for each in ("data_off", "data_len", "nb_segs"))
        end = t.add(32, t.zext(offset, 16, 32), t.zext(length, 16, 32))
        path.hold(t.ule(32, end, BUFFER_BYTES))
        path.hold(t.ule(16, 1, segments))
        stripped = self._stripped(number)
        if self.sizes.plain:
            path.hold(t.lnot(stripped))
            path.hold(t.eq(16, segments, 1))
        failed = t.eq(1, self._symbol(number, "tag not put back"), 1)
        path.hold(t.implies(t.ult(16, offset, TAG_BYTES), failed))
        more = t.ite(32, stripped, TAG_BYTES, 0)
        start = t.sub(64, t.add(64, data.base, t.zext(offset, 16, 64)), t.zext(more, 32, 64))
        hidden = t.lor(t.ult(16, 1, segments), t.land(stripped, failed))
        return Frame(mbuf.base, start, t.add(32, t.zext(length, 16, 32), more), hidden)

    def _stripped(self, number: int) -> Bool:
        flag = t.extract(self._symbol(number, "ol_flags"), 64, VLAN_STRIPPED, VLAN_STRIPPED)
        return t.eq(1, flag, 1)

    def _number(self, path: CallPath, pointer: Value) -> int:
        """Which frame a pointer is to; it must be one that somebody of ours still has a claim to."""
        frames = ghost(path).frames
        number = next((k for k, each in enumerate(frames) if each.address == pointer), -1)
        path.oblige(number >= 0, "runtime", path.where, "a pointer to a frame of the burst")
        path.oblige(frames[number].claims > 0, "runtime", path.where, f"frame {number} is still ours")
        return number

    def _give_up(self, path: CallPath, number: int) -> None:
        """One claim less. Without any, the buffer is somebody else's."""
        frame = ghost(path).frames[number]
        changed(path, number, claims=frame.claims - 1)
        if frame.claims == 1:
            for address in (frame.address, t.split_base(64, frame.bytes_at)[0]):
                region = path.memory.region_at(address)
                assert region is not None
                path.memory.own(region).alive = False

    def frames(self, path: CallPath, count: int) -> tuple[Bool, tuple[Frame, ...]]:
        frames = ghost(path).frames
        return ghost(path).received and len(frames) == count, frames

    def holds(self, frame: Frame, place: Value) -> bool:
        there, here = (t.split_base(64, each)[0] for each in (place, frame.bytes_at))
        return abs(there - here) <= BUFFER_BYTES

    def unchanged(self, path: CallPath, frame: Frame) -> Iterator[tuple[str, Bool]]:
        region = path.memory.region_at(t.split_base(64, frame.bytes_at)[0])
        assert region is not None
        yield "nobody has changed the bytes before", not region.cells

    def handed_back(self, path: CallPath, count: int) -> Iterator[tuple[str, Bool]]:
        yield from ()

    # ---- functions

    def _receive(self, path: CallPath) -> list[CallPath]:
        """0 to count frames."""
        port, queue = known(path, "rdi", 16), known(path, "rsi", 16)
        array, count = known(path, "rdx"), known(path, "rcx", 16)
        right = device_of(path, port) == self.sizes.device and queue == 0
        path.oblige(right, "runtime", path.where, "frames are taken from the device's queue 0")
        path.oblige(count == self.sizes.burst, "runtime", path.where, "a burst is asked for")
        path.oblige(not ghost(path).received, "runtime", path.where, "one burst is taken at a time")
        out = []
        for received in range(count + 1):
            fork = path.fork()
            frames = tuple(self._frame(fork, number) for number in range(received))
            fork.ghosts[GHOST] = replace(ghost(fork), frames=frames, received=True)
            for number, frame in enumerate(frames):
                fork.memory.store(array + 8 * number, 8, frame.address, fork.where)
            out += returns(fork, short(received, 16))
        return out

    def _transmit(self, path: CallPath) -> list[CallPath]:
        """Takes the first few."""
        port, queue = known(path, "rdi", 16), known(path, "rsi", 16)
        array, count = known(path, "rdx"), known(path, "rcx", 16)
        device = device_of(path, port)
        path.oblige(queue == 0, "runtime", path.where, "queue 0 is the one that there is")
        pointers = [path.memory.load(array + 8 * k, 8, path.where) for k in range(count)]
        last = max((k for k, each in enumerate(ghost(path).frames) if device in each.offered), default=-1)
        numbers = []
        for pointer in pointers:
            number = self._number(path, pointer)
            path.oblige(number > last, "runtime", path.where, f"device {device} gets frames in their order, each once")
            last = number
            numbers.append(number)
            changed(path, number, offered=(*ghost(path).frames[number].offered, device))
        out = []
        for taken in range(count + 1):
            fork = path.fork()
            for number in numbers[:taken]:
                changed(fork, number, sent=(*ghost(fork).frames[number].sent, device))
                self._give_up(fork, number)
            out += returns(fork, short(taken, 16))
        return out

    def _release(self, path: CallPath, pointers: list[Value]) -> list[CallPath]:
        for pointer in pointers:
            self._give_up(path, self._number(path, pointer))
        return returns(path)

    def _release_all(self, path: CallPath) -> list[CallPath]:
        array, count = known(path, "rdi"), known(path, "rsi", 32)
        return self._release(path, [path.memory.load(array + 8 * k, 8, path.where) for k in range(count)])

    def _update(self, path: CallPath) -> list[CallPath]:
        """So many claims more, to a frame of one buffer: only its own are counted."""
        number = self._number(path, given(path, "rdi"))
        more = t.signed(known(path, "rsi", 16), 16)
        path.oblige(t.eq(16, self._symbol(number, "nb_segs"), 1), "runtime", path.where, "it is of one buffer")
        claims = ghost(path).frames[number].claims + more
        path.oblige(claims > 0, "runtime", path.where, f"somebody has a claim to frame {number}")
        changed(path, number, claims=claims)
        return returns(path, short(claims, 16))

    def _insert_tag(self, path: CallPath) -> list[CallPath]:
        """Puts the tag back, which the frame has in front of it from then on, or fails."""
        pointer = path.memory.load(known(path, "rdi"), 8, path.where)
        number = self._number(path, pointer)
        path.oblige(self._stripped(number), "runtime", path.where, f"frame {number} lacks its tag")
        frame = ghost(path).frames[number]
        failed = t.eq(1, self._symbol(number, "tag not put back"), 1)
        out = []
        if path.possible(failed):
            fork = path.fork()
            fork.assume(failed, fork.where)
            out += returns(fork, short(t.mask(32) - 27, 32))  # -ENOSPC
        if path.possible(t.lnot(failed)):
            path.assume(t.lnot(failed), path.where)
            for leaf in self.structs["rte_mbuf"].fields:
                at, bits = frame.address + leaf.offset, 8 * leaf.type.size_bytes
                old = path.memory.load(at, leaf.type.size_bytes, path.where)
                moved = {"data_off": t.sub(bits, old, TAG_BYTES), "data_len": t.add(bits, old, TAG_BYTES)}
                moved["ol_flags"] = t.band(bits, old, t.mask(bits) & ~(1 << VLAN_STRIPPED))
                path.memory.store(at, leaf.type.size_bytes, moved.get(leaf.name, old), path.where)
            out += returns(path)
        return out

    def _link(self, path: CallPath) -> list[CallPath]:
        """Up or down."""
        device = device_of(path, known(path, "rdi", 16))
        link = known(path, "rsi")
        up = t.zext(t.var(f"link of device {device}", 1), 1, 64)
        path.memory.store(link, 8, t.shl(64, up, LINK_STATUS), path.where)
        return returns(path)

