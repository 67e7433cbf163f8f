"""A path of a Behaviour on a particular state: the calls' contracts are run there, with the path's decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.behaviour import Assume, Behaviour, Called, Node, Oblige, Path, Way, map_way
from pytest_vigor.contract import (
    Chosen,
    Contracts,
    Decided,
    NewStructure,
    Nothing,
    Required,
    SymbolicCall,
    bind,
    result_bits,
    state,
)
from pytest_vigor.errors import ContractError
from pytest_vigor.frame import Frame
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool, Pool
from pytest_vigor.ghost.lpm import Lpm
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.residues import CHECKSUMS, sums
from pytest_vigor.term import Bool, Term, Value

CLASSES: dict[str, type] = {each.kind: each for each in (ConsistentHash, FlowTable, IndexPool, Lpm, Map, Vector)}
TIME = t.zext(t.var("time", b.TIME_BITS), b.TIME_BITS, 64)  #: of the latest earlier step


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a call of nf_process gets."""

    device: Value
    length: Value
    now: Value  #: 64 bits
    frame: Frame


@dataclass(frozen=True, slots=True)
class Held:
    """Something that is so on the path."""

    condition: Bool
    node: Node


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that must be so at this point of the path."""

    condition: Bool
    kind: str
    detail: str
    where: int
    node: Node


Item = Held | Owed


@dataclass(slots=True)
class Instance:
    """What a path does from some state, and under which conditions."""

    path: Path
    inputs: Inputs
    old: Mapping[str, Any]
    old_scalars: Mapping[str, Value]
    items: list[Item] = field(default_factory=list)
    new: dict[str, Any] = field(default_factory=dict)
    new_scalars: dict[str, Value] = field(default_factory=dict)
    value: Value = 0
    frame: Frame = field(default_factory=lambda: Frame(b.PACKET))
    calls: list[tuple[Called, dict[str, Any], Any]] = field(default_factory=list)
    settled: int = 0  #: how many of the items come before the last change of a structure
    blocks: Way = ()  #: that it goes through
    tag: str = ""  #: prefix of the names of what is chosen in it

    @property
    def conditions(self) -> list[Bool]:
        """Everything that holds when the path has been gone to its end."""
        return [item.condition for item in self.items]


def identity(state: Any) -> Any:
    """Structural identity of an abstract state."""
    match state:
        case Pool():
            return state.flows.identity
        case Map():
            return state.items.identity
        case Vector():
            return state.records.identity
    return state.identity


def first_inputs() -> Inputs:
    """The inputs of a step, all unknown."""
    now = t.zext(t.var(b.NOW, b.TIME_BITS), b.TIME_BITS, 64)
    return Inputs(t.var(b.DEVICE, 16), t.var(b.LENGTH, 16), now, Frame(b.PACKET))


def base_states(behaviour: Behaviour, facts: Facts, empty: bool = False) -> dict[str, Any]:
    """The structures in an arbitrary valid state, or as they are made."""
    return {
        each.name: state(CLASSES[each.kind], facts, each.name, dict(each.parameters), None, None, empty)
        for each in behaviour.structures
    }


def base_scalars(behaviour: Behaviour) -> dict[str, Value]:
    """The NF's own mutable numbers, unknown."""
    return {each.name: t.var(f"state.{each.name}", each.bits) for each in behaviour.scalars}


def input_conditions(inputs: Inputs, before: Value) -> list[Bool]:
    """What a runtime promises about a step: assumptions DEVICE_EXISTS, FRAME_FITS and TIME_MONOTONIC."""
    return [
        t.ult(16, inputs.device, t.var(b.DEVICE_COUNT, 16)),
        t.ule(16, inputs.length, b.LENGTH_MAX),
        t.sle(64, before, inputs.now),
    ]


def instantiate(
    path: Path, contracts: Contracts, facts: Facts, old: Mapping[str, Any], scalars: Mapping[str, Value],
    inputs: Inputs | None = None, tag: str = "", names: Mapping[str, str] | None = None,
    watch: Callable[[Held | Owed], None] = lambda item: None,
) -> Instance:  # fmt: skip
    """Runs a path from a state. ``tag`` tells the symbols of several steps apart; ``names`` gives the structures that
    nf_init makes their names. ``watch`` is told what must hold as the path goes, and may raise to end it."""
    symbolic = inputs is None
    inputs = inputs or first_inputs()
    out = Instance(path, inputs, old, scalars, new=dict(old), new_scalars=dict(scalars), tag=tag)
    mapping: dict[str, Any] = {f"state.{name}": value for name, value in scalars.items()}
    if not symbolic:
        mapping |= {b.DEVICE: inputs.device, b.LENGTH: inputs.length, b.NOW: t.extract(inputs.now, 64, 62, 0)}
    memo: dict[int, Any] = {}

    def replace(leaf: Term) -> Any:
        if leaf.op == "app":
            return None if symbolic or leaf.data[0] != b.PACKET else inputs.frame.byte(leaf.args[0])
        if leaf.op == "undefined":
            return t.undefined(tag + leaf.data, leaf.width) if tag else None
        if leaf.data in mapping:
            return mapping[leaf.data]
        if tag and (leaf.data == "canary" or leaf.data.startswith(("call", "argument."))):
            return t.var(tag + leaf.data, leaf.width)
        return None

    def put(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(put(each) for each in value)
        return t.substitute(value, replace, memo)

    node = path.last
    chain: list[Node] = []
    while node is not None:
        chain.append(node)
        node = node.before
    made = 0
    for node in reversed(chain):
        so_far = len(out.items)
        match node.event:
            case Assume(condition):
                held = put(condition)
                for total in sums(held):
                    facts.touch(CHECKSUMS, total)
                out.items.append(Held(held, node))
            case Oblige(condition, kind, detail, where):
                out.items.append(Owed(put(condition), kind, detail, where, node))
            case Called() as called:
                made = _call(out, called, node, contracts, facts, put, mapping, tag, names or {}, made)
        for item in out.items[so_far:]:
            watch(item)
    out.value, out.blocks = put(path.value), map_way(path.blocks, put)
    frame = inputs.frame
    for write in path.writes:
        frame = frame.write(put(write.offset), write.size_bytes, put(write.value), put(write.guard))
    out.frame = frame
    out.new_scalars |= {name: put(value) for name, value in path.scalars}
    return out


def _call(
    out: Instance, called: Called, node: Node, contracts: Contracts, facts: Facts, put: Any, mapping: dict[str, Any],
    tag: str, names: Mapping[str, str], made: int,
) -> int:  # fmt: skip
    contract = contracts.get(called.function)
    if contract is None:
        raise ContractError(f"{called.function} has no contract any more", "run pytest with --cache-clear")
    call = SymbolicCall(facts, tag + called.symbol, called.decisions)
    stored = [(name, names.get(value, value) if isinstance(value, str) else put(value))
              for name, value in called.arguments]  # fmt: skip
    outcome = contract.body(call, **bind(contract, call, out.new, stored))
    for entry in call.log:
        match entry:
            case Decided(condition) | Chosen(condition):
                out.items.append(Held(condition, node))
            case Required(condition, text):
                detail = f"{called.function} requires that {text}"
                out.items.append(Owed(condition, "contract", detail, called.where, node))
    for name, symbol, bits in called.results:
        value = outcome.result if name == "result" else outcome.changes[name]
        mapping[symbol] = result_bits(value, bits)
    arguments = dict(stored)
    if isinstance(outcome.result, NewStructure):
        name = names[f"object{made}"]
        new = outcome.result
        out.new[name] = state(new.cls, facts, name, new.parameters, None, None, empty=True)
        made += 1
    for name, value in outcome.changes.items():
        if isinstance(arguments.get(name), str):
            if identity(out.new[arguments[name]]) != identity(value):
                out.settled = len(out.items)
            out.new[arguments[name]] = value
    result = None if isinstance(contract.returns, Nothing) else outcome.result
    out.calls.append((called, arguments, result))
    return made


def init_instance(path: Path, contracts: Contracts, facts: Facts) -> Instance:
    """A path of nf_init, from nothing."""
    names = {f"object{k}": name for k, name in enumerate(path.structures)}
    for k in range(64):
        names.setdefault(f"object{k}", f"object{k}")
    return instantiate(path, contracts, facts, {}, {}, names=names)


def accepted_conditions(behaviour: Behaviour, contracts: Contracts) -> Bool:
    """That nf_init accepts the configuration, as far as branches on the configuration tell."""
    alternatives = []
    for path in behaviour.accepted:
        instance = init_instance(path, contracts, Facts())
        held = [item.condition for item in instance.items]
        alternatives.append(t.land(*(c for c in held if not _mentions_memory(c))))
    return t.lor(*alternatives)


def _mentions_memory(condition: Bool) -> bool:
    """Whether a condition is about an allocation having succeeded, which it has."""
    names = [str(leaf.data) for leaf in t.leaves(condition).values() if leaf.op == "var"]
    return any(name.startswith("call") and name.endswith(".memory") for name in names)
