"""The steps of lpm_is_valid that look at entries (libvig/lpm/validity.c): each tells whether something holds at all of
some places. By induction over its rounds: it holds at those that were looked at."""

from properties.libvig.lpm_asking import knowing
from properties.libvig.lpm_checks import Checks, entries_are_at_least, entries_are_present, in_slots
from properties.libvig.lpm_loops import CAPACITY, COUNT, FIRST, LENGTH, MANY, verdict_on
from properties.libvig.lpm_steps import lpm, steps, with_entries, with_table
from pytest_vigor import term as t
from pytest_vigor.explore.entry import short
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.called import by_contract
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.induction import ROUNDS, Loop

PLACE, ADDRESS = t.var("any place", 32), t.var("argument address", 32)
BEGUN = [t.add(32, begun, more) for begun in (0, ROUNDS) for more in range(3)]  # where a round may have been the last


def said(end):
    """What a function that returns a Boolean says."""
    return t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0)


def _looking(is_so, among, failing, holding, given=lambda rounds: True):
    """What is said of a loop that ends where something ``is_so`` not: after so many rounds it was so at all places
    ``among`` the first ones. Where the function says no, it is not so at one that is ``failing``."""

    def seen(many):
        return "it is so wherever was looked", t.implies(among(PLACE, many), is_so(PLACE))

    def returns(end):
        fails = t.lor(*(t.land(among(at, MANY), t.lnot(is_so(at))) for at in failing()))
        return [("it is so at all places, or not at one", t.ite(0, said(end), seen(MANY)[1], fails))]

    def some_left(_, rounds):
        return [("one is left", t.ult(32, rounds, MANY)), seen(rounds)]

    def all_seen(_, rounds):
        return [("no more than there are", t.ule(32, rounds, MANY)), seen(rounds)]

    return [Loop(holds, None, returns, given, holding=holding) for holds in (all_seen, some_left)]


def _first(at, many):
    return t.ult(32, at, many)


def _inside(path, key):
    """Has a range lie in the entries, which may not be changed."""
    path.memory.regions[key].writable = False
    path.hold(t.ule(32, FIRST, COUNT))
    path.hold(t.ule(32, MANY, t.sub(32, COUNT, FIRST)))


def are_at_least_verdict(library):
    """Whether it is told if all entries of a range are of prefixes of at least some length."""

    def arrange(library):
        path, key, base = with_entries(library, Array.unknown("entries", steps.ENTRY_BYTES), CAPACITY)
        _inside(path, key)
        is_so = entries_are_at_least(path.memory.arrays[key], FIRST, LENGTH)
        loops = _looking(is_so, _first, lambda: BEGUN, knowing(Everywhere()))
        return path, key, [base, *(short(each, 32) for each in (FIRST, MANY, LENGTH))], *loops

    return verdict_on(library, "lpm_are_at_least", arrange)


def slots_are_at_least_verdict(library):
    """Whether it is told if all addresses in a range of slots have entries of prefixes of at least some length."""
    checks = Checks(library, lpm.Unbounded(Everywhere(), CAPACITY).table, PLACE)
    library = library.modelling({"lpm_are_at_least": checks.are_at_least})

    def arrange(library):
        path, key, base = with_entries(library, Array.unknown("entries", steps.ENTRY_BYTES), CAPACITY)
        path.memory.regions[key].writable = False
        path.hold(t.land(t.ule(32, FIRST, steps.SLOTS), t.ule(32, MANY, t.sub(32, steps.SLOTS, FIRST))))
        entries = path.memory.arrays[key]

        def is_so(address):
            return steps.is_at_least(steps.entry_of(entries, address), LENGTH)

        def failing():
            slots = [t.shl(32, t.add(32, FIRST, each), 8) for each in BEGUN]
            return [t.bor(32, slot, inside) for slot in slots for inside in (0, *checks.places)]

        def given(rounds):
            return steps.has_its_group(entries, t.add(32, FIRST, rounds), CAPACITY)

        def among(address, many):
            return in_slots(address, FIRST, many)

        path.hold(given(0))
        loops = _looking(is_so, among, failing, knowing(Everywhere()), given)
        return path, key, [base, *(short(each, 32) for each in (FIRST, MANY, LENGTH))], *loops

    return verdict_on(library, "lpm_slots_are_at_least", arrange)


def are_present_verdict(library):
    """Whether it is told if all entries of a range are 0 or those of prefixes of as many addresses."""
    facts = Everywhere()
    table = lpm.Unbounded(facts, CAPACITY).table
    library = library.modelling({"map_get": by_contract(library.contracts.by_name["map_get"], facts)})

    def arrange(library):
        path, key, region = with_table(library, table)
        _inside(path, key)
        is_so = entries_are_present(table.entries, table.items, FIRST, ADDRESS)
        loops = _looking(is_so, _first, lambda: BEGUN, knowing(facts))
        return path, key, [region.base, *(short(each, 32) for each in (FIRST, MANY, ADDRESS))], *loops

    return verdict_on(library, "lpm_are_present", arrange)


STEPS = {
    "lpm_are_at_least": are_at_least_verdict,
    "lpm_slots_are_at_least": slots_are_at_least_verdict,
    "lpm_are_present": are_present_verdict,
}
