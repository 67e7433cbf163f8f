"""One of pyvex's blocks (an IRSB) into one of ours."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_vigor import term
from pytest_vigor.explore import flags, ops, vex_steps as steps
from pytest_vigor.explore.block import Block, Cursor, Step
from pytest_vigor.explore.vex_bit_test import BitTest
from pytest_vigor.explore.vex_ccalls import CCALLS
from pytest_vigor.explore.vex_encoding import Encoding, decode
from pytest_vigor.explore.vex_registers import OLD_FLAGS_SLOT, RIP_OFFSET, place
from pytest_vigor.explore.vex_unmodelled import Unmodelled

_BITS = {
    "Ity_I1": 0, "Ity_I8": 8, "Ity_I16": 16, "Ity_I32": 32, "Ity_I64": 64, "Ity_I128": 128, "Ity_F32": 32,
    "Ity_F64": 64, "Ity_V128": 128, "Ity_V256": 256,
}
# A conversion that undoes another one: the value before both.
_UNDOING = {
    ("Iop_64to1", "Iop_1Uto64"), ("Iop_32to1", "Iop_1Uto32"), ("Iop_64to32", "Iop_32Uto64"),
    ("Iop_64to32", "Iop_32Sto64"), ("Iop_64to16", "Iop_16Uto64"), ("Iop_64to8", "Iop_8Uto64"),
    ("Iop_32to16", "Iop_16Uto32"), ("Iop_32to8", "Iop_8Uto32"),
}
_GUARDED_LOADS = {
    "ILGop_Ident32": ("Ity_I32", None), "ILGop_Ident64": ("Ity_I64", None), "ILGop_IdentV128": ("Ity_V128", None),
    "ILGop_8Uto32": ("Ity_I8", "Iop_8Uto32"), "ILGop_8Sto32": ("Ity_I8", "Iop_8Sto32"),
    "ILGop_16Uto32": ("Ity_I16", "Iop_16Uto32"), "ILGop_16Sto32": ("Ity_I16", "Iop_16Sto32"),
}
_MISALIGNED = "Ijk_SigSEGV"  # as VEX leaves a block whose vector operand is not aligned
_DIVISION = re.compile(r"Iop_DivMod([US])(?:64to32|128to64)$")


@dataclass(slots=True)
class _Draft:
    """A step to be: ``make`` is called with its index among the steps once those that nobody needs are gone."""

    make: Callable[[int], Step]
    reads: tuple[int, ...]
    out: int | None = None
    pure: bool = False



def _constant(con: Any) -> Any:
    value = con.value
    match con.type:
        case "Ity_I1":
            return bool(value)
        case "Ity_F32" if type(value) is float:
            return int.from_bytes(struct.pack("<f", value), "little")
        case "Ity_F64" if type(value) is float:
            return int.from_bytes(struct.pack("<d", value), "little")
    return value


class _Conversion:
    def __init__(self, irsb: Any, code: bytes) -> None:
        self.irsb, self.code = irsb, code
        self.types: list[str] = irsb.tyenv.types
        self.values: list[Any] = [None] * len(self.types)
        self.constants: dict[tuple[str, Any], int] = {}
        self.alias: dict[int, int] = {}
        self.unary: dict[int, tuple[str, int]] = {}  # which conversion a temporary is the result of
        self.drafts: list[_Draft] = []
        self.where = irsb.addr
        self.aligned = False  # whether the instruction has a test for alignment
        self.bit_test: BitTest | None = None
        self.encoded: Encoding | None = None
        self.instructions: list[int] = []
        self.targets: list[int] = []
        # Temporaries that only ever go back into the register of the old flags may stay uncomputed there.
        self.postponable = self._postponable()

    def _postponable(self) -> set[int]:
        def temporaries(expressions: Any) -> set[int]:
            return {e.tmp for e in expressions if e.tag == "Iex_RdTmp"}

        candidates: set[int] = set()
        used = temporaries([self.irsb.next])
        for statement in self.irsb.statements:
            tag = statement.tag
            if tag == "Ist_Put" and (at := place(statement.offset, 64)) and at.slot == OLD_FLAGS_SLOT:
                continue
            data = statement.data if tag == "Ist_WrTmp" else None
            if data is not None and data.tag == "Iex_CCall" and data.cee.name.startswith("amd64g_calculate_rflags"):
                candidates.add(statement.tmp)
                used |= temporaries(data.args[:-1])
            elif data is not None and data.tag == "Iex_CCall" and data.cee.name == "amd64g_calculate_condition":
                used |= temporaries(data.args[:-1])
            elif data is not None and data.tag == "Iex_Get":
                candidates.add(statement.tmp)
            elif tag != "Ist_AbiHint":
                used |= temporaries(statement.expressions)
        return candidates - used

    # ---- operands

    def bits(self, tmp: int) -> int:
        bits = _BITS.get(self.types[tmp])
        if bits is None:
            raise Unmodelled(f"values of VEX type {self.types[tmp]}")
        return bits

    def width(self, expression: Any) -> int:
        if expression.tag == "Iex_RdTmp":
            return self.bits(expression.tmp)
        kind: str = expression.con.type
        return _BITS[kind]

    def constant(self, kind: str, value: Any) -> int:
        key = kind, value
        if key not in self.constants:
            self.constants[key] = len(self.values)
            self.values.append(value)
        return self.constants[key]

    def operand(self, expression: Any) -> int:
        if expression.tag == "Iex_RdTmp":
            tmp: int = expression.tmp
            return self.alias.get(tmp, tmp)
        if expression.tag == "Iex_Const":
            return self.constant(expression.con.type, _constant(expression.con))
        raise Unmodelled(f"VEX expression {expression.tag} as an operand")

    def encoding(self) -> Encoding:
        if self.encoded is None:
            start = self.where - self.irsb.addr
            self.encoded = decode(self.code[start : start + 15] + bytes(16))
        return self.encoded

    # ---- statements

    def pure(self, out: int, step: Step, *reads: int) -> None:
        self.drafts.append(_Draft(lambda index: step, reads, out, True))

    def effect(self, step: Step, *reads: int, out: int | None = None) -> None:
        self.drafts.append(_Draft(lambda index: step, reads, out))

    def statement(self, s: Any) -> None:
        match s.tag:
            case "Ist_IMark":
                self.where = s.addr + s.delta
                self.instructions.append(self.where)
                self.aligned, self.encoded = False, None
                if self.encoding().is_undefined_shift():
                    raise Unmodelled("a double shift of 16 bits that may be by more")
                kind = self.encoding().register_bit_test()
                self.bit_test = BitTest(kind) if kind else None
            case "Ist_NoOp" | "Ist_AbiHint" | "Ist_MBE":
                pass
            case "Ist_Put":
                self.put(s)
            case "Ist_WrTmp":
                self.assign(s.tmp, s.data)
            case "Ist_Store":
                address, data = self.operand(s.addr), self.operand(s.data)
                if self.bit_test is not None:
                    self.bit_test.stored(address, self.width(s.data), data)
                    return
                self.effect(steps.store(address, self.width(s.data) // 8, data, self.where), address, data)
            case "Ist_StoreG":
                guard, address, data = self.operand(s.guard), self.operand(s.addr), self.operand(s.data)
                size, where = self.width(s.data) // 8, self.where
                self.drafts.append(_Draft(
                    lambda i: steps.store_if(i, guard, address, size, data, where), (guard, address, data)
                ))
            case "Ist_LoadG":
                self.guarded_load(s)
            case "Ist_CAS":
                self.compare_and_swap(s)
            case "Ist_Exit" if s.jumpkind == "Ijk_SigFPE_IntDiv":
                pass  # VEX's own test for zero: a division obliges its divisor not to be zero, and more
            case "Ist_Exit":
                self.aligned = self.aligned or s.jumpkind == _MISALIGNED
                guard, target, kind = self.operand(s.guard), s.dst.value, s.jumpkind
                if kind == "Ijk_Boring":  # a trap "goes" to its own instruction
                    self.targets.append(target)
                self.drafts.append(_Draft(lambda i: steps.leave_if(i, guard, target, kind), (guard,)))
            case "Ist_Dirty":
                raise Unmodelled(f"VEX helper {s.cee.name}")
            case _:
                raise Unmodelled(f"VEX statement {s.tag}")

    def put(self, s: Any) -> None:
        if s.offset == RIP_OFFSET:
            return
        at = place(s.offset, self.width(s.data))
        if at is None:
            raise Unmodelled(f"writing to byte {s.offset} of VEX's registers")
        data = self.operand(s.data)
        self.effect(steps.put(data, at), data)

    def assign(self, out: int, e: Any) -> None:
        match e.tag:
            case "Iex_RdTmp" | "Iex_Const":
                self.alias[out] = self.operand(e)
            case "Iex_Get":
                at = place(e.offset, self.bits(out))
                if at is None:
                    raise Unmodelled(f"reading byte {e.offset} of VEX's registers")
                late = at.slot == OLD_FLAGS_SLOT and out not in self.postponable
                self.pure(out, steps.get_flags_word(out, at) if late else steps.get(out, at))
            case "Iex_Load":
                address = self.operand(e.addr)
                if self.bit_test is not None:
                    changed = self.bit_test.loaded(address, out)
                    if changed is not None:
                        self.pure(out, *changed)
                    return
                bits = self.bits(out)
                if bits == 64 and self.encoding().shifts_by_memory():
                    raise Unmodelled("a shift of vectors by an amount in memory")
                if bits == 128 and not self.aligned and self.encoding().wants_alignment():
                    where = self.where
                    self.drafts.append(_Draft(lambda i: steps.leave_if_misaligned(i, address, where), (address,)))
                self.effect(steps.load(out, address, bits // 8, self.where), address, out=out)
            case "Iex_Unop" | "Iex_Binop" | "Iex_Triop" | "Iex_Qop":
                self.operation(out, e.op, [self.operand(a) for a in e.args])
            case "Iex_ITE":
                test, yes, no = self.operand(e.cond), self.operand(e.iftrue), self.operand(e.iffalse)
                self.pure(out, steps.choose(out, self.bits(out), test, yes, no), test, yes, no)
            case "Iex_CCall":
                name, args = e.cee.name, [self.operand(a) for a in e.args]
                rule = CCALLS.get(name)
                if rule is None:
                    raise Unmodelled(f"VEX helper {name}")
                if out in self.postponable and name.startswith("amd64g_calculate_rflags"):
                    rule = flags.pending
                self.pure(out, steps.call(out, rule, args, self.where), *args)
            case _:
                raise Unmodelled(f"VEX expression {e.tag}")

    def operation(self, out: int, name: str, args: list[int]) -> None:
        if self.bit_test is not None:
            tested = self.bit_test.computed(out, name, args, self.constant("Ity_I8", 0))
            if tested is not None:
                self.pure(out, *tested)
                return
        division = _DIVISION.match(name)
        if division:
            bits = self.encoding().division_bits()
            if bits is None:
                raise Unmodelled("a division by something other than div and idiv")
            step = steps.divide(out, division[1] == "S", self.bits(out) // 2, bits, args[0], args[1], self.where)
            self.effect(step, *args, out=out)
            return
        if len(args) == 1:
            before = self.unary.get(args[0])
            if before is not None and (name, before[0]) in _UNDOING:
                self.alias[out] = before[1]
                return
            self.unary[out] = name, args[0]
        self.pure(out, steps.compute(out, ops.operation(name), args), *args)

    def guarded_load(self, s: Any) -> None:
        kind, conversion = _GUARDED_LOADS[s.cvt]
        guard, address, other = self.operand(s.guard), self.operand(s.addr), self.operand(s.alt)
        widen = ops.operation(conversion) if conversion else _same
        out, size, where = s.dst, _BITS[kind] // 8, self.where
        self.drafts.append(_Draft(
            lambda i: steps.load_if(i, out, guard, address, size, widen, other, where), (guard, address, other), out
        ))

    def compare_and_swap(self, s: Any) -> None:
        if s.dataHi is not None or s.expdHi is not None:
            raise Unmodelled("compare and swap of two words")
        address, expected, new = self.operand(s.addr), self.operand(s.expdLo), self.operand(s.dataLo)
        step = steps.swap_if_equal(s.oldLo, address, self.width(s.dataLo) // 8, expected, new, self.where)
        self.effect(step, address, expected, new, out=s.oldLo)

    # ---- the block

    def block(self) -> Block:
        irsb = self.irsb
        for statement in irsb.statements:
            try:
                self.statement(statement)
            except Unmodelled as error:
                # Not before it is reached: control may leave the block earlier.
                self.effect(steps.refuse(error.what, self.where))
                break
        after = self.operand(irsb.next)
        if irsb.next.tag == "Iex_Const" and irsb.jumpkind != "Ijk_Ret":
            self.targets.append(irsb.next.con.value)
        needed, kept = {after}, []
        for draft in reversed(self.drafts):
            if draft.pure and draft.out not in needed:
                continue
            needed.update(draft.reads)
            kept.append(draft)
        made = tuple(draft.make(index) for index, draft in enumerate(reversed(kept)))
        return Block(
            irsb.addr, irsb.size, made, Cursor(0, tuple(self.values)), after, irsb.jumpkind, tuple(self.instructions),
            tuple(dict.fromkeys(self.targets)),
        )


def _same(value: term.Value) -> term.Value:
    return value


def convert(irsb: Any, code: bytes) -> Block:
    """The block that an IRSB with all its statements means; ``code`` is what it was lifted from."""
    return _Conversion(irsb, code).block()
