"""Erasing an entry of a map or a flow table against its contract at every capacity: the gap that it leaves is closed
(libvig/map/gaps.py)."""

from properties.libvig.probing import Probing, chains, searching
from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.cycles import Cycle, in_turn
from pytest_vigor.refine.split_memory import ARGUMENT

gaps = beside(str(libvig_root() / "map" / "gaps.py"), "gaps.py")


class Removing(Probing):
    """The proof, with keys of one size. Its loops are a search for the key, and what closes the gap. ``gone`` is what
    is erased: a key, or an index of a flow table."""

    def __init__(self, library, contract, key_bytes):
        super().__init__(library, contract, key_bytes)
        entries, self.gone = self.any.entries, self.argument
        if self.name == "table":
            self.gone = t.var(f"{ARGUMENT}index", 32)
            self.argument = entries.key_at(self.gone)
        self.slots = entries.chains
        self.closings = [
            gaps.Closing(entries, used, self._others, self.any.others_before, self.any.others_at)
            for used in (True, False)
        ]  # fmt: skip

    def _others(self, entries):
        return self.any.others(entries, self.gone)

    def _follow(self, path, passed, returns):
        in_turn(self.library, path.fork(), gaps.of_any_distances(self.slots), self._told)
        return super()._follow(path, passed, returns)

    def _cycles(self):
        search = self._cycle(searching.Search(self.any.entries, self.argument))
        ways = [(said, is_slot) for is_slot in (True, False) for said in self.closings]
        return [lambda _: [search], lambda left: [self._closing(*way, left["slot"]) for way in ways]]

    def _closing(self, said, is_slot, gap):
        """What is said of the loop that closes a gap. What is counted is the slot to be looked at, or else a number
        that is to be taken modulo the number of slots first."""

        def view(now):
            return self._view(now if is_slot else {**now, "slot": t.band(32, now["slot"], self.slots.mask)})

        def last(before, arrays):
            writes = arrays["slots"].writes
            return {"gap": writes[-1] if writes else before["gap"], "slot": said.following(before["slot"]), **arrays}

        return Cycle(
            {"gap": gap, "slot": gaps.next_slot(self.slots, gap) if is_slot else t.add(32, gap, 1)},
            holds=lambda now: said.holds(view(now)),
            left=lambda now: said.left(view(now)),
            given=lambda now: said.given(view(now)),
            round=lambda now, then: said.round(view(now), view(then)),
            last=last,
            ends=lambda now, then: said.ends(view(now), view(then)),
            arrays=self.any.loop_arrays(),
            assumed=lambda now: said.assumed(view(now)),
            registers=self._registers,
        )

    def _registers(self, now):
        """The address of the slot to be looked at, and its tag."""
        tag, _ = chains.members(self.any.slot, now["slots"])
        offset = t.scale(64, t.zext(now["slot"], 32, 64), self.any.slot.size_bytes)
        return t.add(64, self.any.base, offset), t.zext(tag(now["slot"]), 32, 64)

    def _view(self, now):
        return gaps.View(now["gap"], now["slot"], self.any.as_if_closed(now, now["gap"], self.gone))

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        if self.name == "map" and not self.any.is_untouched(end):
            self._of_keys(end, self.any.entries_in(end, self.argument))
        super()._conclude(end, way, given, claims)

    def _of_keys(self, end, entries):
        """What holds of any key holds of those in question."""
        for _, condition in (*self.any.others_before(), *self.any.others_at(entries, self.any.changed(end))):
            end.hold(condition)
        self._in_turn(end, self._others(entries))
        for key in self.facts.touched(self.name):
            for _, condition in entries.as_they_were(self.any.entries, self.gone, key):
                end.hold(condition)

    def _before_kept(self, end):
        """Where the slot after the gap was not used, no loop has closed it."""
        arrays = {name: end.memory.arrays[key] for name, (key, _) in self.any.loop_arrays().items()}
        if arrays["slots"].name != self.any.slots.name or not arrays["slots"].writes:
            return
        gap, said = arrays["slots"].writes[-1], self.closings[0]
        view = self._view({"gap": gap, "slot": gaps.next_slot(self.slots, gap), **arrays})
        for _, condition in said.given(view):
            end.hold(condition)
        self._in_turn(end, said.closed(view))
