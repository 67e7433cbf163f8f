"""Whether lpm_alloc makes an empty table of which the invariant holds, at every capacity, or none where memory is
short. That of its map and its index pool, as their contracts say, is not where the table is."""

from properties.libvig.lpm_steps import (
    ANY_ADDRESS,
    ANY_GROUP,
    ANY_LENGTH,
    ANY_POSITION,
    ANY_PREFIX,
    ANY_SLOT,
    lpm,
    steps,
)
from pytest_vigor import contract as c, term as t
from pytest_vigor.explore.entry import short
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.lpm import KEY_BITS, Lpm
from pytest_vigor.ghost.map import Map
from pytest_vigor.refine.allocation import CACHE_LINE_BYTES
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.called import by_contract
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import NotShown, Refuted, Unsettled, concluded, holding, unbroken
from pytest_vigor.refine.machine import ALIGNMENTS
from pytest_vigor.refine.refinement import Symbol, alternatives

CAPACITY = t.var("argument capacity", 32)


def allocation_verdict(library):
    """Whether lpm_alloc does what its contract says wherever that does not have it return NULL."""
    return concluded(lambda: sum(_allocates(library, alignment) for alignment in ALIGNMENTS))


def _told(model):
    return [f"  capacity = {model.seen(CAPACITY)}"]


def _allocates(library, alignment):
    facts, contracts = Everywhere(), library.contracts.by_name
    models = {name: by_contract(contracts[name], facts) for name in ("map_alloc", "index_pool_alloc")}
    library = library.modelling(models)
    path = library.machine.start()
    ways = alternatives(path, contracts["lpm_alloc"], {"capacity": Symbol(CAPACITY, 32, False)}, facts)
    (made,) = (way for way in ways if way.outcome.result is not None)
    memory = t.var("lpm_alloc.memory", 0)
    path.hold(t.substitute(made.decided, lambda leaf: True if leaf is memory else None, {}))
    called = library.machine.call(path, "lpm_alloc", [short(CAPACITY, 32)], alignment=alignment, short=True)
    returned, stuck = called
    unbroken(library, _told)
    if stuck or not returned:
        raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
    succeeded = 0
    for end in returned:
        if not end.allocated:
            raise NotShown(Refuted("it returns without asking for memory"))
        handles = [*end.handles.values()]
        if end.registers.read("rax") != 0:
            succeeded += 1
            _is_empty(library, end, facts, made.outcome.result)
        elif end.taken is not None and len(handles) == len(models):
            raise NotShown(Refuted("it returns NULL, and there was memory"))
    if succeeded != 1:
        raise NotShown(Refuted("it never makes a table"))
    return len(returned)


def _is_empty(library, end, facts, made):
    """What was made is an empty table whose parts do not overlap."""
    pointer = end.registers.read("rax")
    if not isinstance(pointer, int) or len(end.allocated) != 1 or end.taken is None:
        raise NotShown(Refuted("it returns a table, and there was no memory"))
    region, size = end.taken
    place = library.heap(end).at(pointer, "lpm")
    states = {
        name: c.state(end.made[of].cls, facts, of, end.made[of].parameters, None, None, empty=True)
        for name, of in ((name, end.handles.get(place[name])) for name in ("prefixes", "groups")) if of is not None
    }  # fmt: skip
    if [type(states.get(name)) for name in ("prefixes", "groups")] != [Map, IndexPool]:
        raise NotShown(Refuted("it returns a table without its parts"))
    prefixes, groups = states["prefixes"], states["groups"]
    begin, header = place["entries"] - region.base, pointer - region.base + place.struct.size_bytes
    bytes_ = t.scale(64, t.zext(lpm.entries_of(CAPACITY), 32, 64), 4)
    empty = c.state(Lpm, facts, "empty", made.parameters, None, None, empty=True)
    facts.concluding = True
    claims = [
        ("it begins a cache line", pointer % CACHE_LINE_BYTES == 0),
        ("entries are aligned", begin % 4 == 0),
        ("entries begin behind the struct", header <= begin),
        ("entries lie in the memory", t.ule(64, t.add(64, begin, bytes_), size)),
        ("entries are as calloc made them: zero", all(offset < header for offset in region.cells)),
        ("keys are prefixes", prefixes.key_bits == KEY_BITS),
        ("there is room for as many prefixes as asked", t.eq(32, prefixes.items.capacity, CAPACITY)),
        ("there is a group for each", t.eq(32, groups.flows.capacity, CAPACITY)),
        ("it is empty", Lpm(None, prefixes.items).same(empty)),
    ]
    row = lpm.Row(lambda at: 0, lambda prefix: 0, lambda at: at, lambda group: group)
    table = lpm.Table(CAPACITY, Array(steps.ENTRY_BYTES, lambda index: 0), prefixes.items, groups.flows, row)
    claims += table.of_addresses(ANY_ADDRESS, ANY_LENGTH)
    claims += table.of_others(ANY_SLOT, ANY_GROUP, ANY_POSITION, ANY_PREFIX)
    for condition in facts.defined:
        end.hold(condition)
    holding(library, end, [], claims, _told)
