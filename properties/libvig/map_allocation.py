"""Whether map_alloc makes an empty map of which the invariant holds, at every capacity, or none where memory is short.
How many slots there are is a power of two: it goes one way for each."""

from pytest_vigor import contract as c, term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.explore.entry import short
from pytest_vigor.ghost.map import Map
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.heap import fields_of
from pytest_vigor.refine.library import NotShown, Refuted, Unsettled, concluded, holding, unbroken
from pytest_vigor.refine.machine import ALIGNMENTS
from pytest_vigor.refine.refinement import Symbol, alternatives

FUNCTION = "map_alloc"
CAPACITY = t.var("capacity", 32)

everywhere = beside(str(libvig_root() / "map" / "everywhere.py"), "everywhere.py")
chains = everywhere.chains


def allocation_verdict(library, key_bytes):
    """Whether map_alloc does what its contract says wherever that does not have it return NULL."""
    return concluded(lambda: sum(_allocates(library, key_bytes, alignment) for alignment in ALIGNMENTS))


def _untold(model):
    return [f"  capacity = {model.seen(CAPACITY)}"]


def _allocates(library, key_bytes, alignment):
    facts, path = Everywhere(), library.machine.start()
    library.machine.search.is_shape_known = False
    bound = {"key_bytes": Symbol(key_bytes, 32, False), "capacity": Symbol(CAPACITY, 32, False)}
    ways = alternatives(path, library.contracts.by_name[FUNCTION], bound, facts)
    (way,) = (way for way in ways if way.outcome.result is not None)
    memory = t.var(f"{FUNCTION}.memory", 0)
    path.hold(t.substitute(way.decided, lambda leaf: True if leaf is memory else None, {}))
    library.machine.search.broken.clear()
    arguments = [short(key_bytes, 32), short(CAPACITY, 32)]
    returned, stuck = library.machine.call(path, FUNCTION, arguments, alignment=alignment, short=True)
    unbroken(library, _untold)
    if stuck:
        raise NotShown(Unsettled(stuck[0].reason))
    made = 0
    for end in returned:
        if not end.allocated:
            raise NotShown(Refuted("it returns without asking for memory"))
        pointer, taken = end.registers.read("rax"), end.taken
        if (pointer == 0) != (taken is None) or not isinstance(pointer, int):
            raise NotShown(Refuted("it returns NULL, and there was memory, or the reverse"))
        if pointer and taken[0].image is None:
            raise NotShown(Refuted("new memory is not zero"))
        if pointer:
            made += 1
            holding(library, end, [], [*_is_empty(library, end, pointer, taken, way.outcome.result, facts)], _untold)
    if not made:
        raise NotShown(Refuted("it never makes a map"))
    return len(returned)


def _is_empty(library, end, pointer, taken, made, facts):
    """What was made is an empty map as the others take one: its parts lie in its memory, apart from each other."""
    (region, size), key_bytes = taken, made.parameters["key_bytes"]
    struct = library.structs["map"]
    of = {name: end.memory.load(pointer + at, bytes_, end.where) for at, bytes_, name in fields_of(struct)}
    behind, stride = pointer + struct.size_bytes, chains.stride_bytes(key_bytes)
    slots = t.add(64, t.zext(of["mask"], 32, 64), 1)
    ends = [behind]
    for name, bytes_ in (("slots", library.structs["probe_slot"].size_bytes), ("keys", stride)):
        yield "its parts do not overlap", t.ule(64, ends[-1], of[name])
        ends.append(t.add(64, of[name], t.scale(64, slots, bytes_)))
    yield "its parts lie in its memory", t.ule(64, ends[-1], t.add(64, region.base, size))
    yield "it begins a cache line", pointer % 64 == 0
    yield "keys are as far apart as they are to be", t.eq(64, of["key_stride_bytes"], stride)
    yield "the size of keys is as asked", t.eq(32, of["key_bytes"], key_bytes)
    yield "the capacity is as asked", t.eq(32, of["capacity"], CAPACITY)
    yield "slots and keys stay so", all(region.base + at < behind for at in region.cells)
    row = chains.Chains(of["mask"], of["size"], *[lambda slot: 0] * 2, *[lambda at: at] * 2)
    entries = everywhere.Entries(
        row, lambda slot: 0, lambda key: 0, 8 * key_bytes, lambda key: library.tag(key, key_bytes)
    )
    yield from row.sizes(CAPACITY)
    yield from entries.of_slot(chains.ANY_SLOT)
    yield from row.of_position(chains.ANY_POSITION)
    yield from row.of_chain(chains.ANY_SLOT, chains.BETWEEN)
    yield "size is 0", t.eq(32, row.many, 0)
    empty = c.state(Map, facts, "empty", made.parameters, None, None, empty=True)
    facts.concluding = True
    same = empty.same(Map(None, everywhere.Items(facts, CAPACITY, entries)))
    facts.concluding = False
    for condition in facts.defined:
        end.hold(condition)
    yield "it is empty", same
