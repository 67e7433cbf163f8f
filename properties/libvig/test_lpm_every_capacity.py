"""The steps of a longest-prefix-match table are right at every capacity: its loops, each by induction or for each
length of prefix, on entries that are an array as long as one likes.

They are libvig/lpm/steps.h's. Where one calls another, or a function of a map, that one's claim stands in for it."""

from dataclasses import replace
from functools import partial

import pytest

from pytest_vigor import term as t

SLOTS, GROUP = 1 << 24, 256
SPLIT = 1 << 31
LENGTH_MAX = 32
BOUND = "every capacity (a step of lpm_add and lpm_remove)"
ENTRIES = "entries"

CAPACITY = t.var("argument capacity", 32)
COUNT = t.add(32, SLOTS, t.scale(32, CAPACITY, GROUP))  # how many entries the table has
FIRST, MANY = t.var("argument first", 32), t.var("argument many", 32)
LENGTH, ENTRY = t.var("argument length", 32), t.var("argument entry", 32)
PREFIX = t.var("argument prefix", 32)


def is_at_most(entry, length):
    """Whether an entry is of a prefix of at most that length."""
    return t.ule(32, t.lshr(32, entry, 24), t.add(32, length, 1))


def between(index, first, behind):
    return t.land(t.ule(32, first, index), t.ult(32, index, behind))


def covered(array, first, many, length, entry):
    """The array after lpm_cover."""
    from pytest_vigor.refine.array import Array

    behind = t.add(32, first, many)

    def read(index):
        old = array.read(index)
        changes = t.land(between(index, first, behind), is_at_most(old, length))
        return t.ite(32, changes, entry, old)

    return Array(4, read)


def covered_slots(array, first, many, length, entry):
    """The array after lpm_cover_slots: a group belongs to at most one slot, which ``owner`` names."""
    from pytest_vigor.refine.array import Array

    behind = t.add(32, first, many)

    def read(index):
        old = array.read(index)
        group = t.lshr(32, t.sub(32, index, SLOTS), 8)
        theirs = owner(group)
        inside = t.land(between(theirs, first, behind), t.eq(32, array.read(theirs), t.bor(32, SPLIT, group)))
        here = t.ite(0, t.ult(32, index, SLOTS), between(index, first, behind), inside)
        return t.ite(32, t.land(here, is_at_most(old, length)), entry, old)

    return Array(4, read)


def owner(group):
    """The slot that a group is used for: an unknown function, so no group is used for two."""
    return t.app("owner", 32, (32, group))


def split_well(array, slot, owner=owner):
    """That the entry of a slot, if it names a group, names one that there is, and that is its own."""
    entry = array.read(slot)
    group = t.band(32, entry, 0xFFFFFF)
    well = t.land(t.eq(32, entry, t.bor(32, SPLIT, group)), t.ult(32, group, CAPACITY), t.eq(32, owner(group), slot))
    return t.implies(t.land(t.ult(32, slot, SLOTS), t.ule(32, SPLIT, entry)), well)


@pytest.fixture
def without(library):
    """The library, some of whose functions have a model."""
    from pytest_vigor.refine.machine import Machine

    def make(**models):
        return replace(library, machine=Machine(library.machine.binary, 3000, models))

    return make


def with_entries(library):
    """A path on which there are entries of which nothing is known, and where they are."""
    from pytest_vigor.refine.array import Array

    path = library.machine.start()
    path.hold(between(CAPACITY, 1, (1 << 22) + 1))
    region = path.memory.add("the entries", t.scale(64, t.zext(COUNT, 32, 64), 4))
    key = path.memory.key_of(region.base)
    path.memory.arrays = {key: Array.unknown(ENTRIES, 4)}
    return path, key, region.base


def shown_by_induction(library, shown, function, arrange, bound=BOUND):
    from pytest_vigor.refine.induction import by_induction
    from pytest_vigor.refine.library import NotShown, Shown

    path, key, arguments, *loops = arrange()
    verdict = None
    for loop in loops:  # any of them will do: compilers turn loops round in several ways
        try:
            verdict = Shown(by_induction(library, path, function, arguments, key, loop))
            break
        except NotShown as found:
            verdict = verdict or found.verdict
    shown(function, bound, [(bound, verdict)])


def test_covering(without, shown):
    """Just the entries of a range that are of prefixes at most as long change."""
    from pytest_vigor.explore.entry import short
    from pytest_vigor.refine.induction import ANY_INDEX, Loop

    library = without()

    def arrange():
        path, key, base = with_entries(library)
        before = path.memory.arrays[key]
        path.hold(t.ule(32, FIRST, COUNT))
        path.hold(t.ule(32, MANY, t.sub(32, COUNT, FIRST)))
        path.hold(t.ule(32, LENGTH, 255))

        def array(rounds):
            return covered(before, FIRST, rounds, LENGTH, ENTRY)

        def returns(end):
            after = end.memory.arrays[key].read(ANY_INDEX)
            return [("the entries are covered", t.eq(32, after, array(MANY).read(ANY_INDEX)))]

        loop = Loop(lambda _, rounds: [("there is one left", t.ult(32, rounds, MANY))], array, returns)
        return path, key, [base, *(short(each, 32) for each in (FIRST, MANY, LENGTH, ENTRY))], loop

    shown_by_induction(library, shown, "lpm_cover", arrange)


def low(path, register):
    return t.extract(path.registers.read(register), 64, 31, 0)


def covering(path):
    """lpm_cover, as it has been shown to be."""
    from pytest_vigor.explore.block import CALLER_SAVED

    key = path.memory.key_of(t.split_base(64, path.registers.read("rdi"))[0])
    first, many, length, entry = (low(path, register) for register in ("rsi", "rdx", "rcx", "r8"))
    path.oblige(t.land(t.ule(32, first, COUNT), t.ule(32, many, t.sub(32, COUNT, first))), "contract", path.where)
    path.oblige(t.ule(32, length, 255), "contract", path.where)
    path.memory.arrays = {**path.memory.arrays, key: covered(path.memory.arrays[key], first, many, length, entry)}
    path.registers.clobber(CALLER_SAVED, f"after lpm_cover at {path.where:#x}")
    return [path]


def test_covering_slots(without, shown):
    """Just the entries for the addresses of a range of slots that are of prefixes at most as long change."""
    from pytest_vigor.explore.entry import short
    from pytest_vigor.refine.induction import ANY_INDEX, Loop

    library = without(lpm_cover=covering)

    def arrange():
        path, key, base = with_entries(library)
        before = path.memory.arrays[key]
        path.hold(t.land(t.ule(32, FIRST, SLOTS), t.ule(32, MANY, t.sub(32, SLOTS, FIRST)), t.ule(32, LENGTH, 24)))
        path.hold(t.ult(32, ENTRY, SPLIT))
        path.hold(split_well(before, FIRST))

        def array(rounds):
            return covered_slots(before, FIRST, rounds, LENGTH, ENTRY)

        def returns(end):
            after = end.memory.arrays[key].read(ANY_INDEX)
            return [("the slots are covered", t.eq(32, after, array(MANY).read(ANY_INDEX)))]

        loop = Loop(
            lambda _, rounds: [("there is one left", t.ult(32, rounds, MANY))], array, returns,
            lambda rounds: split_well(before, t.add(32, FIRST, rounds)),
        )  # fmt: skip
        path.hold(t.ult(32, ANY_INDEX, COUNT))
        return path, key, [base, *(short(each, 32) for each in (FIRST, MANY, LENGTH, ENTRY))], loop

    shown_by_induction(library, shown, "lpm_cover_slots", arrange)


def test_looking_for_longer_ones(without, shown):
    """Whether any entry of a group is of a prefix of more than 24 bits."""
    from pytest_vigor.explore.entry import short
    from pytest_vigor.refine.induction import ANY_INDEX, ROUNDS, Loop

    library = without()

    def arrange():
        path, key, base = with_entries(library)
        entries = path.memory.arrays[key]
        path.hold(t.ule(32, FIRST, t.sub(32, COUNT, GROUP)))

        def none_before(many):
            here = between(ANY_INDEX, FIRST, t.add(32, FIRST, many))
            return t.implies(here, is_at_most(entries.read(ANY_INDEX), 24))

        def longer(rounds):
            return t.land(t.ult(32, rounds, GROUP), t.lnot(is_at_most(entries.read(t.add(32, FIRST, rounds)), 24)))

        def returns(end):
            said = t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0)
            some = t.lor(*(longer(t.add(32, begun, more)) for begun in (0, ROUNDS) for more in range(3)))
            return [("one that is longer, or none", t.ite(0, said, some, none_before(GROUP)))]

        def some_left(_, rounds):
            return [("one is left", t.ult(32, rounds, GROUP)), ("none before is longer", none_before(rounds))]

        def all_seen(_, rounds):
            return [("no more than there are", t.ule(32, rounds, GROUP)), ("none is longer", none_before(rounds))]

        arguments = [base, short(FIRST, 32)]
        return path, key, arguments, Loop(some_left, None, returns), Loop(all_seen, None, returns)

    shown_by_induction(library, shown, "lpm_any_is_longer", arrange)


# ---- what was added, by the contracts of map and index pool


def by_contract(library, name):
    """A function of another structure, as its contract says."""
    from pytest_vigor import contract as c
    from pytest_vigor.explore.block import CALLER_SAVED
    from pytest_vigor.explore.entry import ARGUMENT_REGISTERS
    from pytest_vigor.refine.listed import Finite
    from pytest_vigor.refine.refinement import Symbol, alternatives

    contract = library.contracts.by_name[name]

    def called(path):
        bound, states, outs = {}, {}, {}
        for register, (parameter, kind) in zip(ARGUMENT_REGISTERS, contract.parameters.items(), strict=False):
            value = path.registers.read(register)
            match kind:
                case c.State():
                    states[parameter] = path.handles[value]
                    bound[parameter] = path.ghosts[path.handles[value]]
                case c.Key(of):
                    bits = bound[of].key_bits
                    bound[parameter] = Symbol(path.memory.load(value, bits // 8, path.where), bits, False)
                case c.Scalar(bits, signed):
                    bound[parameter] = Symbol(t.extract(value, 64, bits - 1, 0), bits, signed)
                case c.Out(bits):
                    outs[parameter] = value, bits
        after = []
        path.calls += 1
        facts = Finite(0)
        unique = replace(contract, name=f"{name}.{path.calls}")
        for way in alternatives(path, unique, bound, facts):
            end = path.fork()
            end.hold(t.land(way.decided, way.chosen))
            end.oblige(way.required, "contract", end.where, name)
            end.registers.clobber(CALLER_SAVED, f"after {name} at {end.where:#x}")
            if isinstance(contract.returns, c.Scalar):
                bits = contract.returns.bits
                end.registers.write("rax", t.zext(c.result_bits(way.outcome.result, bits), bits, 64))
            for parameter, (address, bits) in outs.items():
                if parameter in way.outcome.changes:
                    end.memory.store(address, bits // 8, c.result_bits(way.outcome.changes[parameter], bits), end.where)
            for parameter, name_ in states.items():
                if parameter in way.outcome.changes:
                    end.ghosts[name_] = way.outcome.changes[parameter]
            after.append(end)
        return after

    return called


def with_table(library):
    """A path on which there is a table of which nothing is known."""
    from pytest_vigor.ghost.lpm import KEY_BITS
    from pytest_vigor.ghost.map import Base, Map
    from pytest_vigor.refine.listed import Finite

    path, key, base = with_entries(library)
    facts = Finite(0)
    table = path.memory.add("the table", library.structs["lpm"].size_bytes, writable=False)
    prefixes, groups = (path.memory.add(name, 0) for name in ("the prefixes", "the groups"))
    for member, value in (("entries", base), ("prefixes", prefixes.base), ("groups", groups.base)):
        at = library.structs["lpm"].field(member).offset
        table.cells |= {at + k: (value, 8, k) for k in range(8)}
    path.ghosts["prefixes"] = Map(None, Base(facts, "prefixes", KEY_BITS, CAPACITY))
    path.handles = {prefixes.base: "prefixes"}
    for fact in facts.defined:
        path.hold(fact)
    return path, key, table.base


def held(items, prefix, length):
    """Whether there is a prefix of that length, and its entry."""
    from pytest_vigor.ghost.lpm import first_bits, key

    at = key(first_bits(prefix, length), length)
    return items.has(at), t.bor(32, (length + 1) << 24, items.value(at))


def longest_below(items, prefix, length):
    """The entry of the longest prefix there is that covers a prefix, and is shorter than a length."""
    entry = 0
    for bits in range(LENGTH_MAX + 1):
        there, theirs = held(items, prefix, bits)
        entry = t.ite(32, t.land(t.ult(32, bits, length), there), theirs, entry)
    return entry


def test_next_shorter(library, without, shown):
    """The prefix that takes over: the longest that covers the prefix and is shorter."""
    from pytest_vigor.explore.entry import short
    from pytest_vigor.refine.library import NotShown, Unsettled, concluded, holding, unbroken

    library = without(map_get=by_contract(library, "map_get"))

    def prove(length):
        path, _, table = with_table(library)
        items = path.ghosts["prefixes"].items
        library.machine.search.broken.clear()
        arguments = [table, short(PREFIX, 32), short(length, 32)]
        returned, stuck = library.machine.call(path, "lpm_next_shorter", arguments)
        unbroken(library, lambda _: [])
        if stuck or not returned:
            raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
        for end in returned:
            expected = longest_below(items, PREFIX, length)
            holding(library, end, [], [("the next shorter", t.eq(32, low(end, "rax"), expected))], lambda _: [])
        return len(returned)

    lengths = range(LENGTH_MAX + 1)
    shown("lpm_next_shorter", BOUND, ((f"length {length}", concluded(partial(prove, length))) for length in lengths))
