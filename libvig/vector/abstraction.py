"""What the memory of a vector means."""

from pytest_vigor import term as t
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.refine.heap import Unknown
from pytest_vigor.refine.listed import ListedRecords


def unknown(heap, vector, parameters):
    for index in range(parameters["capacity"]):
        address = vector["records"] + index * vector["stride_bytes"]
        yield Unknown(address, parameters["record_bytes"], 8 * parameters["record_bytes"], f"record {index}")


def invariant(heap, vector, parameters):
    yield "the capacity is as allocated", t.eq(32, vector["capacity"], parameters["capacity"])
    yield "records do not overlap", t.ule(64, parameters["record_bytes"], vector["stride_bytes"])


def element(heap, vector, index):
    """Where the record at an index is lent."""
    return t.add(64, vector["records"], t.scale(64, t.zext(index, 32, 64), vector["stride_bytes"]))


def state(heap, vector, parameters, facts, loans=()):
    size = parameters["record_bytes"]
    records = [heap.load(element(heap, vector, index), size) for index in range(parameters["capacity"])]
    return Vector(None, ListedRecords(facts, "vector", 8 * size, records, loans))
