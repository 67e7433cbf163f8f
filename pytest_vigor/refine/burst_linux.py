"""Linux' side of a burst: a ring of AF_PACKET that the kernel shares (packet(7), TPACKET_V2), and sendmmsg(2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.explore.entry import set_up, short
from pytest_vigor.explore.memory import Region, Stop
from pytest_vigor.layout import Struct, scalars
from pytest_vigor.refine.burst import GHOST, Burst, Frame, Io, Sizes, changed, device_of, ghost, known, returns
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.machine import Machine, Model
from pytest_vigor.refine.split_memory import SplitMemory
from pytest_vigor.term import Bool, Value

SLOT_BYTES, SLOTS = 2048, 2048  #: libvig/runtime/linux_frames.h
NEXT = SLOTS - 1  #: the slot to be looked at, so that a burst goes once around the ring
TAG_BYTES, ADDRESSES_BYTES = 4, 12
#: Where tpacket_rcv puts an Ethernet frame: behind struct tpacket2_hdr and struct sockaddr_ll, so that what follows the
#: Ethernet header is aligned to 16 bytes, and PACKET_RESERVE (TAG_BYTES) further.
MAC_AT = 70
#: linux/if_packet.h
USER, CHECKSUM_NOT_READY, VLAN_VALID, VLAN_TPID_VALID = 1, 1 << 3, 1 << 4, 1 << 6
ETH_P_8021Q = 0x8100
EINTR, EAGAIN, EMSGSIZE, ENETDOWN = 4, 11, 90, 100
MESSAGE_BYTES, IOV_AT, IOV_COUNT_AT, SENT_LENGTH_AT = 64, 16, 24, 56  #: struct mmsghdr
ERRORS = (EAGAIN, EMSGSIZE, ENETDOWN)


class RingMemory(SplitMemory):
    """Memory in which a slot that has gone back to the kernel may not be touched, nor one that it has not given."""

    ring: Region

    def fork(self, asker: Any) -> RingMemory:
        other = super().fork(asker)
        assert isinstance(other, RingMemory)
        other.ring = self.ring
        return other

    def _locate(self, address: Value, size_bytes: int, where: int, write: bool, guard: Bool) -> tuple[Region, Value]:
        region, offset = super()._locate(address, size_bytes, where, write, guard)
        if region.base == self.ring.base:
            if not isinstance(offset, int):
                raise Stop(f"an index of which nothing is known: {t.show(offset)}")
            status = self._load_at(region, offset - offset % SLOT_BYTES, 4)
            given = t.ne(32, t.band(32, status, USER), 0)
            asks = not write and offset % SLOT_BYTES == 0 and size_bytes == 4 and not isinstance(status, int)
            self.asker.oblige(asks or given, "runtime", where, "the slot is not the kernel's")
        return region, offset


class Linux(Io):
    """Frames are slots of a ring."""

    name = "linux"

    def __init__(self, sizes: Sizes, structs: dict[str, Struct]) -> None:
        super().__init__(sizes, structs)
        self.ring = 0
        self.fields = {each.path: each for each in scalars(structs["tpacket2_hdr"])}

    def begin(self, machine: Machine) -> tuple[CallPath, list[Value]]:
        self.machine = machine
        path = machine.start()
        memory = RingMemory(machine.binary, path)
        path.memory = memory
        set_up(path)
        memory.ring = memory.add("the ring", SLOTS * SLOT_BYTES)
        self.ring = memory.ring.base
        frames = tuple(self._frame(path, memory.ring, number) for number in range(self.sizes.burst))
        path.ghosts[GHOST] = Burst(frames)
        return path, [self.ring, short(NEXT, 32)]

    def models(self) -> dict[str, Model]:
        return {"sendmmsg": self._send, "getsockopt": self._ask, "__errno_location": self._errno}

    # ---- frames

    def _symbol(self, number: int, name: str) -> Value:
        sizes = {"destination and source": 8 * ADDRESSES_BYTES}
        bits = sizes.get(name) or 8 * self.fields[name].type.size_bytes
        return t.var(f"{name} of frame {number}", bits)

    def symbols(self) -> Iterator[Value]:
        for number in range(self.sizes.burst):
            for name in ("tp_status", "tp_len", "tp_snaplen"):
                yield self._symbol(number, name)

    def _slot(self, number: int) -> int:
        return self.ring + (NEXT + number) % SLOTS * SLOT_BYTES

    def _frame(self, path: CallPath, ring: Region, number: int) -> Frame:
        """A slot, which may hold a frame."""
        slot = self._slot(number)
        for name, leaf in self.fields.items():
            value = MAC_AT if name == "tp_mac" else self._symbol(number, name)
            self._put(ring, slot + leaf.offset, leaf.type.size_bytes, value)
        self._put(ring, slot + MAC_AT, ADDRESSES_BYTES, self._symbol(number, "destination and source"))
        status, length, kept = (self._symbol(number, each) for each in ("tp_status", "tp_len", "tp_snaplen"))
        if self.sizes.plain:
            path.hold(t.lnot(self._flag(status, VLAN_VALID)))
            path.hold(t.lnot(self._flag(status, CHECKSUM_NOT_READY)))
        path.hold(t.ule(32, kept, t.sub(32, SLOT_BYTES, MAC_AT)))
        path.hold(t.ule(32, kept, length))
        path.hold(t.ule(32, ADDRESSES_BYTES + 2, kept))  # an Ethernet header at least
        tagged = self._flag(status, VLAN_VALID)
        more = t.ite(32, tagged, TAG_BYTES, 0)
        unfinished = self._flag(status, CHECKSUM_NOT_READY)
        hidden = t.lor(unfinished, t.ult(32, kept, length))
        at = t.sub(64, slot + MAC_AT, t.zext(more, 32, 64))
        return Frame(slot, at, t.add(32, length, more), hidden, unfinished)

    @staticmethod
    def _put(region: Region, address: int, size_bytes: int, value: Value) -> None:
        for k in range(size_bytes):
            region.cells[address - region.base + k] = (value, size_bytes, k)

    @staticmethod
    def _flag(status: Value, flag: int) -> Bool:
        return t.ne(32, t.band(32, status, flag), 0)

    def frames(self, path: CallPath, count: int) -> tuple[Bool, tuple[Frame, ...]]:
        there: list[Bool] = [self._flag(self._symbol(k, "tp_status"), USER) for k in range(self.sizes.burst)]
        more = there[count] if count < self.sizes.burst else False
        frames = ghost(path).frames[:count]
        return t.land(*there[:count], t.lnot(more)), tuple(replace(each, claims=0) for each in frames)

    def holds(self, frame: Frame, place: Value) -> bool:
        return 0 <= t.split_base(64, place)[0] - frame.address < SLOT_BYTES

    def unchanged(self, path: CallPath, frame: Frame) -> Iterator[tuple[str, Bool]]:
        """With a tag that the kernel had taken out, it is back behind the addresses (IEEE 802.1Q)."""
        number = ghost(path).frames.index(frame)
        status = self._symbol(number, "tp_status")
        tagged = self._flag(status, VLAN_VALID)
        region = path.memory.region_at(self.ring)
        assert region is not None
        first = frame.address - self.ring + MAC_AT
        load = path.memory._load_at
        addresses = self._symbol(number, "destination and source")
        bits = 8 * ADDRESSES_BYTES
        plain, moved = load(region, first, ADDRESSES_BYTES), load(region, first - TAG_BYTES, ADDRESSES_BYTES)
        yield "addresses are as they came", t.lor(tagged, t.eq(bits, plain, addresses))
        yield "addresses are as they came, before the tag", t.lor(t.lnot(tagged), t.eq(bits, moved, addresses))
        kind = t.ite(16, self._flag(status, VLAN_TPID_VALID), self._symbol(number, "tp_vlan_tpid"), ETH_P_8021Q)
        for name, value, at in (("kind", kind, 8), ("tag", self._symbol(number, "tp_vlan_tci"), 10)):
            swapped = t.concat([(8, t.extract(value, 16, 7, 0)), (8, t.extract(value, 16, 15, 8))])
            found = load(region, first + at, 2)
            yield f"the {name} is the one that was taken out", t.lor(t.lnot(tagged), t.eq(16, found, swapped))
        known = range(first - TAG_BYTES, first + ADDRESSES_BYTES)
        start, slot_end = frame.address - self.ring + 32, frame.address - self.ring + SLOT_BYTES
        written = [offset for offset in region.cells if start <= offset < slot_end and offset not in known]
        yield "nothing else of the frame is written", not written

    def handed_back(self, path: CallPath, count: int) -> Iterator[tuple[str, Bool]]:
        region = path.memory.region_at(self.ring)
        assert region is not None
        for number in range(self.sizes.burst):
            status = path.memory._load_at(region, self._slot(number) - self.ring, 4)
            back = status == 0 if number < count else status is self._symbol(number, "tp_status")
            yield f"slot {number} is the kernel's again if it had a frame", back
        (end,), _ = self.machine.call(path, "proof_next", [short(self.sizes.device, 16)])
        following = t.extract(end.registers.read("rax"), 64, 31, 0)
        yield "the next slot is the one behind", t.eq(32, following, (NEXT + count) % SLOTS)

    # ---- functions

    def _send(self, path: CallPath) -> list[CallPath]:
        """Sends the first few at once, or fails for the first one."""
        device = device_of(path, known(path, "rdi", 32))
        messages, count = known(path, "rsi"), known(path, "rdx", 32)
        path.oblige(count > 0, "runtime", path.where, "there is something to send")
        load, where = path.memory.load, path.where
        numbers: list[int] = []
        for k in range(count):
            message = messages + k * MESSAGE_BYTES
            for at, value in ((0, 0), (8, 0), (IOV_COUNT_AT, 1), (32, 0), (40, 0)):
                size = 4 if at == 8 else 8
                path.oblige(t.eq(8 * size, load(message + at, size, where), value), "runtime", where, "a plain message")
            vector = load(message + IOV_AT, 8, where)
            if not isinstance(vector, int):
                raise Stop(f"an index of which nothing is known: {t.show(vector)}")
            start, length = load(vector, 8, where), load(vector + 8, 8, where)
            frames = ghost(path).frames
            number = next((n for n, each in enumerate(frames) if self.holds(each, start)), -1)
            path.oblige(number >= 0, "runtime", where, "a message is a frame of the burst")
            frame = frames[number]
            path.oblige(t.eq(64, start, frame.bytes_at), "runtime", where, f"what is sent are the bytes of {number}")
            all_of_it = t.eq(64, length, t.zext(frame.length, 32, 64))
            path.oblige(all_of_it, "runtime", where, f"of frame {number} all is sent")
            path.oblige(frame.asked, "runtime", where, f"the NF has seen frame {number}")
            # Sending reads what lies there.
            path.memory._locate(frame.address + MAC_AT, 1, where, False, True)
            last = max((n for n, each in enumerate(frames) if device in each.sent), default=-1)
            in_order = number > max([last, *numbers[-1:]])
            path.oblige(in_order, "runtime", where, f"device {device} gets frames in their order, each once")
            numbers.append(number)
        out = []
        for taken in range(1, count + 1):
            fork = path.fork()
            for number in numbers[:taken]:
                frame = ghost(fork).frames[number]
                changed(fork, number, sent=(*frame.sent, device), offered=self._offered(frame, device))
            self._keep_apart(fork, taken)
            out += returns(fork, short(taken, 32))
        for error in (*ERRORS, *(() if ghost(path).interrupted else (EINTR,))):
            fork = path.fork()
            if error == EINTR:  # as often as it likes, but once is enough to see what comes of it
                fork.ghosts[GHOST] = replace(ghost(fork), interrupted=True)
            else:
                first = ghost(fork).frames[numbers[0]]
                changed(fork, numbers[0], offered=self._offered(first, device))
            fork.memory.store(self._place_of_errno(fork), 4, error, where)
            self._keep_apart(fork, -error)
            out += returns(fork, short(t.mask(32), 32))
        return out

    @staticmethod
    def _offered(frame: Frame, device: int) -> tuple[int, ...]:
        return tuple(dict.fromkeys((*frame.offered, device)))

    @staticmethod
    def _keep_apart(path: CallPath, mark: int) -> None:
        path.cases = (*path.cases, mark)

    def _place_of_errno(self, path: CallPath) -> int:
        storage = path.entry[1]
        assert isinstance(storage, int)
        return storage + 128

    def _errno(self, path: CallPath) -> list[CallPath]:
        return returns(path, self._place_of_errno(path))

    def _ask(self, path: CallPath) -> list[CallPath]:
        """SO_ERROR: there was one, or none."""
        device_of(path, known(path, "rdi", 32))
        place = known(path, "rcx")
        path.oblige(t.eq(32, path.memory.load(known(path, "r8"), 4, path.where), 4), "runtime", path.where, "an int")
        out = []
        for error in (0, ENETDOWN):
            fork = path.fork()
            fork.memory.store(place, 4, error, fork.where)
            self._keep_apart(fork, 1000 + error)
            out += returns(fork, 0)
        return out
