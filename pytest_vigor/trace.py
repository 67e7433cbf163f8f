"""Situations to run an NF's binary in, and what it then did: pure data that goes to JSON and back.

Keys, records and the NF's own numbers are the bits of their memory, read as one little-endian number. In JSON these
are written "0x...", and bytes as plain hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pytest_vigor.errors import LayoutError

PROCESS = "nf_process"
INIT = "nf_init"
FORMAT = 1

#: What a structure holds. flow_table: index to (key, age); index_pool: index to (0, age); map, lpm: key to value;
#: vector: index to record, those that are zero left out; consistent_hash: backend to how many slots it has.
Entries: TypeAlias = Mapping[int, tuple[int, int]] | Mapping[int, int]

RETURNED = "returned"
CRASHED = "crashed"
HUNG = "hung"
REFUSED = "refused"  #: nf_init did, or the state could not be set up: there was nothing to run
VIOLATED = "violated"  #: the NF broke a contract's precondition; the call was not made
MISMATCH = "mismatch"  #: a library function did not do what its contract says
BROKEN = "broken"  #: a monitor failed, such as a contract that raises an error of its own: nothing is known


@dataclass(frozen=True, slots=True)
class Member:
    """A structure that `struct nf_state` holds by pointer. `padding` are the bytes of a record that mean nothing."""

    name: str
    kind: str
    offset: int
    padding: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in `struct nf_state`."""

    name: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the NF: a packet for nf_process, or the argument of another way in (None if it takes none)."""

    entry: str = PROCESS
    device: int = 0
    packet: bytes = b""
    now: int = 0
    argument: bytes | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that decides what a binary does, but for what it should not depend on.

    `state` gives the entries of structures by name, others staying as nf_init leaves them; None leaves all.
    `scalars` are written into `struct nf_state` after nf_init.
    """

    binary: str
    libvig: str
    contracts: tuple[str, ...]
    config: bytes
    device_count: int
    steps: tuple[Step, ...]
    members: tuple[Member, ...] = ()
    figures: tuple[Figure, ...] = ()
    state: Mapping[str, Entries] | None = None
    scalars: Mapping[str, int] = field(default_factory=dict)
    binary_digest: str = ""

    def at(self, config: bytes, device_count: int, steps: tuple[Step, ...]) -> Situation:
        """The same NF, from the state that nf_init leaves, in another situation."""
        return replace(self, config=config, device_count=device_count, steps=steps, state=None, scalars={})

    def to_json(self) -> dict[str, Any]:
        """The situation as plain dicts and lists."""
        kinds = {member.name: member.kind for member in self.members}
        state = None
        if self.state is not None:
            state = {name: entries_to_json(kinds.get(name, ""), held) for name, held in self.state.items()}
        return {
            "format": FORMAT,
            "binary": self.binary,
            "binary_digest": self.binary_digest,
            "libvig": self.libvig,
            "contracts": list(self.contracts),
            "members": [
                {"name": each.name, "kind": each.kind, "offset": each.offset, "padding": [*map(list, each.padding)]}
                for each in self.members
            ],
            "figures": [
                {"name": each.name, "offset": each.offset, "size_bytes": each.size_bytes} for each in self.figures
            ],
            "config": self.config.hex(),
            "device_count": self.device_count,
            "state": state,
            "scalars": _hex_values(self.scalars),
            "steps": [step_to_json(step) for step in self.steps],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Situation:
        """The inverse of to_json."""
        if data.get("format") != FORMAT:
            what = f"a saved situation has the format {data.get('format')!r}, not {FORMAT}"
            raise LayoutError(what, "save it again with this version of pytest-vigor")
        kinds = {each["name"]: each["kind"] for each in data["members"]}
        state = data["state"]
        if state is not None:
            state = {name: entries_from_json(kinds.get(name, ""), held) for name, held in state.items()}
        return cls(
            binary=data["binary"],
            libvig=data["libvig"],
            contracts=tuple(data["contracts"]),
            config=bytes.fromhex(data["config"]),
            device_count=data["device_count"],
            steps=tuple(step_from_json(step) for step in data["steps"]),
            members=tuple(
                Member(each["name"], each["kind"], each["offset"], tuple((a, b) for a, b in each["padding"]))
                for each in data["members"]
            ),
            figures=tuple(Figure(each["name"], each["offset"], each["size_bytes"]) for each in data["figures"]),
            state=state,
            scalars=_plain_values(data["scalars"]),
            binary_digest=data["binary_digest"],
        )


def step_to_json(step: Step) -> dict[str, Any]:
    """A step as a plain dict."""
    if step.entry == PROCESS:
        return {"entry": PROCESS, "device": step.device, "now": step.now, "packet": step.packet.hex()}
    return {"entry": step.entry, "argument": None if step.argument is None else step.argument.hex()}


def step_from_json(data: Mapping[str, Any]) -> Step:
    """The inverse of step_to_json."""
    if data["entry"] == PROCESS:
        return Step(PROCESS, data["device"], bytes.fromhex(data["packet"]), data["now"])
    argument = data["argument"]
    return Step(data["entry"], argument=None if argument is None else bytes.fromhex(argument))


@dataclass(frozen=True, slots=True)
class ObjectState:
    """A structure's abstract state; `element_bits` is the size of its keys or records, 0 where it has none."""

    kind: str
    capacity: int
    element_bits: int
    entries: Entries

    def to_json(self) -> dict[str, Any]:
        """The state as plain dicts."""
        return {
            "kind": self.kind,
            "capacity": self.capacity,
            "element_bits": self.element_bits,
            "entries": entries_to_json(self.kind, self.entries),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ObjectState:
        """The inverse of to_json."""
        entries = entries_from_json(data["kind"], data["entries"])
        return cls(data["kind"], data["capacity"], data["element_bits"], entries)


def entries_to_json(kind: str, entries: Mapping[int, Any]) -> dict[str, Any]:
    """The entries of a structure of that kind as a dict with text keys."""
    match kind:
        case "flow_table":
            return {str(index): {"key": hex(key), "age": age} for index, (key, age) in entries.items()}
        case "index_pool":
            return {str(index): {"age": age} for index, (_, age) in entries.items()}
        case "lpm" | "map":
            return {hex(key): value for key, value in entries.items()}
        case "consistent_hash":
            return {str(backend): slots for backend, slots in entries.items()}
        case "vector":
            return {str(index): hex(record) for index, record in entries.items()}
    raise _unknown(kind)


def entries_from_json(kind: str, data: dict[str, Any]) -> Entries:
    """The inverse of entries_to_json."""
    match kind:
        case "flow_table":
            return {int(index): (int(entry["key"], 16), entry["age"]) for index, entry in data.items()}
        case "index_pool":
            return {int(index): (0, entry["age"]) for index, entry in data.items()}
        case "lpm" | "map":
            return {int(key, 16): value for key, value in data.items()}
        case "consistent_hash":
            return {int(backend): slots for backend, slots in data.items()}
        case "vector":
            return {int(index): int(record, 16) for index, record in data.items()}
    raise _unknown(kind)


def _unknown(kind: str) -> LayoutError:
    return LayoutError(f"a state has a structure of the kind {kind!r}", "give only structures that libVig has")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a library function that has a contract.

    Arguments go by parameter: numbers, the bits of keys, the names of structures, the indices of records on loan. So
    does the result: an index if a record was lent, a name for a new structure, None for nothing or if it never came.
    `outs` are the numbers returned through pointers, `records` the content of records lent ("result") or given back.
    """

    function: str
    arguments: Mapping[str, int | str]
    result: int | str | None = None
    outs: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    returned: bool = False

    def to_json(self) -> dict[str, Any]:
        """The call as plain dicts."""
        return {
            "function": self.function,
            "arguments": dict(self.arguments),
            "result": self.result,
            "outs": dict(self.outs),
            "records": _hex_values(self.records),
            "returned": self.returned,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Call:
        """The inverse of to_json."""
        records = _plain_values(data["records"])
        return cls(data["function"], data["arguments"], data["result"], data["outs"], records, data["returned"])


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a process was stopped. `offset_bytes` counts from the start of the packet (or the argument, or the
    configuration), if the address lies in the guard pages "before" or "after" it; `code_offset` from the start of the
    binary, if that is where it was running."""

    signal: str
    address: int | None = None
    guard: str | None = None
    offset_bytes: int | None = None
    code_offset: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The fault as a plain dict."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one call of the NF did. What it never came to is None or empty; `function` is the library function that
    was called wrongly, did wrong, or never returned."""

    entry: str
    ending: str
    detail: str = ""
    function: str | None = None
    fault: Fault | None = None
    value: int | None = None
    packet_after: bytes | None = None
    old: Mapping[str, ObjectState] | None = None
    new: Mapping[str, ObjectState] | None = None
    scalars_old: Mapping[str, int] | None = None
    scalars_new: Mapping[str, int] | None = None
    calls: tuple[Call, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain dicts and lists."""
        return {
            "entry": self.entry,
            "ending": self.ending,
            "detail": self.detail,
            "function": self.function,
            "fault": None if self.fault is None else self.fault.to_json(),
            "value": self.value,
            "packet_after": None if self.packet_after is None else self.packet_after.hex(),
            "old": state_to_json(self.old),
            "new": state_to_json(self.new),
            "scalars_old": None if self.scalars_old is None else _hex_values(self.scalars_old),
            "scalars_new": None if self.scalars_new is None else _hex_values(self.scalars_new),
            "calls": [call.to_json() for call in self.calls],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StepResult:
        """The inverse of to_json."""
        fault, packet = data["fault"], data["packet_after"]
        old, new = data["scalars_old"], data["scalars_new"]
        return cls(
            entry=data["entry"],
            ending=data["ending"],
            detail=data["detail"],
            function=data["function"],
            fault=None if fault is None else Fault(**fault),
            value=data["value"],
            packet_after=None if packet is None else bytes.fromhex(packet),
            old=state_from_json(data["old"]),
            new=state_from_json(data["new"]),
            scalars_old=None if old is None else _plain_values(old),
            scalars_new=None if new is None else _plain_values(new),
            calls=tuple(Call.from_json(call) for call in data["calls"]),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What a binary did in a situation: `init` is the call of nf_init, `steps` those that were begun.

    `differs_with_stack`: something that can be observed depends on memory or registers that nobody initialised;
    `difference` says what.
    """

    init: StepResult
    steps: tuple[StepResult, ...] = ()
    differs_with_stack: bool = False
    difference: str = ""
    binary_digest: str = ""

    @property
    def last(self) -> StepResult:
        """The last call that was begun."""
        return self.steps[-1] if self.steps else self.init

    @property
    def ending(self) -> str:
        """How the last call ended."""
        return self.last.ending

    def to_json(self) -> dict[str, Any]:
        """The run as plain dicts and lists."""
        return {
            "format": FORMAT,
            "init": self.init.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "differs_with_stack": self.differs_with_stack,
            "difference": self.difference,
            "binary_digest": self.binary_digest,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Run:
        """The inverse of to_json."""
        return cls(
            StepResult.from_json(data["init"]),
            tuple(StepResult.from_json(step) for step in data["steps"]),
            data["differs_with_stack"],
            data["difference"],
            data["binary_digest"],
        )


def state_to_json(state: Mapping[str, ObjectState] | None) -> dict[str, Any] | None:
    """The states of all structures as plain dicts."""
    return None if state is None else {name: held.to_json() for name, held in state.items()}


def state_from_json(data: dict[str, Any] | None) -> dict[str, ObjectState] | None:
    """The inverse of state_to_json."""
    return None if data is None else {name: ObjectState.from_json(held) for name, held in data.items()}


def _hex_values(values: Mapping[str, int]) -> dict[str, str]:
    return {name: hex(value) for name, value in values.items()}


def _plain_values(values: Mapping[str, str]) -> dict[str, int]:
    return {name: int(value, 16) for name, value in values.items()}
