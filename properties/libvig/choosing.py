"""Whether consistent_hash_choose does what its contract says, whatever the slots hold and whichever backends of a flow
table of any capacity are available, which is known by that one's contracts.

The order in which a key visits backends is read off the function itself, followed where none is available: it depends
on nothing but the key and the table. That the function chooses the first in that order is then what is to be shown.
"""

from dataclasses import replace

from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.ghost import flows
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.called import by_contract, returning
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import Laid, NotShown, Refuted, Unsettled, block, holding, unbroken
from pytest_vigor.refine.refinement import Refinement

hashing = beside(str(libvig_root() / "consistent_hash" / "abstraction.py"), "abstraction.py")

SLOT_BYTES = 2
FEW = {"backends": 1, "slots": 7}  # with which the hash is easily seen
CAPACITY = t.var("capacity of available", 32)
ANY, OTHER = t.var("any backend", 32), t.var("another backend", 32)


def choosing_verdict(library, parameters):
    """The verdict for a number of backends, a prime number of slots, and sizes of the keys of both tables in bytes."""
    return Choosing(library, parameters).verdict()


class Choosing(Refinement):
    """The proof at given sizes."""

    def __init__(self, library, sizes):
        facts, contracts = Everywhere(), library.contracts.by_name
        self.sizes = sizes
        self.alone = library.modelling({"flow_table_key_at": _unavailable})
        library = library.modelling({"flow_table_key_at": by_contract(contracts["flow_table_key_at"], facts)})
        parameters = {
            "table": {"key_bytes": sizes["key_bytes"]}, "available": {"key_bytes": sizes["backend_key_bytes"]},
        }  # fmt: skip
        super().__init__(library, contracts["consistent_hash_choose"], parameters)
        self.facts = facts
        entries = flows.Base(facts, "available", 8 * sizes["backend_key_bytes"], CAPACITY)
        self.available, self.visits, self.halves = FlowTable(None, entries), [], []

    def _lay(self, path):
        self._cut_hash()
        path = self._laid(path, self.library, self.sizes, lambda index: None)
        self.visits = [
            t.zext(t.app("slots", 8 * SLOT_BYTES, (32, index)), 8 * SLOT_BYTES, 32)
            for index in self._visited(self.sizes)
        ]
        path.hold(t.ult(32, 0, CAPACITY))
        return path

    def _cut_hash(self):
        """Has solvers take the two halves of the key's hash for any functions of it. They are seen where few slots are
        visited."""
        found = [half for index in self._visited(self.sizes | FEW)[1:2] for half in _scaled(index, FEW["slots"])]
        if len(found) != 2:
            raise NotShown(Unsettled("where a key begins and what it skips is not seen to come from its hash"))
        self.halves = found
        for place, half in enumerate(self.halves):
            for library in (self.library, self.alone):
                library.machine.search.cuts.cuts[half.uid] = f"hash {place}", self._key()

    def _hold_bounds(self, path, slots):
        """Where a key begins is a slot, and its skip is below their number less one: that of the bounds of terms."""
        for place, (half, limit) in enumerate(zip(self.halves, (slots, slots - 1), strict=False)):
            part = t.extract(t.scale(64, t.zext(half, 32, 64), limit), 64, 63, 32)
            if isinstance(part, t.Term) and t.bounds(part)[1] < limit:
                named = t.var(f"part {place} of the hash", 32)
                path.hold(t.land(t.eq(32, part, named), t.ult(32, named, limit)))

    def _laid(self, path, library, sizes, seen):
        """A path on which there are the two tables. Each index at which slots are read is told."""
        backends, slots = sizes["backends"], sizes["slots"]
        self._hold_bounds(path, slots)

        def read(index):
            seen(index)
            return t.app("slots", 8 * SLOT_BYTES, (32, index))

        def known(value):
            if isinstance(value, t.Term) and value.op == "app":
                yield t.ult(8 * SLOT_BYTES, value, backends)

        size = t.var("size of the slots", 64)  # not a number: where a slot is looked at is not to split the path
        path.hold(t.eq(64, size, slots * SLOT_BYTES))
        region = path.memory.add("the slots", size, writable=False)
        path.memory.arrays = {path.memory.key_of(region.base): Array(SLOT_BYTES, read, known=known)}
        struct = library.structs["consistent_hash"]
        table = path.memory.add("the table", struct.size_bytes, writable=False)
        members = {
            "backends": region.base, "slot_count": slots, "backend_count": backends,
            "key_bytes": sizes["key_bytes"],
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

    def _visited(self, sizes):
        """Which slots a key visits where no backend is available, in order."""
        indices, library = [], self.alone
        path = self._laid(library.machine.start(), library, sizes, indices.append)
        key = block(path, "the key", sizes["key_bytes"], self._key(), writable=False)
        outs = [block(path, name, 1, 0) for name in ("out_backend_key", "out_backend")]
        places = [self.laid["table"].place.address, key.base, self.laid["available"].place.address]
        library.machine.search.broken.clear()
        arguments = [*places, *(each.base for each in outs)]
        returned, stuck = library.machine.call(path, self.contract.name, arguments)
        unbroken(library, lambda _: [])
        if stuck or len(returned) != 1:
            raise NotShown(Unsettled(stuck[0].reason if stuck else "where none is available, it goes several ways"))
        slots = {t.app("slots", 8 * SLOT_BYTES, (32, index)) for index in indices}
        for slot in slots:
            if any(leaf is not self._key() and leaf not in slots for leaf in t.leaves(slot).values()):
                raise NotShown(Refuted("the order depends on more than the key and the table"))
        return indices

    def _key(self):
        return t.var("argument key", 8 * self.sizes["key_bytes"])

    def _state(self, path, name, **more):
        if name == "available":
            return path.ghosts["available"]
        walked = hashing.Walked(
            None, self.facts, "table", 8 * self.sizes["key_bytes"], self.sizes["backends"], self.sizes["slots"]
        )
        walked.visits = self.visits
        return walked

    def _still_valid(self, end):
        """Nothing here has changed; that ranks are those of an order."""
        rank = self._state(end, "table").rank
        backends = t.land(*(t.ult(32, each, self.sizes["backends"]) for each in (ANY, OTHER)), t.ne(32, ANY, OTHER))
        yield "no two backends have a rank", t.implies(backends, t.ne(32, rank(ANY), rank(OTHER)))

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        for condition in (*given, *self.facts.defined):
            end.hold(condition)
        holding(self.library, end, [], claims, self._told)


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
