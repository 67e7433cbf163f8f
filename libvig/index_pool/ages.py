"""What ages.h keeps: the nodes of all indices in two rings, the used ones and the others."""

from pytest_vigor import term as t
from pytest_vigor.refine.heap import select

UNUSED = t.mask(64)


def _nodes(heap, ages):
    return heap.array(ages["nodes"], ages["stride_bytes"], ages["capacity"] + 2, "ages_node")


def unknown(heap, ages):
    """An index leads to a node, so it needs only as many bits as that takes."""
    capacity = ages["capacity"]
    for index, node in enumerate(_nodes(heap, ages)):
        if index < capacity:
            yield node.unknown("age")
        yield node.unknown("older", (capacity + 1).bit_length())
        yield node.unknown("newer", (capacity + 1).bit_length())


def is_used(age):
    """Whether the index of that age is used."""
    return t.ne(64, age, UNUSED)


def ages_of(heap, ages):
    """For each index whether it is used, and its age."""
    ages_ = [node["age"] for node in _nodes(heap, ages)[: ages["capacity"]]]
    return [(is_used(age), age) for age in ages_]


def invariant(heap, ages):
    capacity, nodes = ages["capacity"], _nodes(heap, ages)
    age, older, newer = ([node[name] for node in nodes] for name in ("age", "older", "newer"))
    used = [*map(is_used, age[:capacity]), True, False]
    links = [*older, *newer]
    yield "links lead to nodes", t.land(*(t.ult(32, link, capacity + 2) for link in links))
    undone = [t.eq(32, select(32, newer[i], older), i) for i in range(capacity + 2)]
    undone += [t.eq(32, select(32, older[i], newer), i) for i in range(capacity + 2)]
    yield "older and newer undo each other", t.land(*undone)
    bits = [t.bit(each) for each in used]
    apart = [t.eq(1, select(1, newer[i], bits), bits[i]) for i in range(capacity + 2)]
    yield "used and unused are apart", t.land(*apart)
    yield "ages are not negative", t.land(*(t.sle(64, UNUSED, each) for each in age[:capacity]))
    rising = [
        t.implies(t.land(used[i], t.ult(32, newer[i], capacity)), t.sle(64, age[i], select(64, newer[i], age)))
        for i in range(capacity)
    ]
    yield "ages do not decrease", t.land(*rising)
    ahead, steps = [*newer[:capacity], capacity, capacity + 1], 1
    while steps < capacity:  # from each index as many steps as there are indices, or to the end
        ahead, steps = [select(32, ahead[i], ahead) for i in range(capacity + 2)], 2 * steps
    yield "each index is in a ring with an end", t.land(*(t.ule(32, capacity, each) for each in ahead))
    yield "the ends have no age", t.land(*(t.eq(64, each, UNUSED) for each in age[capacity:]))
