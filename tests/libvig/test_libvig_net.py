"""The contracts of net.h say what the RFCs say, on numbers and on symbols alike."""

import ctypes
import random
from functools import partial

import pytest

from pytest_vigor import contract as c, term as t
from pytest_vigor.number import fit, number
from tests.libvig.compiled import Library, Memory, contracts
from tests.libvig.readings import is_numeric

NUMERIC = [name for name in contracts().by_name if name.startswith("net_")]


def said(name: str, *arguments: int) -> int:
    """What the contract of a function says that it returns."""
    contract = contracts().by_name[name]
    result = contract.body(c.PlainCall({}), **dict(zip(contract.parameters, arguments, strict=True))).result
    assert isinstance(result, int)
    return result


def recomputed(data: bytes) -> int:
    """RFC 1071 section 1, for words as they lie in memory: the complement of the one's complement sum."""
    padded = data + bytes(len(data) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "little") for i in range(0, len(padded), 2))
    # Multiples of 65535 are the zero of one's complement; as a sum of words that are not all 0, it is 0xFFFF.
    return 0xFFFF - (0 if total == 0 else (total - 1) % 0xFFFF + 1)


def test_update_gives_the_example_of_rfc_1624() -> None:
    """Section 4: equation 3 gives 0x0000 where equation 2 would give 0xFFFF."""
    assert said("net_checksum_update16", 0xDD2F, 0x5555, 0x3285) == 0x0000


def test_conversion_is_that_of_the_network() -> None:
    for name in ("net_to_host16", "net_from_host16"):
        assert said(name, int.from_bytes(b"\x12\x34", "little")) == 0x1234
    for name in ("net_to_host32", "net_from_host32"):
        assert said(name, int.from_bytes(b"\x12\x34\x56\x78", "little")) == 0x12345678


@pytest.mark.parametrize(("name", "size_bytes"), [("net_checksum_update16", 2), ("net_checksum_update32", 4)])
def test_update_is_recomputation(name: str, size_bytes: int) -> None:
    rng = random.Random(1)
    for _ in range(3_000):
        data = bytearray(rng.choice((b"\0\0", b"\xff\xff", b"\x00\x01", rng.randbytes(2)))[i % 2] for i in range(20))
        data[0] = 0x45  # as in a header: RFC 1624 presumes that the words are not all 0
        place = rng.randrange(2, 20 - size_bytes, 2)
        checksum = recomputed(bytes(data))
        old = bytes(data[place : place + size_bytes])
        new = rng.choice((bytes(size_bytes), b"\xff" * size_bytes, rng.randbytes(size_bytes), old))
        data[place : place + size_bytes] = new
        updated = said(name, checksum, int.from_bytes(old, "little"), int.from_bytes(new, "little"))
        assert updated == recomputed(bytes(data))


def test_checksum_is_that_of_rfc_1071(shipped: Library) -> None:
    """`net_checksum` has no contract yet, so nothing else states this."""
    compute = shipped.inspect("net_checksum", ctypes.c_uint16, ctypes.c_void_p, ctypes.c_size_t)
    rng = random.Random(1)
    for size_bytes in (0, 1, 2, 3, 20, 61, 1480, 65535):
        memory = Memory(size_bytes)
        for filling in (bytes(size_bytes), b"\xff" * size_bytes, rng.randbytes(size_bytes)):
            memory.bytes.raw = filling
            assert compute(memory.address, size_bytes) == recomputed(filling)


class Undecided:
    """A run on which no branch may depend on a symbol."""

    def decide(self, condition: t.Bool) -> bool:
        raise AssertionError(t.show(condition))


def _value(values: dict[str, int], leaf: t.Term, _: object) -> int:
    return values[leaf.data]


@pytest.mark.parametrize("name", NUMERIC)
def test_contract_means_the_same_on_symbols(name: str, shipped: Library) -> None:
    assert is_numeric(shipped.functions[name])
    contract = contracts().by_name[name]
    assert isinstance(contract.returns, c.Scalar)
    run = Undecided()
    symbols = {
        parameter: number(run, t.var(parameter, kind.bits), kind.bits)
        for parameter, kind in contract.parameters.items()
        if isinstance(kind, c.Scalar)
    }
    inside, result = fit(contract.body(run, **symbols).result, contract.returns.bits)
    assert inside is True  # that the result has the right width needs no proof
    rng = random.Random(1)
    for _ in range(300):
        values = {
            parameter: rng.choice((0, t.mask(kind.bits), rng.getrandbits(kind.bits)))
            for parameter, kind in contract.parameters.items()
            if isinstance(kind, c.Scalar)
        }
        found = t.evaluate(result, partial(_value, values), {})
        assert found == said(name, *values.values())
