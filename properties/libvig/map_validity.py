"""Whether map_is_valid says yes of every valid map, whatever its capacity: by induction over its two loops. One counts
the used slots, and in each round of the other one, a search leads to the slot that is looked at."""

from properties.libvig.probing import Probing, searching
from pytest_vigor import term as t
from pytest_vigor.contract import TRUTH, Outcome, State, contract
from pytest_vigor.explore.vex_registers import GENERAL
from pytest_vigor.ghost.map import Map
from pytest_vigor.refine.cycles import in_turn
from pytest_vigor.refine.induction import COUNTED, Loop, by_induction
from pytest_vigor.refine.loop_paths import Nested

SLOT, POSITION = (t.var(f"any {what} of some", 32) for what in ("slot", "position"))


@contract(map=State(Map), returns=TRUTH)
def map_is_valid(call, map):
    return Outcome(True)


def _all(claims):
    return t.land(*(holds for _, holds in claims))


class Count:
    """How many of the first so many ``slots`` stand at one of the first so many positions: an unknown function of both
    numbers, defined by ``_at_none`` and ``_at_one_more``. The rest follows for all numbers of positions that there
    are, by induction over them: ``proofs``."""

    def __init__(self, slots):
        self.slots, self.all = slots, t.add(32, slots.mask, 1)

    def of(self, slots, positions):
        return t.app("slots at positions", 32, (32, slots), (32, positions))

    def _at_none(self, slots):
        return t.eq(32, self.of(slots, 0), 0)

    def _at_one_more(self, slots, at):
        """One position more counts if its slot is one of those."""
        counts = t.bit(t.ult(32, self.slots.order(at), slots), 32)
        return t.eq(32, self.of(slots, t.add(32, at, 1)), t.add(32, self.of(slots, at), counts))

    def none(self, positions):
        return t.eq(32, self.of(0, positions), 0)

    def one_slot_more(self, slot, positions):
        """One slot more counts if it stands at one of those."""
        counts = t.bit(t.ult(32, self.slots.position(slot), positions), 32)
        return t.eq(32, self.of(t.add(32, slot, 1), positions), t.add(32, self.of(slot, positions), counts))

    def all_slots(self, positions):
        """Of all slots it is as many as positions."""
        return t.eq(32, self.of(self.all, positions), positions)

    def proofs(self):
        """For each of these, what is known of a slot and a position, and the claims."""
        here = [*self.slots.of_slot(SLOT), *self.slots.of_position(POSITION)]
        exist = t.land(self.slots.exists(SLOT), self.slots.exists(POSITION), _all(here))
        for name, claim, slots in (
            ("no slots are none", self.none, [0]),
            ("one slot more", lambda at: self.one_slot_more(SLOT, at), [SLOT, t.add(32, SLOT, 1)]),
            ("all slots are at all positions", self.all_slots, [self.all]),
        ):
            defined = (t.land(self._at_none(each), self._at_one_more(each, POSITION)) for each in slots)
            further = t.implies(claim(POSITION), claim(t.add(32, POSITION, 1)))
            yield [exist, *defined], [(f"{name}, of no positions", claim(0)), (f"{name}, of one more", further)]


class Validity(Probing):
    """The proof, with keys of one size."""

    def __init__(self, library, key_bytes):
        super().__init__(library, map_is_valid, key_bytes)
        self.slots = self.any.entries.chains
        self.count = Count(self.slots)

    def _follow(self, path, passed, returns):
        for known, claims in self.count.proofs():
            self._holding(self.library, path, known, claims, self._told)

        def ends(end):
            returns(end)
            return ()

        nested = Nested(self.library, map_is_valid.name, lambda _: [*map(self._found, (0, COUNTED[1]))])
        loops = self._counting(ends), self._looking(ends)
        return by_induction(self.library, path, map_is_valid.name, passed, None, *loops, among=nested)

    def _holding(self, library, path, given, claims, told):
        path = path.fork()
        for condition in given:
            path.hold(condition)
        in_turn(library, path, claims, self._told)

    def _loop(self, counts, ends, given, registers=()):
        """A loop over all slots, in which a register ``counts`` them."""

        def holds(path, rounds):
            yield "one is left", self.slots.exists(rounds)
            yield "rounds are counted", t.lor(*(t.eq(64, path.registers.read(r), counts(rounds)) for r in GENERAL))

        return Loop(holds, None, ends, given, registers, self._holding, t.mask(32))

    def _counting(self, ends):
        many, count = self.slots.many, self.count

        def given(slot):
            more = t.implies(self.slots.exists(slot), count.one_slot_more(slot, many))
            return t.land(_all(self.slots.of_slot(slot)), count.none(many), count.all_slots(many), more)

        used = [lambda slots: t.zext(count.of(slots, many), 32, 64)]
        return self._loop(lambda slot: t.zext(slot, 32, 64), ends, given, used)

    def _looking(self, ends):
        return self._loop(self._key_address, ends, lambda slot: _all(self.any.entries.of_slot(slot)))

    def _key_address(self, slot):
        return t.add(64, self.any.keys_base, t.scale(64, t.zext(slot, 32, 64), self.any.keys.size_bytes))

    def _found(self, slot):
        """The search for the key in a slot."""
        search = searching.Search(self.any.entries, self.any.entries.key(slot))
        return self._cycle(search, self.slots.home(self.slots.tag(slot)))
