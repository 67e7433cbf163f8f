"""A vector is right at every capacity: where a record is lent depends on nothing that grows with it."""

from functools import partial

from pytest_vigor import term as t

RECORD_BYTES = (1, 2, 3, 4, 8, 12, 16, 20, 32, 64, 65, 100)
BOUND = f"every capacity, records of {', '.join(map(str, RECORD_BYTES))} bytes"
CAPACITY, INDEX = t.var("capacity", 32), t.var("index", 32)
LINE_BYTES = 64


def _allocated(library, record_bytes, alignment):
    """The paths of vector_alloc at any capacity but 0, each with the vector that it made or None."""
    from pytest_vigor.explore.entry import short

    path = library.machine.start()
    path.hold(t.ult(32, 0, CAPACITY))
    library.machine.search.broken.clear()
    arguments = [short(record_bytes, 32), short(CAPACITY, 32)]
    returned, stuck = library.machine.call(path, "vector_alloc", arguments, alignment=alignment, short=True)
    assert not stuck and not library.machine.search.broken
    for end in returned:
        pointer = end.registers.read("rax")
        yield end, None if pointer == 0 else library.heap(end).at(pointer, "vector")


def _called(library, path, function, arguments):
    """What a function returns, which must go one way and write to nothing."""
    before = {key: dict(region.cells) for key, region in path.memory.regions.items()}
    returned, stuck = library.machine.call(path, function, arguments)
    assert len(returned) == 1 and not stuck and not library.machine.search.broken
    stack = path.memory.key_of(path.entry[0] & ~0xFFFFF)
    after = {key: region.cells for key, region in returned[0].memory.regions.items()}
    assert {key: cells for key, cells in after.items() if key != stack} == {
        key: cells for key, cells in before.items() if key != stack
    }
    return returned[0], returned[0].registers.read("rax")


def _vectors(library):
    from pytest_vigor.refine.machine import ALIGNMENTS

    for record_bytes in RECORD_BYTES:
        for alignment in ALIGNMENTS:
            made = 0
            for end, vector in _allocated(library, record_bytes, alignment):
                if vector is None:
                    assert end.allocated == (None,), "NULL only if memory is short"
                else:
                    made += 1
                    yield record_bytes, end, vector
            assert made == 1


def _proving(library, shown, function, claims_of, bound=BOUND):
    from pytest_vigor.refine.library import concluded, holding

    def prove(record_bytes, end, vector):
        path, claims = claims_of(record_bytes, end, vector)
        holding(library, path, [], claims, lambda model: [f"  capacity = {model.seen(CAPACITY)}"])
        return 1

    verdicts = ((f"records of {each[0]} bytes", concluded(partial(prove, *each))) for each in _vectors(library))
    shown(function, bound, verdicts)


def test_allocation_holds_all_records_zero(library, shown):
    def claims(record_bytes, end, vector):
        region, size = end.taken
        begin = vector["records"] - region.base
        needed = t.add(64, begin, t.scale(64, t.zext(CAPACITY, 32, 64), vector["stride_bytes"]))
        header = vector.address - region.base + vector.struct.size_bytes
        whole_line = vector["records"] % LINE_BYTES == 0 and LINE_BYTES % vector["stride_bytes"] == 0
        return end, [
            ("it begins a cache line", vector.address % LINE_BYTES == 0),
            ("records fit in their stride", record_bytes <= vector["stride_bytes"]),
            ("records of at most a line do not straddle two", record_bytes > LINE_BYTES or whole_line),
            ("records begin behind the struct", header <= begin),
            ("records lie in the memory", t.ule(64, needed, size)),
            ("records are as calloc made them: zero", all(offset < header for offset in region.cells)),
            ("the capacity is as asked", t.eq(32, vector["capacity"], CAPACITY)),
        ]  # fmt: skip

    _proving(library, shown, "vector_alloc", claims)


def test_borrow_lends_the_record_of_the_index(library, shown):
    from pytest_vigor.explore.entry import short

    def claims(record_bytes, end, vector):
        end.hold(t.ult(32, INDEX, CAPACITY))
        path, lent = _called(library, end, "vector_borrow", [vector.address, short(INDEX, 32)])
        where = t.add(64, vector["records"], t.scale(64, t.zext(INDEX, 32, 64), vector["stride_bytes"]))
        return path, [("the address of the record", t.eq(64, lent, where))]

    _proving(library, shown, "vector_borrow", claims)


def test_giving_back_changes_nothing_else(library, shown):
    def claims(record_bytes, end, vector):
        path, _ = _called(library, end, "vector_give_back", [vector.address, t.var("a record", 64)])
        return path, []

    _proving(library, shown, "vector_give_back", claims)


def test_capacity_is_told(library, shown):
    def claims(record_bytes, end, vector):
        path, told = _called(library, end, "vector_capacity", [vector.address])
        return path, [("the capacity", t.eq(32, t.extract(told, 64, 31, 0), CAPACITY))]

    _proving(library, shown, "vector_capacity", claims)


def test_is_valid_says_yes_of_every_vector(library, shown):
    def claims(record_bytes, end, vector):
        path, said = _called(library, end, "vector_is_valid", [vector.address])
        return path, [("it says yes", t.eq(8, t.extract(said, 64, 7, 0), 1))]

    _proving(library, shown, "vector_is_valid", claims, f"{BOUND}: yes of what is valid")
