"""What the memory of an index_pool means."""

from pytest_vigor import term as t
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.listed import Entry, ListedFlows

ages = beside(__file__, "ages.py")


def unknown(heap, pool, parameters):
    return ages.unknown(heap, pool["ages"])


def invariant(heap, pool, parameters):
    yield "the capacity is as allocated", t.eq(32, pool["ages"]["capacity"], parameters["capacity"])
    yield from ages.invariant(heap, pool["ages"])


def state(heap, pool, parameters, facts):
    entries = [Entry(used, 0, age) for used, age in ages.ages_of(heap, pool["ages"])]
    return IndexPool(None, ListedFlows(facts, "pool", 0, entries))
