"""One variant of a run: loads the NF, sets up its state, takes its steps, and reports everything."""

from __future__ import annotations

import ctypes
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytest_vigor.contract import Contracts
from pytest_vigor.native.guarded import Block
from pytest_vigor.native.machine import Code, die_with_parent, image_start
from pytest_vigor.native.monitor import Monitor
from pytest_vigor.native.process import FAULTS, Channel, Timer
from pytest_vigor.native.structures import Library, Structure, Unfit, state_of
from pytest_vigor.trace import INIT, PROCESS, ObjectState, Situation, Step, state_to_json, step_from_json

REFUSED, VIOLATED, MISMATCH = "refused", "violated", "mismatch"
Noted: TypeAlias = Callable[[], list[int]]
Printed: TypeAlias = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Options:
    """How a variant differs from others: what uninitialised memory holds, and which end of the packet is guarded.
    ``watch_up_to`` is the capacity up to which the contracts are checked in full, ``slot`` where faults are noted."""

    filler: int
    guard_after: bool
    watch_up_to: int
    cpu_seconds: float
    slot: int


class Variant:
    """An NF in this process."""

    def __init__(
        self, situation: Situation, contracts: Contracts, relocations: list[tuple[int, str]], options: Options,
        channel: Channel,
    ) -> None:  # fmt: skip
        self._situation, self._options, self._channel = situation, options, channel
        self._now_held: dict[int, ObjectState] = {}
        self._code = Code(options.filler)
        self._timer = Timer(options.cpu_seconds)
        # A lazily bound function that is missing would end the process when it is first called.
        library = Library(self._load(situation.libvig, os.RTLD_NOW | os.RTLD_GLOBAL), self._code)
        self._nf = self._load(situation.binary, os.RTLD_NOW | os.RTLD_LOCAL)
        start = image_start(self._address(PROCESS))
        self._monitor = Monitor(library, contracts, channel, self._timer, options.watch_up_to)
        self._monitor.install(start, relocations, self._code)
        needs_state = situation.members or situation.figures
        self._state = self._address("nf_state") if needs_state else 0
        self._code.note_faults(FAULTS, options.slot)
        channel.send("loaded", image_start=start)

    def run(self) -> None:
        """Everything from nf_init to the last step."""
        self._initialise()
        self._restore()
        self._now_held = self._held()
        for step in self._situation.steps:
            self._now_held = self._take(step, self._now_held)

    def attend(self, commands: Iterable[Mapping[str, Any]], noted: Noted, printed: Printed) -> None:
        """Takes further steps as they are commanded: `{"step": ...}`, or `{"aside": [...]}` for steps that leave the
        state as it was, since another process takes them. `{}` ends it."""
        self._channel.send("ready")
        for command in commands:
            if "step" in command:
                self._now_held = self._take(step_from_json(command["step"]), self._now_held)
            elif "aside" in command:
                status = self._aside([step_from_json(each) for each in command["aside"]])
                self._channel.send("ended", status=status, noted=noted(), printed=printed())
            else:
                return
            self._channel.send("ready")

    def _aside(self, steps: Sequence[Step]) -> int:
        process = os.fork()
        if process == 0:
            try:
                die_with_parent()
                held = self._now_held
                for step in steps:
                    held = self._take(step, held)
            except BaseException:
                self._channel.stop("broken", detail=traceback.format_exc())
            os._exit(0)
        _, status = os.waitpid(process, 0)
        return os.waitstatus_to_exitcode(status)

    # ---- loading

    def _load(self, path: str, mode: int) -> ctypes.CDLL:
        try:
            return ctypes.CDLL(path, mode)
        except OSError as error:
            self._channel.stop(REFUSED, detail=f"it cannot be loaded: {error}")

    def _address(self, name: str) -> int:
        try:
            return ctypes.addressof(ctypes.c_char.in_dll(self._nf, name))
        except ValueError:
            self._channel.stop(REFUSED, detail=f"it does not export {name}")

    # ---- calling

    def _call(self, name: str, arguments: tuple[int, ...], block: Block | None) -> int:
        self._channel.send("calling", block=None if block is None else block.extent())
        address = self._address(name)
        self._timer.start()
        result = self._code.enter(address, arguments)
        self._timer.pause()
        return result

    def _block(self, content: bytes) -> Block:
        return Block(content, self._options.guard_after, self._options.filler)

    def _initialise(self) -> None:
        self._channel.send("step", entry=INIT)
        config = self._block(self._situation.config)
        self._monitor.begin({}, patient=True)
        value = self._call(INIT, (config.address, self._situation.device_count), config) & 0xFF
        self._channel.send("value", value=value)
        names = {}
        for member in self._situation.members:
            held = self._structure(member.offset)
            if held is not None:
                names[held.label] = member.name
                held.label = member.name
        states = self._states() if value else {}
        self._channel.send("done", names=names, new=self._shown(states), scalars=self._scalars())
        self._monitor.end(states)
        if not value:
            self._channel.stop(REFUSED, detail="nf_init returned false")

    def _take(self, step: Step, old: dict[int, ObjectState]) -> dict[int, ObjectState]:
        self._channel.send("step", entry=step.entry, old=self._shown(old), scalars=self._scalars())
        self._monitor.begin(old)
        if step.entry == PROCESS:
            block: Block | None = self._block(step.packet)
            assert block is not None
            arguments: tuple[int, ...] = (step.device, block.address, len(step.packet), step.now)
            value = _signed(self._call(PROCESS, arguments, block))
        else:
            block = None if step.argument is None else self._block(step.argument)
            value = self._call(step.entry, () if block is None else (block.address,), block) & 0xFF
        packet = block.content().hex() if block is not None and step.entry == PROCESS else None
        self._channel.send("value", value=value, packet=packet)
        new = self._states()
        self._channel.send("done", new=self._shown(new), scalars=self._scalars())
        self._monitor.end(new)
        return new

    # ---- the NF's state

    def _structure(self, offset: int) -> Structure | None:
        return self._monitor.structures.get(ctypes.c_uint64.from_address(self._state + offset).value)

    def _states(self) -> dict[int, ObjectState]:
        found = (self._structure(member.offset) for member in self._situation.members)
        return {held.address: state_of(held) for held in found if held is not None}

    def _shown(self, states: Mapping[int, ObjectState]) -> dict[str, Any] | None:
        found = ((member.name, self._structure(member.offset)) for member in self._situation.members)
        return state_to_json({name: states[held.address] for name, held in found if held and held.address in states})

    def _scalars(self) -> dict[str, str]:
        return {
            figure.name: hex(int.from_bytes(ctypes.string_at(self._state + figure.offset, figure.size_bytes), "little"))
            for figure in self._situation.figures
        }

    def _held(self) -> dict[int, ObjectState]:
        states = self._states()
        for member in self._situation.members:
            wanted = (self._situation.state or {}).get(member.name)
            held = self._structure(member.offset)
            if wanted is None or held is None:
                continue
            if held.kind == "vector":
                wanted = {index: record for index, record in wanted.items() if isinstance(record, int) and record}
            if states[held.address].entries != wanted:
                self._channel.stop(MISMATCH, detail=f"{member.name} does not hold what was put into it")
        return states

    def _restore(self) -> None:
        offsets = {member.name: member.offset for member in self._situation.members}
        for name, entries in (self._situation.state or {}).items():
            held = self._structure(offsets[name]) if name in offsets else None
            if held is None:
                if entries:
                    self._channel.stop(REFUSED, detail=f"after nf_init, there is no structure {name}")
                continue
            try:
                held.replace(entries)
            except Unfit as unfit:
                self._channel.stop(REFUSED, detail=f"its state cannot be set up: {unfit}")
        figures = {figure.name: figure for figure in self._situation.figures}
        for name, value in self._situation.scalars.items():
            if name not in figures:
                self._channel.stop(REFUSED, detail=f"struct nf_state has no number {name}")
            figure = figures[name]
            content = (value % (1 << 8 * figure.size_bytes)).to_bytes(figure.size_bytes, "little")
            ctypes.memmove(self._state + figure.offset, content, figure.size_bytes)


def _signed(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value
