"""What the functions of lpm.h do."""

from pytest_vigor.contract import TRUTH, U32, New, Out, Outcome, State, contract
from pytest_vigor.ghost.lpm import VALUE_MAX, Lpm

CAPACITY_MAX = 1 << 22


@contract(capacity=U32, returns=New(Lpm))
def lpm_alloc(call, capacity):
    if capacity == 0 or capacity > CAPACITY_MAX:
        return Outcome(None)
    return Outcome(call.new(Lpm, capacity=capacity))


@contract(lpm=State(Lpm), prefix=U32, length=U32, value=U32, returns=TRUTH)
def lpm_add(call, lpm, prefix, length, value):
    if not lpm.is_prefix(prefix, length) or value > VALUE_MAX:
        return Outcome(False)
    if (prefix, length) not in lpm and lpm.full:
        return Outcome(False)
    return Outcome(True, lpm=lpm.put((prefix, length), value))


@contract(lpm=State(Lpm), prefix=U32, length=U32, returns=TRUTH)
def lpm_remove(call, lpm, prefix, length):
    if (prefix, length) not in lpm:
        return Outcome(False)
    return Outcome(True, lpm=lpm.erase((prefix, length)))


@contract(lpm=State(Lpm), address=U32, out_value=Out(32), returns=TRUTH)
def lpm_search(call, lpm, address):
    route = lpm.longest(address)
    if route is None:
        return Outcome(False)
    return Outcome(True, out_value=route.value)


@contract(lpm=State(Lpm), returns=U32)
def lpm_size(call, lpm):
    return Outcome(lpm.size)
