"""What stands in for the steps of lpm_is_valid where a function calls them. Each tells whether something holds at all
of some places: where it says no, there is a place at which it does not."""

from properties.libvig.lpm_steps import ANY_SLOT, Steps, low, steps
from pytest_vigor import term as t
from pytest_vigor.ghost.lpm import parts
from pytest_vigor.refine.called import yes_or_no

OWNED = "groups of slots"


def owned(slots, groups):
    """How many of the first so many groups belong to one of the first so many slots: those that are in use, as the
    invariant says whose they are. It is an unknown function, of which ``owned_first`` and ``owned_more`` are all that
    is known."""
    return t.app(OWNED, 32, (32, slots), (32, groups))


def owned_first(slots):
    """Of no groups it is none."""
    return t.eq(32, owned(slots, 0), 0)


def owned_more(table, slots, groups):
    """It is one more with one group more, if that is in use and its slot is one of those."""
    belongs = t.land(table.groups.used(groups), t.ult(32, table.row.owner(groups), slots))
    return t.eq(32, owned(slots, t.add(32, groups, 1)), t.add(32, owned(slots, groups), t.bit(belongs, 32)))


# ---- what steps look at


def group_at(index):
    """The group that an entry of the second level is in."""
    return t.lshr(32, t.sub(32, index, steps.SLOTS), 8)


def in_slots(address, first, many):
    """Whether an address is in one of so many slots."""
    return t.ult(32, t.sub(32, steps.slot_of(address), first), many)


def entries_are_at_least(array, first, length):
    """Whether the entry so many places behind the first is of a prefix of at least that length."""
    return lambda at: steps.is_at_least(array.read(t.add(32, first, at)), length)


def entries_are_present(array, items, first, address):
    """Whether the entry so many places behind the first is 0 or that of a prefix of the address as many behind."""

    def is_so(at):
        entry = array.read(t.add(32, first, at))
        return t.land(*(holds for _, holds in steps.is_of_a_prefix(items, t.add(32, address, at), entry)))

    return is_so


class Checks(Steps):
    """The steps by what is shown of them. ``places`` are those at which they say that something does not hold. That it
    holds at all places is used at those for the addresses ``anywhere``."""

    def __init__(self, library, table, *anywhere):
        super().__init__(table)
        self.places, self.anywhere = [], anywhere
        self.offsets = [library.structs["lpm"].field(name).offset for name in ("entries", "prefixes")]

    def models(self):
        names = ("are_at_least", "slots_are_at_least", "are_present", "any_is_longer")
        return {f"lpm_{name}": getattr(self, name) for name in names}

    def known(self, **where):
        """What is known of the table, at addresses, prefixes and positions."""
        return []

    def _every(self, path, step, among, holds, known, used_at):
        """Whether something ``holds`` at all places ``among`` some, which is ``used_at`` some of them; of where it does
        not, this is ``known``."""
        all_, other = yes_or_no(path, step)
        place = t.var(f"where {step} fails ({path.calls})", 32)
        self.places.append(place)
        all_.hold(t.land(*(t.implies(among(at), holds(at)) for at in used_at)))
        other.hold(t.land(among(place), t.lnot(holds(place)), *known(place)))
        return [all_, other]

    def are_at_least(self, path):
        _, array = self._entries(path)
        first, many, length = (low(path, register) for register in ("rsi", "rdx", "rcx"))
        self._oblige(path, "lpm_are_at_least", self._lie_inside(first, many))
        is_so = entries_are_at_least(array, first, length)
        group = group_at(first)

        def known(at):
            in_group = t.band(32, t.add(32, first, at), 0xFF)
            address = t.bor(32, t.shl(32, self.table.row.owner(group), 8), in_group)
            return self.known(prefixes=[(address, length)])

        used_at = [t.sub(32, *(t.band(32, each, 0xFF) for each in (address, first))) for address in self.anywhere]
        return self._every(path, "lpm_are_at_least", lambda at: t.ult(32, at, many), is_so, known, used_at)

    def slots_are_at_least(self, path):
        _, array = self._entries(path)
        first, many, length = (low(path, register) for register in ("rsi", "rdx", "rcx"))
        self._oblige(
            path, "lpm_slots_are_at_least",
            t.ule(32, first, steps.SLOTS), t.ule(32, many, t.sub(32, steps.SLOTS, first)),
            steps.has_its_group(array, ANY_SLOT, self.table.capacity),
        )  # fmt: skip
        return self._every(
            path, "lpm_slots_are_at_least", lambda address: in_slots(address, first, many),
            lambda address: steps.is_at_least(steps.entry_of(array, address), length),
            lambda address: self.known(prefixes=[(address, length)]), self.anywhere,
        )  # fmt: skip

    def are_present(self, path):
        at = path.registers.read("rdi")
        base, prefixes = (path.memory.load(t.add(64, at, each), 8, path.where) for each in self.offsets)
        array, items = path.memory.arrays[path.memory.key_of(base)], path.ghosts[path.handles[prefixes]].items
        first, many, address = (low(path, register) for register in ("rsi", "rdx", "rcx"))
        self._oblige(path, "lpm_are_present", self._lie_inside(first, many))
        return self._every(
            path, "lpm_are_present", lambda at: t.ult(32, at, many), entries_are_present(array, items, first, address),
            lambda at: self.known(addresses=[t.add(32, address, at)]),
            [0, *(t.sub(32, each, address) for each in self.anywhere)],
        )  # fmt: skip

    def any_is_longer(self, path):
        """None is, which the prefix for which the group is in use refutes, or some is."""
        _, array = self._entries(path)
        first = low(path, "rsi")
        self._oblige(path, "lpm_any_is_longer", self._lie_inside(first, steps.GROUP))
        at = self.table.row.position(group_at(first))
        address, length = parts(self.table.row.prefix(at))
        longer = array.read(t.add(32, first, t.band(32, address, 0xFF)))
        some, none = yes_or_no(path, "lpm_any_is_longer")
        known = self.known(prefixes=[(address, length)], positions=[at])
        none.hold(t.land(steps.is_at_most(longer, steps.FIRST_BITS), *known))
        return [some, none]


class OnValid(Checks):
    """The same on a table of which the invariant holds, and that nothing has changed."""

    def __init__(self, library, any_table):
        super().__init__(library, any_table.table)
        self.any = any_table

    def known(self, **where):
        return self.any.known(**where)

    def _oblige(self, path, step, *conditions):
        slots = self.any.known(slots=[ANY_SLOT])
        for condition in slots:
            path.hold(condition)
        super()._oblige(path, step, *conditions)
