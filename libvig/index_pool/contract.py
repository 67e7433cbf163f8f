"""What the functions of index_pool.h do."""

from pytest_vigor.contract import NOTHING, TIME, TRUTH, U32, New, Out, Outcome, State, contract
from pytest_vigor.ghost.index_pool import IndexPool

CAPACITY_MAX = 1 << 30


def _timely(call, pool, now):
    call.requires(now >= 0, "now is not negative")
    call.requires(pool.ages_at_most(now), "now is not before any age in the pool")


@contract(capacity=U32, returns=New(IndexPool))
def index_pool_alloc(call, capacity):
    if capacity == 0 or capacity > CAPACITY_MAX:
        return Outcome(None)
    return Outcome(call.new(IndexPool, capacity=capacity))


@contract(pool=State(IndexPool), now=TIME, out_index=Out(32), returns=TRUTH)
def index_pool_take(call, pool, now):
    _timely(call, pool, now)
    if pool.full:
        return Outcome(False)
    index = call.choose("out_index", 32, lambda i: pool.is_free(i))
    return Outcome(True, out_index=index, pool=pool.take(index, now))


@contract(pool=State(IndexPool), index=U32, returns=TRUTH)
def index_pool_is_used(call, pool, index):
    return Outcome(pool.uses(index))


@contract(pool=State(IndexPool), index=U32, now=TIME, returns=NOTHING)
def index_pool_refresh(call, pool, index, now):
    _timely(call, pool, now)
    call.requires(pool.uses(index), "the index is used")
    return Outcome(pool=pool.refresh(index, now))


@contract(pool=State(IndexPool), index=U32, returns=NOTHING)
def index_pool_release(call, pool, index):
    call.requires(pool.uses(index), "the index is used")
    return Outcome(pool=pool.erase(index))


@contract(pool=State(IndexPool), time=TIME, returns=U32)
def index_pool_expire_before(call, pool, time):
    return Outcome(pool.count_before(time), pool=pool.expire_before(time))


@contract(pool=State(IndexPool), returns=U32)
def index_pool_capacity(call, pool):
    return Outcome(pool.capacity)


@contract(pool=State(IndexPool), index=U32, out_age=Out(64, signed=True), returns=TRUTH)
def index_pool_entry(call, pool, index):
    if not pool.uses(index):
        return Outcome(False)
    return Outcome(True, out_age=pool.age(index))


@contract(pool=State(IndexPool), index=U32, age=TIME, returns=TRUTH)
def index_pool_restore(call, pool, index, age):
    if not pool.is_free(index) or age < 0 or not pool.ages_at_most(age):
        return Outcome(False)
    return Outcome(True, pool=pool.take(index, age))
