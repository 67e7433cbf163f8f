"""What the functions of consistent_hash.h do."""

from pytest_vigor.contract import TRUTH, U32, Key, New, Out, Outcome, State, contract
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.flow_table import FlowTable

BACKENDS_MAX = 65535
SLOTS_MAX = 1 << 24


@contract(key_bytes=U32, backends=U32, slots=U32, returns=New(ConsistentHash))
def consistent_hash_alloc(call, key_bytes, backends, slots):
    if key_bytes == 0 or backends == 0 or backends > BACKENDS_MAX or slots < backends or slots > SLOTS_MAX:
        return Outcome(None)
    return Outcome(call.new(ConsistentHash, key_bytes=key_bytes, backends=backends, slots=slots))


@contract(
    table=State(ConsistentHash),
    key=Key("table"),
    available=State(FlowTable),
    out_backend_key=Out(of="available"),
    out_backend=Out(32),
    returns=TRUTH,
)
def consistent_hash_choose(call, table, key, available):
    if not table.can_choose(available):
        return Outcome(False)
    backend = call.choose("out_backend", 32, lambda i: table.prefers(key, i, available))
    return Outcome(True, out_backend_key=available.key_at(backend), out_backend=backend)
