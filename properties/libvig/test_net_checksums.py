"""net.h's checksums are those of RFC 1071, and its updates by RFC 1624 equal computing them anew, for all data.

RFC 1071 adds 16-bit words in one's complement: their sum modulo 65535, of which 65535 is the other zero that only words
that are all 0 do not give. Asked over the integers, where that is linear.
"""

from functools import partial

import pytest

from pytest_vigor import contract as c, term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.integers import impossible

NUMERIC = sorted(c.collect([c.module_at(libvig_root() / "net" / "contract.py")]).by_name)
RESOURCES = 8_000_000  # of z3: some CPU seconds
WORDS_MAX = 1 << 15  # of a datagram, which has at most 65,535 bytes
SIZES = (*range(10), *range(20, 64, 4))  # and the headers of IPv4


def _recomputed(total, bits=32):
    """The checksum of words of which the sum is given in so many bits (RFC 1071 section 1)."""
    folded = t.add(bits, 1, t.urem(bits, t.sub(bits, total, 1), 0xFFFF))
    return t.extract(t.sub(bits, 0xFFFF, t.ite(bits, t.eq(bits, total, 0), 0, folded)), bits, 15, 0)


def _called(library, path, function, arguments):
    returned, stuck = library.machine.call(path, function, arguments)
    assert returned and not stuck and not library.machine.search.broken
    return [(end, t.extract(end.registers.read("rax"), 64, 15, 0)) for end in returned]


def _always_equal(pairs, more=()):
    """Whether what was returned is what is expected, on every path."""
    return all(
        t.eq(16, value, expected) is True
        or impossible([*end.conditions(), *more], [t.ne(16, value, expected)], RESOURCES)
        for end, value, expected in pairs
    )


@pytest.mark.parametrize("function", NUMERIC)
def test_function_of_numbers_does_what_its_contract_says(library, shown, function):
    from pytest_vigor.refine.refinement import Refinement

    verdict = Refinement(library, library.contracts.by_name[function], {}).verdict()
    shown(function, "every argument", [("any argument", verdict)])


@pytest.mark.parametrize(("function", "bits"), [("net_checksum_update16", 16), ("net_checksum_update32", 32)])
def test_updating_is_computing_anew(library, shown, function, bits):
    """RFC 1624 §3, for any data of which the words that stay are not all 0, as in every header."""
    from pytest_vigor.refine.library import Refuted, Shown

    rest, old, new = t.var("the other words", 31), t.var("old", bits), t.var("new", bits)
    some = t.land(t.ult(31, 0, rest), t.ule(31, rest, 0xFFFF * (WORDS_MAX - 1)))

    def total(value):
        words = [t.extract(value, bits, low + 15, low) for low in range(0, bits, 16)]
        out = t.zext(rest, 31, 32)
        for word in words:
            out = t.add(32, out, t.zext(word, 16, 32))
        return out

    path = library.machine.start()
    path.hold(some)
    before = _recomputed(total(old))
    arguments = [t.zext(before, 16, 64), t.zext(old, bits, 64), t.zext(new, bits, 64)]
    pairs = [(end, value, _recomputed(total(new))) for end, value in _called(library, path, function, arguments)]
    verdict = Shown(len(pairs)) if _always_equal(pairs) else Refuted("not shown over the integers")
    shown(f"{function} = recomputation", "every header and datagram", [("any data", verdict)])


def test_checksum_is_that_of_rfc_1071(library, shown):
    """Every IPv4 header, and whatever is as short as the other cases of the loop."""
    from pytest_vigor.refine.library import Refuted, Shown

    def verdict(size_bytes):
        path = library.machine.start()
        data = path.memory.add("the data", size_bytes, writable=False)
        total = 0
        for at in range(0, size_bytes, 2):
            width = min(2, size_bytes - at)
            word = t.var(f"word {at}", 8 * width)
            for k in range(width):
                data.cells[at + k] = (word, width, k)
            total = t.add(32, total, t.zext(word, 8 * width, 32))
        returned = _called(library, path, "net_checksum", [data.base, size_bytes])
        pairs = [(end, value, _recomputed(total)) for end, value in returned]
        return Shown(len(pairs)) if _always_equal(pairs) else Refuted("not shown over the integers")

    verdicts = ((f"{size} bytes", verdict(size)) for size in SIZES)
    shown("net_checksum", "every IPv4 header, and 0 to 9 bytes", verdicts)


LATER_BITS = 15
LATER = t.var("words after the first", LATER_BITS)
WORDS = t.add(32, t.zext(LATER, LATER_BITS, 32), 1)
TOTAL_BITS = 33
TOTAL = t.zext(t.var("the sum of everything", TOTAL_BITS), TOTAL_BITS, 64)


def _sum(many):
    """The sum of the first so many words: an unknown function, of which each round tells the next value."""
    return t.app("sum", 64, (32, many))


def longer_checksum(library, odd):
    """The verdict on net_checksum of 2 bytes and more, by induction over the words: when the loop has made so many
    rounds, it has the sum of as many words. ``odd`` is whether a byte is left over."""
    from pytest_vigor.refine.array import Array
    from pytest_vigor.refine.induction import ROUNDS, Loop, by_induction
    from pytest_vigor.refine.library import NotShown, Unsettled, concluded

    data = Array.unknown("words", 2)

    def word(place):
        return t.zext(data.read(place), 16, 64)

    def given(rounds):
        return t.eq(64, _sum(t.add(32, rounds, 1)), t.add(64, _sum(rounds), word(rounds)))

    def holds(_, rounds):
        small = t.ule(64, _sum(rounds), t.shl(64, t.zext(rounds, 32, 64), 16))
        return [("there is one left", t.ult(32, rounds, WORDS)), ("it is a sum of words", small)]

    rest = t.band(64, word(WORDS), 0xFF) if odd else 0
    total = t.add(64, _sum(WORDS), rest)

    def returns(end):
        """What the last round made of the sum is folded, whatever it is."""
        if end.possible(t.ule(64, 1 << TOTAL_BITS, total)):
            raise NotShown(Unsettled("the sum does not fit"))
        end.hold(t.eq(64, TOTAL, total))
        value, *assumed = t.extract(end.registers.read("rax"), 64, 15, 0), *end.conditions()
        for last in (0, *(t.add(32, ROUNDS, more) for more in range(3))):
            before = t.sub(64, TOTAL, t.add(64, word(last), rest))
            if not end.possible(t.ne(64, _sum(last), before)):
                known, memo = {_sum(last).uid: before}, {}
                put = partial(_put, known)
                value, *assumed = (t.substitute(each, put, memo) for each in (value, *assumed))
        if not impossible(assumed, [t.ne(16, value, _recomputed(TOTAL, 64))], RESOURCES):
            raise NotShown(Unsettled("not shown over the integers"))
        return []

    def prove():
        path = library.machine.start()
        size = t.add(64, t.zext(t.concat([(LATER_BITS, LATER), (1, odd)]), LATER_BITS + 1, 64), 2)
        region = path.memory.add("the data", size, writable=False)
        key = path.memory.key_of(region.base)
        path.memory.arrays = {key: data}
        path.hold(t.land(t.eq(64, _sum(0), 0), given(0), given(1)))  # compilers may put rounds before the loop
        loop = Loop(holds, None, returns, given, [_sum])
        return by_induction(library, path, "net_checksum", [region.base, size], key, loop)

    return concluded(prove)


def _put(known, leaf):
    return known.get(leaf.uid)


def test_checksum_of_any_length(library, shown):
    verdicts = ((name, longer_checksum(library, odd)) for odd, name in enumerate(("even lengths", "odd lengths")))
    shown("net_checksum", "every length from 2 to 65,535 bytes", verdicts)
