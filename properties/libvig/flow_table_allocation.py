"""Whether flow_table_alloc makes an empty table of which the invariant holds, at every capacity, or none where memory
is short. One loop doubles how many slots there are to be. Then nodes are made as those of an index pool are."""

from dataclasses import replace
from functools import partial

from properties.libvig.index_pool_allocation import Allocation, verdict_of
from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.explore.vex_registers import GENERAL
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array, members_bytes
from pytest_vigor.refine.cycles import in_turn
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.functions import BRIEFLY, example
from pytest_vigor.refine.heap import fields_of
from pytest_vigor.refine.induction import Loop
from pytest_vigor.refine.loop_paths import InARow

everywhere = beside(str(libvig_root() / "flow_table" / "everywhere.py"), "everywhere.py")
chains, made_of = everywhere.chains, everywhere.made_of
PADDED_BYTES = chains.LINE_BYTES - 1  # block.h asks for so many more


def allocation_verdict(library, key_bytes):
    """Whether flow_table_alloc does what its contract says wherever that does not have it return NULL."""
    return verdict_of(partial(TableAllocation, library, key_bytes))


def _doubled(rounds):
    """Two, doubled so many times: an unknown function, of which ``_doubles`` is known."""
    return 2 << rounds if isinstance(rounds, int) else t.app("two doubled", 32, (32, rounds))


def _doubles(rounds):
    return t.eq(32, _doubled(t.add(32, rounds, 1)), t.scale(32, _doubled(rounds), 2))


class TableAllocation(Allocation):
    """The proof for memory at one alignment, with keys of one size."""

    FUNCTION, STATE = "flow_table_alloc", FlowTable

    def __init__(self, library, key_bytes, alignment, end_is_kept):
        self.key_bytes = key_bytes
        super().__init__(library, alignment, end_is_kept)
        self.record_bytes = chains.stride_bytes(self.any.node.size_bytes + key_bytes)

    def _any(self, library):
        return library.abstractions["flow_table"].unbounded(
            library.structs, Everywhere(), self.key_bytes, library.tag
        )  # fmt: skip

    def _arguments(self):
        return {"key_bytes": self.key_bytes, "capacity": self.capacity}

    def _begin_bytes(self, size):
        behind = t.add(64, PADDED_BYTES - self.skipped_bytes, self._nodes_bytes())
        return t.sub(64, size, behind)

    def _nodes_bytes(self):
        return t.scale(64, t.zext(self.nodes, 32, 64), self.record_bytes)

    def _array(self, element, begin_bytes=0):
        """Nodes, each with a key of zeros."""
        node, keys_bytes = self.any.node, self.record_bytes - self.any.node.size_bytes

        def record(index):
            return t.concat([(8 * keys_bytes, 0), (8 * node.size_bytes, element(index))])

        return Array(self.record_bytes, record, begin_bytes, (*members_bytes(node), keys_bytes))

    # ---- the loops

    def _among(self):
        return InARow(self.library, self.FUNCTION, 4, plain=[1])  # that of block_stride

    def _loops(self):
        doubling = Loop(
            self._is_doubled, None, self._returns, lambda rounds: _doubles(rounds),
            [lambda rounds: t.zext(_doubled(rounds), 32, 64)], self._exactly, t.mask(32),
        )  # fmt: skip
        return (doubling, *super()._loops())

    def _is_doubled(self, path, rounds):
        slots = _doubled(rounds)
        registers = (path.registers.read(each) for each in GENERAL)
        yield "it doubles", t.lor(*(t.eq(64, each, t.zext(slots, 32, 64)) for each in registers))
        yield "more slots are needed", t.ult(32, slots, t.scale(32, self.capacity, 2))
        yield "a power of two", t.eq(32, t.band(32, slots, t.sub(32, slots, 1)), 0)
        yield "there are more than rounds", t.ult(32, rounds, slots)

    def _holding(self, library, path, given, claims, told):
        """What is about nodes, solvers can do over the integers only, and what is about powers of two, bit by bit."""
        wrong = t.lnot(t.land(*(claim for _, claim in claims)))
        if example([*path.conditions(), *given, wrong], BRIEFLY) is False:
            return
        for claim in claims:
            if example([*path.conditions(), *given, t.lnot(claim[1])]) is not False:
                self._exactly(library, path, given, [claim], told)

    def _exactly(self, library, path, given, claims, told):
        path = path.fork()
        for condition in given:
            path.hold(condition)
        in_turn(library, path, claims, told)

    # ---- what was made

    def _is_laid(self, end, pointer, region, size):
        of = {
            name: end.memory.load(pointer + at, bytes_, end.where)
            for at, bytes_, name in fields_of(self.any.struct)
        }  # fmt: skip
        header, begin_bytes = pointer + self.any.struct.size_bytes, end.memory.arrays[self.key].begin_bytes
        nodes = t.add(64, region.base, begin_bytes)
        expected = {
            "keys": (64, t.add(64, nodes, self.any.node.size_bytes)), "key_stride_bytes": (64, self.record_bytes),
            "key_bytes": (32, self.key_bytes), "nodes": (64, nodes), "stride_bytes": (64, self.record_bytes),
            "capacity": (32, self.capacity),
        }  # fmt: skip
        for name, (bits, value) in expected.items():
            yield f"{name} is as it is to be", t.eq(bits, of[name], value)
        slots_bytes = t.scale(64, t.add(64, t.zext(of["mask"], 32, 64), 1), self.any.slot.size_bytes)
        yield "slots begin behind the struct", t.ule(64, header, of["slots"])
        yield "nodes begin behind the slots", t.ule(64, t.add(64, of["slots"], slots_bytes), nodes)
        yield "nodes lie in the memory", t.ule(64, t.add(64, begin_bytes, self._nodes_bytes()), size)
        yield "slots stay zero", region.image is not None and all(region.base + at < header for at in region.cells)
        row = chains.Chains(of["mask"], 0, *[lambda slot: 0] * 2, *[lambda at: at] * 2)
        self.any.entries = replace(
            self.any.entries, chains=row, row=self.new, key_at=lambda index: 0, slot_to=lambda index: 0
        )
        yield from row.sizes(self.capacity)
        yield from self.any.entries.of_slot(chains.ANY_SLOT)
        yield from self.any.entries.of_index(everywhere.ANY_INDEX)
        yield from row.of_position(chains.ANY_POSITION)
        yield from row.of_chain(chains.ANY_SLOT, chains.BETWEEN)

    def _state(self, end):
        return FlowTable(None, made_of.Keyed(self.any, end.memory.arrays[self.key]))
