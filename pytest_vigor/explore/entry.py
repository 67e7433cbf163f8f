"""What a function finds when it is called, and what it owes its caller (System V ABI for amd64)."""

from __future__ import annotations

from pytest_vigor import term as t
from pytest_vigor.explore.block import Registers
from pytest_vigor.explore.path import PathState
from pytest_vigor.explore.search import EXIT
from pytest_vigor.term import Value

ARGUMENT_REGISTERS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
STACK_BYTES = 64 * 1024
TLS_BYTES = 256
CANARY_OFFSET = 0x28
CALLEE_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")


def set_up(path: PathState) -> None:
    """Adds stack, thread-local storage, and the return address to a path's memory."""
    stack = path.memory.add("the stack", STACK_BYTES)
    tls = path.memory.add("thread-local storage", TLS_BYTES)
    for k in range(8):
        tls.cells[CANARY_OFFSET + k] = (t.var("canary", 64), 8, k)
    # The return address is the last that a function may touch (what lies above is its caller's), and the stack is
    # aligned to 16 bytes before the call that puts it there (System V ABI section 3.2.2).
    top = STACK_BYTES - 8
    for k in range(8):
        stack.cells[top + k] = (EXIT, 8, k)
    path.registers.write("rsp", stack.base + top)
    path.registers.write("fs", tls.base)


def short(value: Value, bits: int) -> Value:
    """An argument narrower than a register: its caller extends it to 32 bits (assumption ABI_EXTENSION)."""
    return t.concat([(32, t.undefined("the upper half of an argument", 32)), (32, t.zext(value, bits, 32))])


def restored(end: PathState, start: Registers) -> bool:
    """Whether the stack pointer and the registers that a function must leave alone are as its caller expects."""
    return end.registers.read("rsp") == t.add(64, start.read("rsp"), 8) and all(
        end.registers.read(name) is start.read(name) for name in CALLEE_SAVED
    )
