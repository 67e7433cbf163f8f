"""What the functions of flow_table.h do."""

from pytest_vigor.contract import NOTHING, TIME, TRUTH, U32, Key, New, Out, Outcome, State, contract
from pytest_vigor.ghost.flow_table import FlowTable

CAPACITY_MAX = 1 << 30


def _timely(call, table, now):
    call.requires(now >= 0, "now is not negative")
    call.requires(table.ages_at_most(now), "now is not before any age in the table")


@contract(key_bytes=U32, capacity=U32, returns=New(FlowTable))
def flow_table_alloc(call, key_bytes, capacity):
    if key_bytes == 0 or capacity == 0 or capacity > CAPACITY_MAX:
        return Outcome(None)
    return Outcome(call.new(FlowTable, key_bytes=key_bytes, capacity=capacity))


@contract(table=State(FlowTable), key=Key("table"), out_index=Out(32), returns=TRUTH)
def flow_table_find(call, table, key):
    if key not in table:
        return Outcome(False)
    return Outcome(True, out_index=table[key])


@contract(table=State(FlowTable), key=Key("table"), now=TIME, out_index=Out(32), returns=TRUTH)
def flow_table_find_and_refresh(call, table, key, now):
    _timely(call, table, now)
    if key not in table:
        return Outcome(False)
    index = table[key]
    return Outcome(True, out_index=index, table=table.refresh(index, now))


@contract(table=State(FlowTable), key=Key("table"), now=TIME, out_index=Out(32), returns=TRUTH)
def flow_table_put(call, table, key, now):
    _timely(call, table, now)
    call.forbids(table.has(key), "the key is absent")
    if table.full:
        return Outcome(False)
    index = call.choose("out_index", 32, lambda i: table.is_free(i))
    return Outcome(True, out_index=index, table=table.put(key, index, now))


@contract(table=State(FlowTable), index=U32, now=TIME, returns=NOTHING)
def flow_table_refresh(call, table, index, now):
    _timely(call, table, now)
    call.requires(table.uses(index), "the index is used")
    return Outcome(table=table.refresh(index, now))


@contract(table=State(FlowTable), index=U32, returns=NOTHING)
def flow_table_erase(call, table, index):
    call.requires(table.uses(index), "the index is used")
    return Outcome(table=table.erase(index))


@contract(table=State(FlowTable), time=TIME, returns=U32)
def flow_table_expire_before(call, table, time):
    return Outcome(table.count_before(time), table=table.expire_before(time))


@contract(table=State(FlowTable), index=U32, out_key=Out(of="table"), returns=TRUTH)
def flow_table_key_at(call, table, index):
    if not table.uses(index):
        return Outcome(False)
    return Outcome(True, out_key=table.key_at(index))


@contract(table=State(FlowTable), returns=U32)
def flow_table_capacity(call, table):
    return Outcome(table.capacity)


@contract(table=State(FlowTable), index=U32, out_key=Out(of="table"), out_age=Out(64, signed=True), returns=TRUTH)
def flow_table_entry(call, table, index):
    if not table.uses(index):
        return Outcome(False)
    return Outcome(True, out_key=table.key_at(index), out_age=table.age(index))


@contract(table=State(FlowTable), key=Key("table"), index=U32, age=TIME, returns=TRUTH)
def flow_table_restore(call, table, key, index, age):
    if key in table or not table.is_free(index) or age < 0 or not table.ages_at_most(age):
        return Outcome(False)
    return Outcome(True, table=table.put(key, index, age))
