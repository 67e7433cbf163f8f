"""What the functions of vector.h do."""

from pytest_vigor.contract import NOTHING, U32, Borrowed, Loan, New, Outcome, State, contract
from pytest_vigor.ghost.vector import Vector


@contract(record_bytes=U32, capacity=U32, returns=New(Vector))
def vector_alloc(call, record_bytes, capacity):
    if record_bytes == 0 or capacity == 0:
        return Outcome(None)
    return Outcome(call.new(Vector, record_bytes=record_bytes, capacity=capacity))


@contract(vector=State(Vector), index=U32, returns=Borrowed("vector"))
def vector_borrow(call, vector, index):
    call.requires(index < vector.capacity, "the index is below the capacity")
    call.forbids(vector.on_loan(index), "the record is not on loan")
    return Outcome(vector.at(index), vector=vector.lend(index))


@contract(vector=State(Vector), record=Loan("vector"), returns=NOTHING)
def vector_give_back(call, vector, record):
    return Outcome(vector=vector.give_back(record.index, record.record))


@contract(vector=State(Vector), returns=U32)
def vector_capacity(call, vector):
    return Outcome(vector.capacity)
