"""The few machine instructions that Python cannot stand in for, and the operating system's calls that it lacks.

What a binary finds in memory and registers that it did not initialise should be under our control: a filler byte.
Python leaves its own traces on the stack, so the stack is filled by the very code that enters the NF, and again by the
code through which a library call returns to it.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from typing import Any

PAGE_BYTES = mmap.PAGESIZE

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
)  # fmt: skip
_LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

NO_ACCESS, READ, WRITE, EXECUTE = 0, mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC


def map_memory(size_bytes: int, access: int) -> int:
    """The address of new memory of our own."""
    # MAP_NORESERVE: large guards should cost nothing.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000
    address: int | None = _LIBC.mmap(None, size_bytes, access, flags, -1, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        raise MemoryError(f"no {size_bytes} bytes of memory")
    return address


def protect(address: int, size_bytes: int, access: int) -> None:
    """Changes what may be done to the pages in which these bytes lie."""
    start = address // PAGE_BYTES * PAGE_BYTES
    if _LIBC.mprotect(start, address + size_bytes - start, access) != 0:
        raise OSError(ctypes.get_errno(), "mprotect failed")


# All registers but rdx, rsp and those that the callee must preserve, and 64 KiB below the stack pointer. The pattern
# is the operand of the first instruction.
_SPOIL = """
    48 b8 {pattern}         movabs rax, pattern
    48 81 ec 00 00 01 00    sub    rsp, 0x10000
    48 89 e7                mov    rdi, rsp
    b9 00 20 00 00          mov    ecx, 0x2000
    f3 48 ab                rep    stosq
    48 81 c4 00 00 01 00    add    rsp, 0x10000
    66 48 0f 6e c0          movq   xmm0, rax
    66 0f 6c c0             punpcklqdq xmm0, xmm0
    66 0f 6f c8             movdqa xmm1, xmm0
    66 0f 6f d0             movdqa xmm2, xmm0
    66 0f 6f d8             movdqa xmm3, xmm0
    66 0f 6f e0             movdqa xmm4, xmm0
    66 0f 6f e8             movdqa xmm5, xmm0
    66 0f 6f f0             movdqa xmm6, xmm0
    66 0f 6f f8             movdqa xmm7, xmm0
    66 44 0f 6f c0          movdqa xmm8, xmm0
    66 44 0f 6f c8          movdqa xmm9, xmm0
    66 44 0f 6f d0          movdqa xmm10, xmm0
    66 44 0f 6f d8          movdqa xmm11, xmm0
    66 44 0f 6f e0          movdqa xmm12, xmm0
    66 44 0f 6f e8          movdqa xmm13, xmm0
    66 44 0f 6f f0          movdqa xmm14, xmm0
    66 44 0f 6f f8          movdqa xmm15, xmm0
    49 89 c0                mov    r8, rax
    49 89 c1                mov    r9, rax
"""

# int64_t enter(void *function, const uint64_t arguments[4])
_ENTER = f"""
    53                      push   rbx
    55                      push   rbp
    41 54                   push   r12
    41 55                   push   r13
    41 56                   push   r14
    41 57                   push   r15
    48 83 ec 08             sub    rsp, 8
    49 89 fb                mov    r11, rdi
    49 89 f2                mov    r10, rsi
{_SPOIL}
    48 89 c3                mov    rbx, rax
    48 89 c5                mov    rbp, rax
    49 89 c4                mov    r12, rax
    49 89 c5                mov    r13, rax
    49 89 c6                mov    r14, rax
    49 89 c7                mov    r15, rax
    49 8b 3a                mov    rdi, [r10]
    49 8b 72 08             mov    rsi, [r10+8]
    49 8b 52 10             mov    rdx, [r10+16]
    49 8b 4a 18             mov    rcx, [r10+24]
    49 89 c2                mov    r10, rax
    41 ff d3                call   r11
    48 83 c4 08             add    rsp, 8
    41 5f                   pop    r15
    41 5e                   pop    r14
    41 5d                   pop    r13
    41 5c                   pop    r12
    5d                      pop    rbp
    5b                      pop    rbx
    c3                      ret
"""

# Stands in for a library function of at most six arguments: hands them to the target and leaves no other trace.
_STAND_IN = f"""
    48 83 ec 08             sub    rsp, 8
    48 b8 {{target}}        movabs rax, target
    ff d0                   call   rax
    48 89 c2                mov    rdx, rax
{_SPOIL}
    48 83 c4 08             add    rsp, 8
    48 89 c1                mov    rcx, rax
    48 89 c6                mov    rsi, rax
    48 89 c7                mov    rdi, rax
    49 89 c2                mov    r10, rax
    49 89 c3                mov    r11, rax
    48 92                   xchg   rax, rdx
    c3                      ret
"""

# void sweep(uint64_t arguments[8]): for each index below arguments[2], used[index] = function(structure, index, first,
# second), where first and second advance by their sizes. A table of a million entries should take no second to read.
_SWEEP = """
    53                      push   rbx
    55                      push   rbp
    48 83 ec 08             sub    rsp, 8
    48 89 fb                mov    rbx, rdi
    31 ed                   xor    ebp, ebp
    48 3b 6b 10       next: cmp    rbp, [rbx+16]
    73 2c                   jae    done
    48 8b 7b 08             mov    rdi, [rbx+8]
    89 ee                   mov    esi, ebp
    48 8b 53 18             mov    rdx, [rbx+24]
    48 8b 4b 28             mov    rcx, [rbx+40]
    ff 13                   call   qword ptr [rbx]
    48 8b 53 38             mov    rdx, [rbx+56]
    88 04 2a                mov    [rdx+rbp], al
    48 8b 53 20             mov    rdx, [rbx+32]
    48 01 53 18             add    [rbx+24], rdx
    48 8b 53 30             mov    rdx, [rbx+48]
    48 01 53 28             add    [rbx+40], rdx
    48 ff c5                inc    rbp
    eb ce                   jmp    next
    48 83 c4 08       done: add    rsp, 8
    5d                      pop    rbp
    5b                      pop    rbx
    c3                      ret
"""

# void handle(int signal, siginfo_t *, ucontext_t *): notes signal, si_code, si_addr and the interrupted rip.
_HANDLE = """
    48 b9 {slot}            movabs rcx, slot
    89 f8                   mov    eax, edi
    48 89 01                mov    [rcx], rax
    48 63 46 08             movsxd rax, dword ptr [rsi+8]
    48 89 41 08             mov    [rcx+8], rax
    48 8b 46 10             mov    rax, [rsi+16]
    48 89 41 10             mov    [rcx+16], rax
    48 8b 82 a8 00 00 00    mov    rax, [rdx+168]
    48 89 41 18             mov    [rcx+24], rax
    c3                      ret
"""

LISTINGS = (_ENTER, _STAND_IN, _SWEEP, _HANDLE)


def assemble(listing: str, **operands: int) -> bytes:
    """The bytes of a listing: its first column, with 8-byte operands filled in."""
    digits = " ".join(line.strip().split("  ")[0] for line in listing.splitlines())
    return bytes.fromhex(digits.format(**{name: value.to_bytes(8, "little").hex() for name, value in operands.items()}))


class Code:
    """Memory that holds instructions of ours, for one filler byte."""

    _SIZE_BYTES = 1 << 16

    def __init__(self, filler: int) -> None:
        self._pattern = int.from_bytes(bytes([filler]) * 8, "little")
        self._start = map_memory(self._SIZE_BYTES, READ | WRITE)
        self._used = 0
        self._kept: list[Any] = []
        enter = self._add(assemble(_ENTER, pattern=self._pattern))
        self._enter = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, ctypes.c_uint64)(enter)
        self._sweep = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(self._add(assemble(_SWEEP)))

    def _add(self, code: bytes) -> int:
        address = self._start + self._used
        self._used += -(-len(code) // 16) * 16
        if self._used > self._SIZE_BYTES:
            raise MemoryError("too many library functions to stand in for")
        protect(self._start, self._SIZE_BYTES, READ | WRITE)
        ctypes.memmove(address, code, len(code))
        protect(self._start, self._SIZE_BYTES, READ | EXECUTE)
        return address

    def enter(self, function: int, arguments: tuple[int, ...]) -> int:
        """Calls a function with at most four numbers; what it returns is the whole of rax, as a signed number."""
        padded = (ctypes.c_uint64 * 4)(*(argument % (1 << 64) for argument in arguments))
        result: int = self._enter(function, ctypes.addressof(padded))
        return result

    def sweep(
        self, function: int, structure: int, count: int, first_bytes: int, second_bytes: int
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """Calls `bool function(structure, index, out_first, out_second)` for each index below a count; gives those for
        which it returned true, with what it wrote."""
        first, second, used = (
            ctypes.create_string_buffer(max(1, count * size)) for size in (first_bytes, second_bytes, 1)
        )
        starts = [ctypes.addressof(buffer) for buffer in (first, second, used)]
        arguments = (ctypes.c_uint64 * 8)(
            function, structure, count, starts[0], first_bytes, starts[1], second_bytes, starts[2]
        )
        self._sweep(ctypes.addressof(arguments))
        firsts, seconds, flags = memoryview(first), memoryview(second), used.raw[:count]
        index = -1
        while (index := flags.find(1, index + 1)) >= 0:
            yield (
                index,
                bytes(firsts[index * first_bytes : (index + 1) * first_bytes]),
                bytes(seconds[index * second_bytes : (index + 1) * second_bytes]),
            )

    def stand_in(self, count: int, target: Callable[..., int]) -> int:
        """The address of a function of `count` 64-bit parameters that hands them to a Python function."""
        callback = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * count)(target)
        self._kept.append(callback)
        address = ctypes.cast(callback, ctypes.c_void_p).value
        assert address is not None
        return self._add(assemble(_STAND_IN, target=address, pattern=self._pattern))

    def note_faults(self, signals: tuple[int, ...], slot: int) -> None:
        """Notes the first of these signals in a slot of four 64-bit numbers, and lets it take its course."""
        alternate = map_memory(1 << 16, READ | WRITE)
        # The stack itself may be what there is none left of. struct stack_t: address, flags, size.
        if _LIBC.sigaltstack((ctypes.c_uint64 * 3)(alternate, 0, 1 << 16), None) != 0:
            raise OSError(ctypes.get_errno(), "sigaltstack failed")
        action = _Action(self._add(assemble(_HANDLE, slot=slot)))
        action.flags = _SIGINFO | _RESET_HANDLER | _ON_STACK
        for signal in signals:
            if _LIBC.sigaction(signal, ctypes.byref(action), None) != 0:
                raise OSError(ctypes.get_errno(), "sigaction failed")


# SA_RESETHAND: once noted, the same instruction faults again, and its parent sees the signal as it was.
_SIGINFO, _RESET_HANDLER, _ON_STACK = 4, 0x80000000 - (1 << 32), 0x08000000


class _Action(ctypes.Structure):
    """glibc's struct sigaction."""

    _fields_ = (
        ("handler", ctypes.c_uint64),
        ("mask", ctypes.c_uint8 * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_uint64),
    )


def die_with_parent() -> None:
    """Makes the kernel end this process when its parent ends."""
    pr_set_pdeathsig, sigkill = 1, 9
    _LIBC.prctl(pr_set_pdeathsig, sigkill, 0, 0, 0)


def image_start(address: int) -> int:
    """Where the shared object begins in which an address lies."""
    found = _Place()
    if _LIBC.dladdr(ctypes.c_void_p(address), ctypes.byref(found)) == 0:
        raise LookupError(f"{address:#x} lies in no shared object")
    start: int = found.start
    return start


class _Place(ctypes.Structure):
    """Dl_info."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("start", ctypes.c_uint64),
        ("symbol", ctypes.c_char_p),
        ("symbol_address", ctypes.c_uint64),
    )
