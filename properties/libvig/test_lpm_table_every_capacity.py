"""What only reads a longest-prefix-match table is right at every capacity, whatever the table holds.

The invariant is that the entry of each address is that of the longest prefix there is of it, and that a slot's group is
its own. It is used at the address that is looked up. That adding and removing prefixes keeps it is not proved here.
"""

from itertools import product

from properties.libvig.test_lpm_every_capacity import (
    LENGTH_MAX,
    SLOTS,
    SPLIT,
    by_contract,
    low,
    split_well,
    with_table,
)
from pytest_vigor import contract as c, term as t

ADDRESS = t.var("argument address", 32)
BEFORE = t.var("out_value before", 32)
BOUND = "every capacity, by the invariant"


def entry_of(array, address):
    """The entry of an address: its slot's, or the one in the group that its slot names."""
    entry = array.read(t.lshr(32, address, 8))
    group = t.add(32, SLOTS, t.shl(32, t.band(32, entry, 0xFFFFFF), 8))
    return t.ite(32, t.ule(32, SPLIT, entry), array.read(t.add(32, group, t.band(32, address, 0xFF))), entry)


def invariant(array, items, address):
    """What is so of an address, by name: the upper byte of its entry is 0, or one more than the length of its longest
    prefix, whose value the rest is."""
    from pytest_vigor.ghost.lpm import first_bits, key

    entry = entry_of(array, address)
    above, value = t.extract(entry, 32, 31, 24), t.band(32, entry, 0xFFFFFF)
    yield "a slot's group is its own", split_well(array, t.lshr(32, address, 8))
    yield "entries have a length", t.ule(8, above, LENGTH_MAX + 1)
    yield "what has no length has no value", t.implies(t.eq(8, above, 0), t.eq(32, entry, 0))
    for length in range(LENGTH_MAX + 1):
        at = key(first_bits(address, length), length)
        held = t.land(items.has(at), t.eq(32, items.value(at), value))
        yield "entries are those of prefixes", t.implies(t.eq(8, above, length + 1), held)
        yield "no prefix is longer", t.implies(items.has(at), t.ule(8, length + 1, above))


def unchanged(path, end, but):
    """That memory is as it was, but for the stack and one region, by name."""
    stack = path.memory.region_at(int(path.entry[0]))
    for key, region in path.memory.regions.items():
        if region.base not in (stack.base, but):
            yield f"{region.name} is as it was", end.memory.regions[key].cells == region.cells
    yield "entries are as they were", end.memory.arrays == path.memory.arrays


def told(model):
    return [f"  address = {model.seen(ADDRESS):#x}"]


def called(library, path, function, arguments):
    from pytest_vigor.refine.library import NotShown, Unsettled, unbroken

    library.machine.search.broken.clear()
    returned, stuck = library.machine.call(path, function, arguments)
    unbroken(library, told)
    if stuck or not returned:
        raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
    return returned


def search_verdict(library):
    """Whether lpm_search does what its contract says."""
    from pytest_vigor.explore.entry import short
    from pytest_vigor.ghost.lpm import Lpm
    from pytest_vigor.refine.library import NotShown, Unsettled, block, concluded, holding
    from pytest_vigor.refine.listed import Finite
    from pytest_vigor.refine.refinement import Symbol, alternatives
    from pytest_vigor.smt import Sat

    def prove():
        path, key, table = with_table(library)
        out = block(path, "*out_value", 4, BEFORE)
        items = path.ghosts["prefixes"].items
        for _, holds in invariant(path.memory.arrays[key], items, ADDRESS):
            path.hold(holds)
        bound = {"lpm": Lpm(None, items), "address": Symbol(ADDRESS, 32, False)}
        ways = alternatives(path, library.contracts.by_name["lpm_search"], bound, Finite(0))
        if not all(isinstance(library.machine.search.ask(path, way.decided), Sat) for way in ways) or len(ways) < 2:
            raise NotShown(Unsettled("a case of the contract is never met"))
        returned = called(library, path, "lpm_search", [table, short(ADDRESS, 32), out.base])
        for end in returned:
            said = t.extract(end.registers.read("rax"), 64, 7, 0)
            above = t.extract(entry_of(path.memory.arrays[key], ADDRESS), 32, 31, 24)
            lengths = [t.eq(8, above, each) for each in range(LENGTH_MAX + 2)]
            holding(library, end, [], [("there is no other length", t.lor(*lengths))], told)
            for way, length in product(ways, lengths):
                if end.possible(way.decided, length):
                    assert "lpm" not in way.outcome.changes
                    value = c.result_bits(way.outcome.changes.get("out_value", 0), 32)
                    expected = value if "out_value" in way.outcome.changes else BEFORE
                    claims = [
                        ("the result", t.eq(8, said, c.result_bits(way.outcome.result, 8))),
                        ("*out_value", t.eq(32, end.memory.load(out.base, 4, 0), expected)),
                        *unchanged(path, end, out.base),
                    ]
                    holding(library, end, [way.decided, length], claims, told)
        return len(returned)

    return concluded(prove)


def test_searching(library, shown):
    shown("lpm_search", BOUND, [("any table", search_verdict(library))])


def test_size(library, shown):
    """By the contract of map_size."""
    from dataclasses import replace

    from pytest_vigor.refine.library import concluded, holding
    from pytest_vigor.refine.machine import Machine

    models = {"map_size": by_contract(library, "map_size")}
    counting = replace(library, machine=Machine(library.machine.binary, 300, models))

    def prove():
        path, _, table = with_table(counting)
        size = path.ghosts["prefixes"].items.size()
        returned = called(counting, path, "lpm_size", [table])
        for end in returned:
            claims = [("the size", t.eq(32, low(end, "rax"), size)), *unchanged(path, end, None)]
            holding(counting, end, [], claims, lambda _: [])
        return len(returned)

    shown("lpm_size", "every capacity", [("any table", concluded(prove))])


def test_refusing(library, shown):
    from pytest_vigor.refine.allocation import refusal

    verdict = refusal(library, library.contracts.by_name["lpm_alloc"])
    shown("lpm_alloc, refused", "every capacity and size", [("any", verdict)])
