"""Library calls: reads the arguments that the contract names, runs the contract, and hands back its results."""

from __future__ import annotations

from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.behaviour import Called
from pytest_vigor.explore.block import CALLER_SAVED
from pytest_vigor.explore.entry import ARGUMENT_REGISTERS
from pytest_vigor.explore.libc import LIBC
from pytest_vigor.explore.memory import Failed, Stop
from pytest_vigor.explore.path import Loan, PathState
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.term import Value


class Calls:
    """The functions that an NF imports, replaced by their contracts. ``allocating`` is whether structures may be
    made: only in nf_init."""

    def __init__(self, contracts: c.Contracts, facts: Facts, allocating: bool) -> None:
        self.contracts, self.facts, self.allocating = contracts, facts, allocating

    def __call__(self, path: PathState, name: str) -> list[PathState]:
        """The paths on which a call can go on, their registers those after its return, and those that end in it."""
        split = _ambiguous(path)
        if split is not None:
            test, register, yes, no = split
            out: list[PathState] = []
            for side, value in ((test, yes), (t.lnot(test), no)):
                if path.possible(side):
                    fork = path.fork()
                    fork.assume(side, path.where)
                    fork.registers.write(register, value)
                    try:
                        out.extend(self(fork, name))
                    except Failed:
                        out.append(fork.fail())
            if not out:
                raise Failed
            return out
        contract = self.contracts.get(name)
        if contract is not None:
            return self._by_contract(path, contract)
        if name in LIBC:
            result = LIBC[name](path)
            path.registers.clobber(CALLER_SAVED, f"after {name} at {path.where:#x}")
            path.registers.write("rax", result)
            return [path]
        raise Stop(f"the NF calls {name}, which has no contract", "contract")

    def _by_contract(self, path: PathState, contract: c.Contract) -> list[PathState]:
        number_ = path.calls
        path.calls += 1
        symbol = f"call{number_}"
        pointers: dict[str, Value] = {}
        stored: list[tuple[str, Any]] = []
        registers = iter(ARGUMENT_REGISTERS)
        values: dict[str, Value] = {}
        for name in contract.parameters:
            register = next(registers, None)
            if register is None:
                raise Stop(f"{contract.name} has more parameters than fit in registers")
            values[name] = path.registers.read(register)
        for name, kind in contract.parameters.items():
            if isinstance(kind, c.Out):
                pointers[name] = values[name]
                continue
            stored.append((name, self._argument(path, contract, name, kind, values, stored)))
        finished: list[PathState] = []
        pending: list[tuple[bool, ...]] = [()]
        completed: list[tuple[c.SymbolicCall, c.Outcome]] = []
        while pending:
            call = c.SymbolicCall(self.facts, symbol, pending.pop())
            arguments = c.bind(contract, call, path.ghosts, stored)
            try:
                outcome = contract.body(call, **arguments)
            except c.Undecided as undecided:
                # Not what it requires: a call that breaks that must be found here, to be reported.
                before = [entry.condition for entry in call.log if not isinstance(entry, c.Required)]
                for answer, side in ((False, t.lnot(undecided.condition)), (True, undecided.condition)):
                    if path.possible(*before, side):
                        pending.append((*call.decisions, answer))
            except c.Unsupported as unsupported:
                raise Stop(str(unsupported)) from unsupported
            else:
                completed.append((call, outcome))
        for position, (call, outcome) in enumerate(completed):
            fork = path if position == len(completed) - 1 else path.fork()
            try:
                self._finish(fork, contract, number_, call, outcome, stored, pointers)
            except Failed:
                fork.fail()
            finished.append(fork)
        if not completed:
            raise Failed
        return finished

    # ---- arguments

    def _argument(
        self, path: PathState, contract: c.Contract, name: str, kind: c.Kind, values: dict[str, Value],
        stored: list[tuple[str, Any]],
    ) -> Any:  # fmt: skip
        value, what = values[name], f"argument {name} of {contract.name}"
        match kind:
            case c.Scalar(bits):
                scalar = t.extract(value, 64, bits - 1, 0)
                path.initialised(scalar, path.where, what)
                return scalar
            case c.State(cls):
                structure = path.handles.get(value) if isinstance(value, int) else None
                if structure is None or type(path.ghosts[structure]) is not cls:
                    if isinstance(value, int) or value.undefined:
                        path.oblige(False, "contract", path.where, f"{what} is a {cls.__name__}")
                        raise Failed
                    raise Stop(f"{what} is a pointer of unknown origin: {t.show(value)}")
                return structure
            case c.Key(of):
                size_bytes = path.ghosts[dict(stored)[of]].key_bits // 8
                key = path.memory.load(value, size_bytes, path.where)
                path.initialised(key, path.where, what)
                return key
            case c.Loan(of):
                vector = dict(stored)[of]
                loan = path.loans.get(value) if isinstance(value, int) else None
                if loan is None or loan.vector != vector:
                    path.oblige(False, "contract", path.where, f"{what} is on loan from {vector}")
                    raise Failed
                assert isinstance(value, int)
                region = path.memory.region_at(value)
                assert region is not None and isinstance(region.size_bytes, int)
                record = path.memory.load(value, region.size_bytes, path.where)
                path.initialised(record, path.where, f"the record given back to {vector}")
                path.memory.own(region).alive = False
                del path.loans[value]
                return loan.index, record
        raise AssertionError(kind)

    # ---- results

    def _finish(
        self, path: PathState, contract: c.Contract, number_: int, call: c.SymbolicCall, outcome: c.Outcome,
        stored: list[tuple[str, Any]], pointers: dict[str, Value],
    ) -> None:  # fmt: skip
        results: list[tuple[str, str, int]] = []
        equations: list[t.Bool] = []

        def symbolise(name: str, value: Any, bits: int) -> Value:
            plain = c.result_bits(value, bits)
            if isinstance(plain, int):
                return plain
            symbol = f"{call.symbol}.{name}"
            results.append((name, symbol, bits))
            stand_in = t.var(symbol, bits)
            equations.append(t.eq(bits, stand_in, plain))
            return stand_in

        returned: Value = 0
        match contract.returns:
            case c.Scalar(bits):
                returned = symbolise("result", outcome.result, bits)
                if bits < 64:
                    rest = t.undefined(f"the upper bits of {call.symbol}", 64 - bits)
                    returned = t.concat([(64 - bits, rest), (bits, returned)])
            case c.Borrowed(of):
                vector = dict(stored)[of]
                record_bits = path.ghosts[vector].records.record_bits
                record = symbolise("result", outcome.result, record_bits)
                region = path.memory.add(f"the record of {vector}", record_bits // 8)
                for k in range(record_bits // 8):
                    region.cells[k] = (record, record_bits // 8, k)
                index = dict(stored)["index"]
                path.loans[region.base] = Loan(vector, index)
                returned = region.base
            case c.New():
                returned = self._allocate(path, contract.name, outcome.result)
        writes: list[tuple[Value, int, Value]] = []
        for name, kind in contract.parameters.items():
            if not isinstance(kind, c.Out) or name not in outcome.changes:
                continue
            bits = path.ghosts[dict(stored)[kind.of]].key_bits if kind.of else kind.bits
            writes.append((pointers[name], bits // 8, symbolise(name, outcome.changes[name], bits)))
        path.record(
            Called(number_, contract.name, tuple(stored), call.decisions, tuple(results), path.where)
        )
        for entry in call.log:
            path.hold(entry.condition)
        for equation in equations:
            path.hold(equation)
        for name, kind in contract.parameters.items():
            if isinstance(kind, c.State) and name in outcome.changes:
                path.ghosts[dict(stored)[name]] = outcome.changes[name]
        for pointer, size_bytes, value in writes:
            path.memory.store(pointer, size_bytes, value, path.where)
        path.registers.clobber(CALLER_SAVED, f"after {call.symbol}")
        if not isinstance(contract.returns, c.Nothing):
            path.registers.write("rax", returned)

    def _allocate(self, path: PathState, function: str, made: c.NewStructure | None) -> int:
        if made is None:
            path.refused = path.refused or function
            return 0
        if not self.allocating:
            raise Stop("memory is taken after nf_init")
        name = f"object{len(path.made)}"
        path.made[name] = made
        region = path.memory.add(name, 0)
        path.handles[region.base] = name
        try:
            path.ghosts[name] = c.state(made.cls, self.facts, name, made.parameters, None, None, empty=True)
        except c.Unsupported as unsupported:
            raise Stop(str(unsupported)) from unsupported
        return region.base


def _ambiguous(path: PathState) -> tuple[Any, str, Value, Value] | None:
    """An argument that is one of two pointers, as a conditional move makes it."""
    for register in ARGUMENT_REGISTERS:
        value = path.registers.read(register)
        if isinstance(value, t.Term) and value.op == "ite" and not value.undefined and value.width == 64:
            test, yes, no = value.args
            if any(isinstance(v, int) and v >= 0x1000_0000_0000 for v in (yes, no)):
                return test, register, yes, no
    return None

