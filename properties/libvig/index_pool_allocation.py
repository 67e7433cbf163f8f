"""Whether index_pool_alloc makes an empty pool of which the invariant holds, at every capacity, or none where memory is
short: by induction over its two loops, of which one makes every node a ring of its own, and one links the indices."""

from functools import partial

from pytest_vigor import contract as c, term as t
from pytest_vigor.explore.entry import short
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.refine.allocation import CACHE_LINE_BYTES
from pytest_vigor.refine.array import Array, members_bytes, packed
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.functions import example
from pytest_vigor.refine.induction import ANY_INDEX, Loop, by_induction, same_array
from pytest_vigor.refine.library import NotShown, Refuted, Shown, concluded
from pytest_vigor.refine.loop_paths import InARow
from pytest_vigor.refine.machine import ALIGNMENTS, allocated, next_key
from pytest_vigor.refine.refinement import Symbol, alternatives
from pytest_vigor.refine.unbounded import concluding

UNUSED = t.mask(64)
ANY_NODE, OTHER_NODE, ANY_POSITION = (t.var(f"any {what}", 32) for what in ("node", "other node", "position"))


def allocation_verdict(library):
    """Whether index_pool_alloc does what its contract says wherever that does not have it return NULL."""
    return verdict_of(partial(Allocation, library))


def verdict_of(proof):
    """The verdict of a proof for memory at an alignment. Compilers may keep the end of the ring that grows in a
    register, and write it when all are linked."""
    verdict = None
    for end_is_kept in (False, True):
        found = concluded(partial(_at_every_alignment, proof, end_is_kept))
        if isinstance(found, Shown):
            return found
        verdict = verdict or found
    return verdict


def _at_every_alignment(proof, end_is_kept):
    return sum(proof(alignment, end_is_kept).prove() for alignment in ALIGNMENTS)


class Allocation:
    """The proof for memory at one alignment. Another structure that has such nodes is made likewise."""

    FUNCTION, STATE = "index_pool_alloc", IndexPool

    def __init__(self, library, alignment, end_is_kept):
        self.alignment, self.end_is_kept = alignment, end_is_kept
        self.library = library.modelling({"calloc": self._calloc})
        self.any = self._any(library)
        self.new = self.any.row.new(self.any.capacity)
        self.capacity, self.nodes, self.last = self.any.capacity, self.any.row.nodes, t.add(32, self.any.capacity, 1)
        self.skipped_bytes = -alignment % CACHE_LINE_BYTES
        self.key, self.made, self.succeeded = 0, None, 0

    def _any(self, library):
        return library.abstractions["index_pool"].unbounded(library.structs, Everywhere())

    def prove(self):
        contract, path = self.library.contracts.by_name[self.FUNCTION], self.library.machine.start()
        arguments = self._arguments()
        bound = {name: Symbol(value, 32, False) for name, value in arguments.items()}
        (way,) = (
            way for way in alternatives(path, contract, bound, self.any.facts) if way.outcome.result is not None
        )  # fmt: skip
        memory = t.var(f"{self.FUNCTION}.memory", 0)
        path.hold(t.substitute(way.decided, lambda leaf: True if leaf is memory else None, {}))
        path.hold(t.ult(32, ANY_INDEX, self.nodes))
        self.made, self.key, self.succeeded = way.outcome.result, next_key(path), 0
        passed = [short(each, 32) for each in arguments.values()]
        count = by_induction(
            self.library, path, self.FUNCTION, passed, self.key, *self._loops(), among=self._among()
        )  # fmt: skip
        if self.succeeded == 0:
            raise NotShown(Refuted("it never makes one"))
        return count

    def _arguments(self):
        """What is passed, by the names of the contract's parameters."""
        return {"capacity": self.capacity}

    def _calloc(self, path):
        """New memory, in which nodes are an array where there are any."""
        begin_bytes = self._begin_bytes(path.registers.read("rsi"))
        none, some = allocated(path, "calloc", self.alignment, True)
        some.memory.arrays = {self.key: self._array(lambda node: 0, begin_bytes)}
        return [none, some]

    def _begin_bytes(self, size):
        """Where nodes begin in memory of a size in bytes."""
        return self.skipped_bytes + self.any.begin_bytes

    def _array(self, element, begin_bytes=0):
        return Array(self.any.node.size_bytes, element, begin_bytes, members_bytes(self.any.node))

    # ---- the loops

    def _among(self):
        return InARow(self.library, self.FUNCTION, 2)

    def _loops(self):
        return (
            Loop(self._left(self.nodes), self._closed, self._returns, holding=self._holding),
            Loop(self._left(self.capacity), self._linked, self._returns, holding=self._holding),
        )

    def _left(self, many):
        return lambda _, rounds: [("one is left", t.ult(32, rounds, many))]

    def _closed(self, rounds):
        """The first nodes are rings of their own."""

        def element(node):
            ring = packed(self.any.node, {"age": UNUSED, "older": node, "newer": node})
            return t.ite(8 * self.any.node.size_bytes, t.ult(32, node, rounds), ring, 0)

        return self._array(element)

    def _linked(self, rounds):
        """So many of the highest indices are in the ring of the unused ones, the lowest of them as the newest."""
        last, highest, lowest = self.last, t.sub(32, self.capacity, 1), t.sub(32, self.capacity, rounds)

        def choose(default, *cases):
            for test, value in reversed(cases):
                default = t.ite(32, test, value, default)
            return default

        def element(node):
            is_last, some = t.eq(32, node, last), t.ult(32, 0, rounds)
            linked = t.land(t.ule(32, lowest, node), t.ult(32, node, self.capacity))
            end = last if self.end_is_kept else choose(last, (some, lowest))
            older = choose(node, (is_last, end), (linked, choose(t.add(32, node, 1), (t.eq(32, node, highest), last))))
            newest = choose(t.sub(32, node, 1), (t.eq(32, node, lowest), last))
            newer = choose(node, (is_last, choose(last, (some, highest))), (linked, newest))
            return packed(self.any.node, {"age": UNUSED, "older": older, "newer": newer})

        return self._array(element)

    # ---- what was made

    def _returns(self, end):
        if not end.allocated:
            return [("it asks for memory", False)]
        pointer, taken = end.registers.read("rax"), end.taken
        if pointer == 0:
            return [("there is no memory where it returns NULL", taken is None)]
        if taken is None or not isinstance(pointer, int):
            return [("there is memory where it returns one", False)]
        self.succeeded += 1
        return self._is_empty(end, pointer, *taken)

    def _is_empty(self, end, pointer, region, size):
        """What was made is an empty one as the other functions take it, and lies in its memory."""
        facts = self.any.facts
        yield "it begins a cache line", pointer % CACHE_LINE_BYTES == 0
        yield from self._is_laid(end, pointer, region, size)
        yield from self._is_row(end)
        empty = c.state(self.STATE, facts, "empty", self.made.parameters, None, None, empty=True)
        facts.concluding = True
        same = empty.same(self._state(end))
        for condition in facts.defined:
            end.hold(condition)
        yield "it is empty", same

    def _state(self, end):
        return self.any.state(end, self.key)

    def _is_laid(self, end, pointer, region, size):
        begin_bytes = end.memory.arrays[self.key].begin_bytes
        for address, size_bytes, value in self.any.members(pointer):
            found = end.memory.load(address, size_bytes, end.where)
            yield "its members are as they are to be", t.eq(8 * size_bytes, found, value)
        bytes_ = t.scale(64, t.zext(self.nodes, 32, 64), self.any.node.size_bytes)
        yield "nodes lie in the memory", t.ule(64, t.add(64, begin_bytes, bytes_), size)
        yield "nodes are where they were put", pointer - region.base + self.any.begin_bytes == begin_bytes

    def _is_row(self, end):
        """The nodes are those of the row of a new pool."""
        row = self.new
        yield from same_array(end, self.key, self._array(lambda node: row.element(self.any.node, node)))
        yield from (*row.ends(), *row.of_node(ANY_NODE), *row.of_age(ANY_NODE), *row.of_position(ANY_POSITION))
        yield from row.of_nodes(ANY_NODE, OTHER_NODE)

    def _holding(self, _, path, given, claims, __):
        for claim in claims:
            found = example([*path.conditions(), *given, t.lnot(claim[1])])
            concluding(found, [claim], lambda model: [f"  capacity = {model.seen(self.capacity)}"])
