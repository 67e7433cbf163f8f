"""The steps of a longest-prefix-match table (libvig/lpm/steps.h), which are its loops: each by induction over its
rounds, or for each length of prefix, on entries that are an array as long as one likes."""

from dataclasses import replace

from properties.libvig.lpm_steps import PREFIX, Steps, low, lpm, steps, with_entries, with_table
from pytest_vigor import term as t
from pytest_vigor.explore.entry import short
from pytest_vigor.ghost.lpm import LENGTH_MAX, Base
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.called import by_contract
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.induction import ANY_INDEX, ROUNDS, Loop, by_induction
from pytest_vigor.refine.library import NotShown, Shown, Unsettled, concluded, holding, unbroken

CAPACITY = t.var("argument capacity", 32)
COUNT = lpm.entries_of(CAPACITY)
FIRST, MANY = t.var("argument first", 32), t.var("argument many", 32)
LENGTH, ENTRY = t.var("argument length", 32), t.var("argument entry", 32)


def owner(group):
    """The slot that a group is used for: an unknown function, so no group is used for two."""
    return t.app("owner", 32, (32, group))


def _any_entries(library):
    return with_entries(library, Array.unknown("entries", steps.ENTRY_BYTES), CAPACITY)


def verdict_on(library, function, arrange):
    """The verdict on a function that is a loop. Any of several claims about it will do: compilers turn loops round in
    several ways."""
    path, key, arguments, *loops = arrange(library)
    verdict = None
    for loop in loops:
        try:
            return Shown(by_induction(library, path, function, arguments, key, loop))
        except NotShown as found:
            verdict = verdict or found.verdict
    return verdict


def cover_verdict(library):
    """Whether just the entries of a range that are of prefixes at most as long change."""

    def arrange(library):
        path, key, base = _any_entries(library)
        before = path.memory.arrays[key]
        path.hold(t.ule(32, FIRST, COUNT))
        path.hold(t.ule(32, MANY, t.sub(32, COUNT, FIRST)))
        path.hold(t.ule(32, LENGTH, steps.ANY_LENGTH))

        def array(rounds):
            return steps.covered(before, FIRST, rounds, LENGTH, ENTRY)

        loop = Loop(_one_left, array, _covered(key, array))
        return path, key, [base, *(short(each, 32) for each in (FIRST, MANY, LENGTH, ENTRY))], loop

    return verdict_on(library, "lpm_cover", arrange)


def _one_left(_, rounds):
    return [("there is one left", t.ult(32, rounds, MANY))]


def _covered(key, array):
    def returns(end):
        after = end.memory.arrays[key].read(ANY_INDEX)
        return [("the entries are covered", t.eq(32, after, array(MANY).read(ANY_INDEX)))]

    return returns


def cover_slots_verdict(library):
    """Whether just the entries for the addresses of a range of slots that are of prefixes at most as long change."""
    library = library.modelling({"lpm_cover": Steps(lpm.Unbounded(Everywhere(), CAPACITY).table).cover})

    def arrange(library):
        path, key, base = _any_entries(library)
        before = path.memory.arrays[key]
        inside = t.land(t.ule(32, FIRST, steps.SLOTS), t.ule(32, MANY, t.sub(32, steps.SLOTS, FIRST)))
        path.hold(t.land(inside, t.ule(32, LENGTH, steps.FIRST_BITS), t.ult(32, ENTRY, steps.SPLIT)))

        def well(slot):
            return steps.split_well(before, slot, owner, CAPACITY)

        def array(rounds):
            return steps.covered_slots(before, FIRST, rounds, LENGTH, ENTRY, owner)

        path.hold(well(FIRST))
        path.hold(t.ult(32, ANY_INDEX, COUNT))
        loop = Loop(_one_left, array, _covered(key, array), lambda rounds: well(t.add(32, FIRST, rounds)))
        return path, key, [base, *(short(each, 32) for each in (FIRST, MANY, LENGTH, ENTRY))], loop

    return verdict_on(library, "lpm_cover_slots", arrange)


def any_is_longer_verdict(library):
    """Whether it is told if any entry of a group is of a prefix of more than 24 bits."""

    def arrange(library):
        path, key, base = _any_entries(library)
        entries = path.memory.arrays[key]
        path.hold(t.ule(32, FIRST, t.sub(32, COUNT, steps.GROUP)))

        def is_short(index):
            return steps.is_at_most(entries.read(index), steps.FIRST_BITS)

        def none_before(many):
            return t.implies(steps.between(ANY_INDEX, FIRST, t.add(32, FIRST, many)), is_short(ANY_INDEX))

        def longer(rounds):
            return t.land(t.ult(32, rounds, steps.GROUP), t.lnot(is_short(t.add(32, FIRST, rounds))))

        def returns(end):
            said = t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0)
            some = t.lor(*(longer(t.add(32, begun, more)) for begun in (0, ROUNDS) for more in range(3)))
            return [("one that is longer, or none", t.ite(0, said, some, none_before(steps.GROUP)))]

        def some_left(_, rounds):
            return [("one is left", t.ult(32, rounds, steps.GROUP)), ("none before is longer", none_before(rounds))]

        def all_seen(_, rounds):
            seen = t.ule(32, rounds, steps.GROUP)
            return [("no more than there are", seen), ("none is longer", none_before(rounds))]

        return path, key, [base, short(FIRST, 32)], Loop(some_left, None, returns), Loop(all_seen, None, returns)

    return verdict_on(library, "lpm_any_is_longer", arrange)


def next_shorter_verdict(library, length):
    """Whether the prefix that takes over is found: the longest that covers a prefix and is shorter."""
    facts = Everywhere()
    items = Base(facts, "prefixes", CAPACITY)
    table = replace(lpm.Unbounded(Everywhere(), CAPACITY).table, items=items)
    library = library.modelling({"map_get": by_contract(library.contracts.by_name["map_get"], facts)})

    def prove():
        path, _, region = with_table(library, table)
        library.machine.search.broken.clear()
        arguments = [region.base, short(PREFIX, 32), short(length, 32)]
        returned, stuck = library.machine.call(path, "lpm_next_shorter", arguments)
        unbroken(library, lambda _: [])
        if stuck or not returned:
            raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
        for end in returned:
            entry, cases = low(end, "rax"), []
            for condition in facts.defined:
                end.hold(condition)
            for above in range(length + 1):
                case = t.eq(8, t.extract(entry, 32, 31, 24), above)
                cases.append(case)
                if case is not False and end.possible(case):
                    holding(library, end, [case], _next_shorter(items, length, above, entry), lambda _: [])
            holding(library, end, [], [("it is shorter", t.lor(*cases))], lambda _: [])
        return len(returned)

    return concluded(prove)


def _next_shorter(items, length, above, entry):
    """That an entry with that upper byte is that of the next shorter prefix, for each length that there is."""
    entry = t.concat([(8, above), (24, t.extract(entry, 32, 23, 0))])
    lengths = range(max(length, 1))
    return [claim for each in lengths for claim in steps.is_next_shorter(items, PREFIX, length, entry, each)]


STEPS = {
    "lpm_cover": lambda library: [("any range", cover_verdict(library))],
    "lpm_cover_slots": lambda library: [("any range", cover_slots_verdict(library))],
    "lpm_any_is_longer": lambda library: [("any group", any_is_longer_verdict(library))],
    "lpm_next_shorter": lambda library: (
        (f"length {length}", next_shorter_verdict(library, length)) for length in range(LENGTH_MAX + 1)
    ),
}
