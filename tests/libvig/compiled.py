"""libVig as a shared object whose functions are called in the way that their contracts declare them.

Nothing here knows a function: which arguments are pointers, numbers or places for results is read from the contract.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_vigor import contract as c
from pytest_vigor.build import FLAGS, libvig_root
from pytest_vigor.compiler import find_compiler

SANITISED = (
    *(flag for flag in FLAGS if flag != "-O2"),
    "-O1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
CHECKED = "-DVIGOR_CHECKS"

_MEMORY = ctypes.CDLL(None)
_MEMORY.malloc.restype = ctypes.c_void_p
_MEMORY.malloc.argtypes = [ctypes.c_size_t]


def build(out: Path, flags: Sequence[str] = FLAGS, root: Path | None = None, cc: str | None = None) -> Path:
    """Builds libVig, or the changed copy of it at ``root``, as a shared object."""
    root = root or libvig_root()
    sources = [str(path) for path in sorted(root.glob("*/*.c")) if path.parent.name != "runtime"]
    ran = find_compiler(cc).run([*flags, f"-I{root}", *sources, "-o", str(out)], root)
    if ran.returncode != 0:
        raise subprocess.CalledProcessError(ran.returncode, ran.args, ran.stdout, ran.stderr)
    return out


class Memory:
    """Bytes that a call may read or write. Each block is exactly as long as it has to be and comes from malloc, so
    that AddressSanitizer notices a step beyond it."""

    __slots__ = ("address", "bytes", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.address: int = _MEMORY.malloc(size_bytes)
        self.bytes = (ctypes.c_char * size_bytes).from_address(self.address)

    def write(self, bits: int) -> None:
        self.bytes.raw = bits.to_bytes(self.size_bytes, "little")

    def read(self) -> int:
        return int.from_bytes(self.bytes.raw, "little")


def read(address: int, size_bytes: int) -> int:
    """The bits of memory at an address."""
    return int.from_bytes(ctypes.string_at(address, size_bytes), "little")


def write(address: int, size_bytes: int, bits: int) -> None:
    """Puts bits at an address."""
    ctypes.memmove(address, bits.to_bytes(size_bytes, "little"), size_bytes)


def number(bits: int, is_signed: bool) -> Any:
    """C's type for numbers of that width."""
    return getattr(ctypes, f"c_{'' if is_signed else 'u'}int{bits}")


def signed(bits_value: int, bits: int) -> int:
    """Bits read as two's complement."""
    return bits_value - (1 << bits) if bits_value >> (bits - 1) else bits_value


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back from a call: its result and the bits at every place for a result."""

    result: int | None
    out: Mapping[str, int]


@dataclass(slots=True)
class Function:
    """One compiled function."""

    contract: c.Contract
    native: Any
    blocks: dict[tuple[str, int], Memory] = field(default_factory=dict)

    def __call__(self, arguments: Mapping[str, int], key_bytes: int, canary: int) -> Returned:
        """Calls the function. States and loans are addresses, keys are bits; places for results hold ``canary``
        before. ``key_bytes`` is the size of the keys of the structure in question."""
        passed = []
        places: dict[str, tuple[Memory, c.Out]] = {}
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.Key):
                memory = self._block(name, key_bytes)
                memory.write(arguments[name])
                passed.append(memory.address)
            elif isinstance(kind, c.Out):
                memory = self._block(name, key_bytes if kind.of else kind.bits // 8)
                memory.write(canary & (1 << 8 * memory.size_bytes) - 1)
                places[name] = memory, kind
                passed.append(memory.address)
            else:
                passed.append(arguments[name])
        result = self.native(*passed)
        if result is None and not isinstance(self.contract.returns, c.Nothing):
            result = 0  # ctypes turns NULL into None
        return Returned(result, {name: self._read(*place) for name, place in places.items()})

    def _block(self, name: str, size_bytes: int) -> Memory:
        found = self.blocks.get((name, size_bytes))
        if found is None:
            found = self.blocks[name, size_bytes] = Memory(size_bytes)
        return found

    @staticmethod
    def _read(memory: Memory, kind: c.Out) -> int:
        bits = memory.read()
        return signed(bits, kind.bits) if kind.signed else bits


class Library:
    """A compiled libVig under its contracts."""

    def __init__(self, path: Path, contracts: c.Contracts) -> None:
        self.path, self.contracts = path, contracts
        self.native = ctypes.CDLL(str(path))
        self.functions = {name: self._bind(found) for name, found in contracts.by_name.items()}

    def _bind(self, contract: c.Contract) -> Function:
        native = self.native[contract.name]  # not by attribute, which would share one object among all libraries
        native.argtypes = [self._type(kind) for kind in contract.parameters.values()]
        native.restype = None if isinstance(contract.returns, c.Nothing) else self._type(contract.returns)
        return Function(contract, native)

    @staticmethod
    def _type(kind: c.Kind | c.Returns) -> Any:
        return number(kind.bits, kind.signed) if isinstance(kind, c.Scalar) else ctypes.c_void_p

    def inspect(self, name: str, result: Any, *types: Any) -> Any:
        """A function for inspection, which has no contract."""
        native = self.native[name]
        native.restype, native.argtypes = result, list(types)
        return native


def contracts(root: Path | None = None) -> c.Contracts:
    """The contracts of libVig, or of the changed copy at ``root``."""
    return c.collect(c.load(root or libvig_root()))


def perturb_memory() -> None:
    """Makes malloc fill what it returns, so that memory that was never written shows. It stays so in this process."""
    _MEMORY.mallopt(-6, 0xA5)  # M_PERTURB
