"""Erasing an entry of a flow table against its contract at every capacity: the gap that it leaves is closed
(libvig/map/gaps.py)."""

from properties.libvig.probing import Probing, chains, searching
from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.cycles import Cycle, in_turn
from pytest_vigor.refine.machine import ARGUMENT

gaps = beside(str(libvig_root() / "map" / "gaps.py"), "gaps.py")


class Removing(Probing):
    """The proof, with keys of one size. Its loops are a search for the key of the index, and what closes the gap."""

    def __init__(self, library, key_bytes):
        super().__init__(library, "flow_table_erase", key_bytes)
        self.gone = t.var(f"{ARGUMENT}index", 32)
        entries = self.any.entries
        self.argument, self.slots = entries.key_at(self.gone), entries.chains
        self.closings = [gaps.Closing(entries, used, self.any.others, self.any.others_at) for used in (True, False)]

    def _follow(self, path, passed, returns):
        in_turn(self.library, path.fork(), gaps.of_any_distances(self.slots), self._told)
        return super()._follow(path, passed, returns)

    def _cycles(self):
        search = self._cycle(searching.Search(self.any.entries, self.argument))
        return [lambda _: [search], lambda left: [self._closing(said, left["slot"]) for said in self.closings]]

    def _closing(self, said, gap):
        """What is said of the loop that closes a gap."""
        view = self._view

        def last(before, arrays):
            writes = arrays["slots"].writes
            return {"gap": writes[-1] if writes else before["gap"], "slot": said.following(before["slot"]), **arrays}

        return Cycle(
            {"gap": gap, "slot": gaps.next_slot(self.slots, gap)},
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

    def _before_kept(self, end):
        """Where the slot after the gap was not used, no loop has closed it."""
        array = end.memory.arrays[self.any.loop_arrays()["slots"][0]]
        if array.name != self.any.slots.name or not array.writes:
            return
        gap, said = array.writes[-1], self.closings[0]
        view = self._view({"gap": gap, "slot": gaps.next_slot(self.slots, gap), "slots": array})
        for _, condition in said.given(view):
            end.hold(condition)
        self._in_turn(end, said.closed(view))
