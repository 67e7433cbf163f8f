"""What the functions of map.h do."""

from pytest_vigor.contract import TRUTH, U32, Key, New, Out, Outcome, State, contract
from pytest_vigor.ghost.map import Map

CAPACITY_MAX = 1 << 30


@contract(key_bytes=U32, capacity=U32, returns=New(Map))
def map_alloc(call, key_bytes, capacity):
    if key_bytes == 0 or capacity == 0 or capacity > CAPACITY_MAX:
        return Outcome(None)
    return Outcome(call.new(Map, key_bytes=key_bytes, capacity=capacity))


@contract(map=State(Map), key=Key("map"), out_value=Out(32), returns=TRUTH)
def map_get(call, map, key):
    if key not in map:
        return Outcome(False)
    return Outcome(True, out_value=map[key])


@contract(map=State(Map), key=Key("map"), value=U32, returns=TRUTH)
def map_put(call, map, key, value):
    if key not in map and map.full:
        return Outcome(False)
    return Outcome(True, map=map.put(key, value))


@contract(map=State(Map), key=Key("map"), returns=TRUTH)
def map_erase(call, map, key):
    if key not in map:
        return Outcome(False)
    return Outcome(True, map=map.erase(key))


@contract(map=State(Map), returns=U32)
def map_size(call, map):
    return Outcome(map.size)
