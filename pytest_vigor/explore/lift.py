"""Machine code to blocks: pyvex lifts it, and what it gives is converted once into closures that run fast."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from pytest_vigor.explore.block import Block
from pytest_vigor.explore.vex_conversion import convert
from pytest_vigor.explore.vex_unmodelled import Unmodelled

_LONGEST_BLOCK_BYTES = 99 * 15  # pyvex ends a block after 99 instructions
_UNDEFINED_INSTRUCTIONS = (b"\x0f\x0b", b"\x0f\xb9", b"\x0f\xff")  # ud2, ud1, ud0: traps on purpose


@functools.cache
def _amd64() -> Any:
    import archinfo

    return archinfo.ArchAMD64()


class Lifter:
    """Lifts the code that ``read(address, size_bytes)`` gives. It may give fewer bytes, where the code ends."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        # Only exploring needs these, and importing them takes longer than judging a property.
        import pyvex
        from pyvex.lifting.libvex import LibVEXLifter

        self._read = read
        self._arch = _amd64()
        self._pyvex, self._libvex = pyvex, LibVEXLifter
        self._blocks: dict[int, Block] = {}
        self._starts: list[int] = []

    def cut(self, starts: Iterable[int]) -> None:
        """From here on blocks end where others start, so that paths meet there."""
        self._starts = sorted({*self._starts, *starts})
        for address, block in list(self._blocks.items()):
            if self._room(address) < block.size_bytes:
                del self._blocks[address]

    def _room(self, address: int) -> int:
        """How many bytes there are to the next start."""
        following = bisect_right(self._starts, address)
        return self._starts[following] - address if following < len(self._starts) else _LONGEST_BLOCK_BYTES

    def block(self, address: int) -> Block:
        """The basic block at an address. Raises :class:`Unmodelled` where there is no code that VEX can decode."""
        found = self._blocks.get(address)
        if found is None:
            found = self._blocks[address] = self._lift(address)
        return found

    def _lift(self, address: int) -> Block:
        code = self._read(address, _LONGEST_BLOCK_BYTES)
        if code[:2] in _UNDEFINED_INSTRUCTIONS:
            return _trap(address)
        irsb = self._irsb(address, code, min(len(code), self._room(address)))
        if irsb is None or irsb.jumpkind == "Ijk_NoDecode":  # the start may be that of no instruction here
            irsb = self._irsb(address, code, len(code))
        if irsb is not None and irsb.jumpkind == "Ijk_NoDecode":
            # What VEX made of the instruction that it gave up on must go: lift what comes before it only.
            good = irsb.next.con.value - address
            irsb = self._irsb(address, code, good) if good else None
        if irsb is None or irsb.size > len(code):
            raise Unmodelled(f"the instruction that starts with the bytes {code[:15].hex(' ')}", address)
        return convert(irsb, code)

    def _irsb(self, address: int, code: bytes, size_bytes: int) -> Any:
        if not size_bytes:
            return None
        # VEX looks ahead. Not pyvex.lift: it tries other lifters where VEX fails, whose results nobody has checked.
        data = self._pyvex.ffi.from_buffer(code + bytes(16))
        try:
            return self._libvex(self._arch, address).lift(data, 0, size_bytes, None, 1, 0, True, True)
        except self._pyvex.errors.LiftingException:
            return None


def _trap(address: int) -> Block:
    from pytest_vigor.explore.block import Cursor

    return Block(address, 2, (), Cursor(0, (address,)), 0, "Ijk_SigILL", (address,), ())
