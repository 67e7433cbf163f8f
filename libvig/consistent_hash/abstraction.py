"""What the memory of a consistent-hash table means: it never changes once it is filled."""

from pytest_vigor import term as t
from pytest_vigor.ghost.consistent_hash import ConsistentHash


def is_prime(number):
    return number > 1 and all(number % divisor for divisor in range(2, number))


def unknown(heap, table, parameters):
    return ()


def invariant(heap, table, parameters):
    count, slots, backends = table["slot_count"], parameters["slots"], parameters["backends"]
    least = next(each for each in range(slots, 2 * slots + 2) if is_prime(each))
    yield "there are as many slots as the least prime that is not below what was asked for", count == least
    yield "there are as many backends as asked for", t.eq(32, table["backend_count"], backends)
    yield "keys are as long as asked for", t.eq(32, table["key_bytes"], parameters["key_bytes"])
    held = [heap.load(table["backends"] + 2 * slot, 2) for slot in range(least)]
    shares = [held.count(backend) for backend in range(backends)]
    yield "each slot belongs to a backend", sum(shares) == least
    yield "shares differ by at most one", max(shares) - min(shares) <= 1


def state(heap, table, parameters, facts):
    key_bits = 8 * parameters["key_bytes"]
    return ConsistentHash(None, facts, "empty", key_bits, parameters["backends"], parameters["slots"])
