"""Whether consistent_hash_choose does what its contract says, for any numbers of slots and backends, whatever the slots
hold and whichever backends of a flow table of any capacity are available, which is known by that one's contracts.

A key visits slots in an order that depends on nothing but the key and the table (libvig/consistent_hash/orders.py).
That the function follows this order, and chooses the first available backend in it, is shown by induction over its
loops.
"""

from dataclasses import replace

from pytest_vigor import term as t
from pytest_vigor.arithmetic import Arithmetic
from pytest_vigor.build import libvig_root
from pytest_vigor.ghost import flows
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.integers import RESOURCES
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.called import by_contract, returning
from pytest_vigor.refine.cycles import Cycle, Cycles, in_turn
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import Laid, NotShown, Unsettled, block
from pytest_vigor.refine.refinement import Refinement

orders = beside(str(libvig_root() / "consistent_hash" / "orders.py"), "orders.py")

SLOT_BYTES = 2
BACKENDS, SLOTS = t.var("backends", 32), t.var("slots", 32)
BACKENDS_MAX, SLOTS_MAX = 65535, 1 << 25  # the least prime from 2^24 is below 2^25
FEW = {"backends": 1, "slots": 7}  # with which the hash is easily seen
CAPACITY = t.var("capacity of available", 32)
OTHER = t.var("another backend", 32)


class Choosing(Refinement):
    """The proof with keys, and keys of backends, of some sizes."""

    def __init__(self, library, key_bytes, backend_key_bytes):
        facts, contracts = Everywhere(), library.contracts.by_name
        self.key_bytes, self.key = key_bytes, t.var("argument key", 8 * key_bytes)
        self.alone = library.modelling({"flow_table_key_at": _unavailable})
        library = library.modelling({"flow_table_key_at": by_contract(contracts["flow_table_key_at"], facts)})
        parameters = {"table": {"key_bytes": key_bytes}, "available": {"key_bytes": backend_key_bytes}}
        super().__init__(library, contracts["consistent_hash_choose"], parameters)
        self.facts = facts
        entries = flows.Base(facts, "available", 8 * backend_key_bytes, CAPACITY)
        self.available = FlowTable(None, entries)
        self.table = ConsistentHash(None, facts, "table", 8 * key_bytes, BACKENDS, SLOTS)

    # ---- the hash

    def _halves(self):
        """The halves of the key's hash that say where it begins and how far it skips, seen where slots are few. Solvers
        take them for any functions of the key."""
        indices, library = [], self.alone
        path = self._laid(library.machine.start(), library, **FEW, seen=indices.append)
        key = block(path, "the key", self.key_bytes, self.key, writable=False)
        outs = [block(path, name, 1, 0).base for name in ("out_backend_key", "out_backend")]
        places = [self.laid["table"].place.address, key.base, self.laid["available"].place.address]
        returned, stuck = library.machine.call(path, self.contract.name, [*places, *outs])
        halves = [half for index in indices[1:2] for half in _scaled(index, FEW["slots"])]
        if stuck or len(returned) != 1 or len(halves) != 2:
            raise NotShown(Unsettled("where a key begins and what it skips is not seen to come from its hash"))
        for place, half in enumerate(halves):
            assert set(t.leaves(half)) == {self.key.uid}, "a hash is one of the key"
            self.library.machine.search.cuts.cuts[half.uid] = f"hash {place}", self.key
        return halves

    # ---- memory

    def _lay(self, path):
        limits = SLOTS, t.sub(32, SLOTS, 1)
        self.scaled = [(limit, _scaled_to(half, limit)) for limit, half in zip(limits, self._halves(), strict=True)]
        (_, first), (_, skipped) = self.scaled
        self.order = orders.Order(self.table, self.key, self.available, _backend, first, t.add(32, skipped, 1))
        path = self._laid(path, self.library, BACKENDS, SLOTS)
        path.hold(t.land(t.ult(32, 0, BACKENDS), t.ule(32, BACKENDS, BACKENDS_MAX), t.ule(32, BACKENDS, SLOTS)))
        path.hold(t.land(t.ult(32, 1, SLOTS), t.ult(32, SLOTS, SLOTS_MAX), t.ult(32, 0, CAPACITY)))
        return path

    def _laid(self, path, library, backends, slots, seen=lambda index: None):
        """A path on which there are the two tables. Each index at which slots are read is seen."""

        def read(index):
            seen(index)
            return t.app("slots", 8 * SLOT_BYTES, (32, index))

        def known(value):
            if isinstance(value, t.Term) and value.op == "app":
                yield t.ult(32, t.zext(value, 8 * SLOT_BYTES, 32), backends)

        size = t.var("size of the slots", 64)  # not a number: where a slot is looked at is not to split the path
        path.hold(t.eq(64, size, t.scale(64, t.zext(slots, 32, 64), SLOT_BYTES)))
        region = path.memory.add("the slots", size, writable=False)
        path.memory.arrays = {path.memory.key_of(region.base): Array(SLOT_BYTES, read, known=known)}
        struct = library.structs["consistent_hash"]
        table = path.memory.add("the table", struct.size_bytes, writable=False)
        members = {
            "backends": region.base, "slot_count": slots, "backend_count": backends, "key_bytes": self.key_bytes,
        }  # fmt: skip
        for name, value in members.items():
            field = struct.field(name)
            for k in range(field.type.size_bytes):
                table.cells[field.offset + k] = value, field.type.size_bytes, k
        available = path.memory.add("available", 0)
        path.handles[available.base], path.ghosts["available"] = "available", self.available
        for name, each, kind in (("table", table, "consistent_hash"), ("available", available, "flow_table")):
            place = library.heap(path).at(each.base, kind)
            meaning = replace(library.abstractions[kind], by_value=lambda *_: ())  # nothing in either is looked at
            self.laid[name] = Laid(meaning, place, each, {}, ())
        return path

    def _state(self, path, name, **more):
        return path.ghosts["available"] if name == "available" else self.table

    # ---- its loops

    def _follow(self, path, passed, returns):
        if not scaling_stays_below():
            raise NotShown(Unsettled("where a key begins is not seen to be a slot"))
        for limit, scaled in self.scaled:
            path.hold(t.ult(32, scaled, limit))
        said = [lambda _: [self._visiting()], lambda _: [self._in_turn_of_numbers()]]
        ends = 0
        for end in Cycles(self.library, self.contract.name, said, self._told).ends(path, passed):
            returns(end)
            ends += 1
        return ends

    def _visiting(self):
        """The loop over the visits that a key makes."""
        order = self.order

        def holds(now):
            yield "there is a visit to make", t.ult(32, now["visit"], order.visits)
            yield "there is such a slot", t.ult(32, now["slot"], SLOTS)
            yield "it is the one of this visit", t.eq(32, now["slot"], order.place(now["visit"]))
            yield from order.passed_none(now["visit"], orders.ANY)

        def given(now):
            yield from order.of_places(now["visit"])
            for each in (*order.asked_about(), _backend(now["slot"])):
                yield from order.of_rank(each)
                yield from order.of_visit(now["visit"], each)

        def last(now, _):
            return {"visit": t.add(32, now["visit"], 1), "slot": order.following(now["slot"])}

        return Cycle(
            {"visit": 0, "slot": order.first}, holds, left=lambda now: t.sub(32, order.visits, now["visit"]),
            given=given, last=last,
            assumed=lambda now: self._passed(now["visit"], _backend(now["slot"])),
            ends=lambda now, last: self._passed_too(_backend(now["slot"]), last["visit"]),
        )  # fmt: skip

    def _in_turn_of_numbers(self):
        """The loop over backends that no visit has met."""
        order = self.order

        def rank(number):
            return t.add(32, order.visits, number)

        def holds(now):
            yield "there is such a backend", t.ult(32, now["backend"], BACKENDS)
            yield from order.passed_none(rank(now["backend"]), orders.ANY)

        def given(now):
            for each in (*order.asked_about(), now["backend"]):
                yield from order.of_rank(each)

        return Cycle(
            {"backend": 0}, holds, left=lambda now: t.sub(32, BACKENDS, now["backend"]), given=given,
            last=lambda now, _: {"backend": t.add(32, now["backend"], 1)},
            assumed=lambda now: self._passed(rank(now["backend"]), now["backend"]),
            ends=lambda now, last: self._passed_too(now["backend"], rank(last["backend"])),
        )  # fmt: skip

    def _passed(self, rank, *others):
        """What is said of any backend, of those in question."""
        for each in (*self.order.asked_about(), *others):
            yield from self.order.passed_none(rank, each)

    def _passed_too(self, backend, rank):
        """That the backend that was looked at is passed, if it is not available."""
        for name, claim in self._passed(rank):
            yield name, t.lor(self.order.is_available(backend), claim)

    # ---- what it returns

    def _still_valid(self, end):
        """Nothing here has changed; that ranks are those of an order."""
        ranks = []
        for each in (orders.ANY, OTHER):
            for _, known in self.order.of_rank(each):
                end.hold(known)
            ranks.append(self.order.rank(each))
        backends = t.land(*(t.ult(32, each, BACKENDS) for each in (orders.ANY, OTHER)), t.ne(32, orders.ANY, OTHER))
        yield "no two backends have a rank", t.implies(backends, t.ne(32, *ranks))

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        for condition in (*given, *self.facts.defined):
            end.hold(condition)
        in_turn(self.library, end, claims, self._told)


def _backend(slot):
    return t.zext(t.app("slots", 8 * SLOT_BYTES, (32, slot)), 8 * SLOT_BYTES, 32)


def scaling_stays_below():
    """Whether the upper half of a product of a limit and any 32 bits is below the limit. Where paths are followed,
    products are unknown: so this is asked by itself."""
    numbers = Arithmetic()
    half, limit, upper, lower = map(numbers.unknown, ("half", "limit", "upper", "lower"))
    end = 1 << 32
    product = [half * limit == upper * end + lower, half < end, lower < end, half >= 0, lower >= 0]
    return numbers.solved("LIA", [*product, limit > 0, upper >= limit], RESOURCES, 0) is False


def _scaled_to(half, limit):
    return t.extract(t.mul(64, t.zext(half, 32, 64), t.zext(limit, 32, 64)), 64, 63, 32)


def _scaled(value, slots):
    """The words of 32 bits in a value that are scaled to the number of slots, and to one less."""
    halves, stack = {}, [value]
    while stack:
        each = stack.pop()
        if not isinstance(each, t.Term):
            continue
        stack += each.args
        for limit in (slots, slots - 1):
            if each.op == "extract" and each.data == (63, 32) and _is_scaled(each.args[0], limit):
                halves[limit] = each.args[0].args[0].args[0]
    return [halves[limit] for limit in (slots, slots - 1) if limit in halves]


def _is_scaled(product, limit):
    return (
        isinstance(product, t.Term) and product.op == "add" and product.data[1] == (limit,)
        and product.args[0].op == "zext" and product.args[0].args[0].width == 32
    )  # fmt: skip


def _unavailable(path):
    returning(path, "flow_table_key_at", 0, 8)
    return [path]
