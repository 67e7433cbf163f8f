"""Terms as people write them: header fields by name, numbers in the order that they are sent in.

This is for reading only. Widths are left out, and so is whether a comparison is signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.layout import Struct, Type, collapse
from pytest_vigor.packet import ETHER_BYTES, HEADERS, HeaderField, written
from pytest_vigor.render.names import leaves
from pytest_vigor.term import Term, Value

_SIGNS = {
    "mul": "*", "udiv": "/", "urem": "%", "sdiv": "/", "srem": "%", "band": "&", "bor": "|", "bxor": "^", "shl": "<<",
    "lshr": ">>", "ashr": ">>", "eq": "==", "ult": "<", "ule": "<=", "slt": "<", "sle": "<=", "iff": "==",
}  # fmt: skip
_OPPOSITE = {"eq": "!=", "ult": ">=", "ule": ">", "slt": ">=", "sle": ">", "iff": "!="}
_HEX_FROM = 1 << 16
_BYTE, _ELEMENT = re.compile(r"(?<=[a-z])\[\d+(:\d+)?\]$"), re.compile(r"\[\d+\]")
LONG = 120  #: parts of a term, from which on it is not written in full
NAMED = 4  #: of what it is computed from then


def _is_ipv4() -> Value:
    return t.eq(16, t.concat([(8, t.app(b.PACKET, 8, (16, 13))), (8, t.app(b.PACKET, 8, (16, 12)))]), 8)


@dataclass(frozen=True, slots=True)
class Bytes:
    """Some bytes of the packet in the order that they have there, from an offset behind the Ethernet header, or
    behind the IPv4 header's options."""

    transport: bool
    start: int
    count: int
    reversed: bool = False  #: read as a little-endian number


@dataclass(slots=True)
class Writer:
    """Writes terms. ``types`` gives what symbols of library calls mean; ``ipv4`` is whether the packet is known to be
    one, so that what follows the Ethernet header has names."""

    types: dict[str, Type] = field(default_factory=dict)
    ipv4: bool = False

    def condition(self, value: Value) -> str:
        """A condition or a number, without brackets around it; of a long one, what it depends on."""
        self.ipv4 = self.ipv4 or mentions(value, _is_ipv4())
        if isinstance(value, Term) and _size(value, {}) > LONG:
            return self._inputs(value)
        return _bare(self.write(value))

    def _inputs(self, value: Term) -> str:
        """What a value is computed from, where how would be too long to read."""
        written_ = (self.write(leaf) for leaf in t.leaves(value).values() if leaf.op != "undefined")
        names = sorted({_ELEMENT.sub("[…]", _BYTE.sub("", name)) for name in written_})
        shown = ", ".join(names[:NAMED])
        what = "computed from" if value.width else "some condition on"
        return f"{what} {shown}" + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")

    def write(self, value: Value) -> str:
        """A value, in brackets where it has parts."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return f"{value:#x}" if value >= _HEX_FROM else str(value)
        found = self._packet(value)
        if found is not None:
            return found
        match value.op:
            case "var" | "undefined":
                return self._symbol(str(value.data), None)
            case "zext" | "sext" | "opaque":
                return self.write(value.args[0])
            case "extract":
                return self._part(value)
            case "add":
                return self._sum(value)
            case "lnot":
                return self._negation(value.args[0])
            case "land" | "lor":
                word = " and " if value.op == "land" else " or "
                return f"({word.join(sorted(self.write(each) for each in value.args))})"
            case "ite":
                test, yes, no = (self.write(each) for each in value.args)
                return f"({yes} if {_bare(test)} else {no})"
            case "concat":
                return f"({' ++ '.join(self.write(each) for each in value.args)})"
            case "app":
                return f"{value.data[0]}({', '.join(self.write(each) for each in value.args)})"
            case "eq" | "ult" | "ule" | "slt" | "sle":
                return self._comparison(value, _SIGNS[value.op])
        return f"({f' {_SIGNS[value.op]} '.join(self.write(each) for each in value.args)})"

    def memory(self, value: Value, of: Type | None) -> str:
        """C data, given as the little-endian number of its memory."""
        if of is None:
            return self.write(value)
        of = collapse(of)
        parts = list(leaves(of))
        width = 8 * of.size_bytes
        texts = []
        for leaf in parts:
            low = 8 * leaf.offset
            one = t.extract(value, width, low + 8 * leaf.type.size_bytes - 1, low)
            text = _bare(self.write(one))
            texts.append(f"{leaf.path}={text}" if isinstance(of, Struct) else text)
        return f"({', '.join(texts)})" if isinstance(of, Struct) else ", ".join(texts)

    # ---- parts

    def _comparison(self, term: Term, sign: str) -> str:
        left, right = term.args
        if isinstance(left, int):
            left, right, sign = right, left, {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
            if sign in (">", "<="):  # 13 < x is x >= 14
                right, sign = (right + 1, ">=") if sign == ">" else (right + 1, "<")
        if isinstance(right, int) and isinstance(left, Term):
            bytes_ = packet_bytes(left)
            if bytes_ is not None:
                if bytes_.reversed:
                    right = int.from_bytes(right.to_bytes(bytes_.count, "little"), "big")
                known = self._field(bytes_)
                if known is not None:
                    return f"({self.write(left)} {sign} {written(known, right)})"
        sides = [self.write(left), self.write(right)]
        if term.op in ("eq", "iff") and not isinstance(right, int):
            sides.sort()  # terms are in the order in which they were made
        return f"({f' {sign} '.join(sides)})"

    def _negation(self, inner: Value) -> str:
        if isinstance(inner, Term) and inner.op in _OPPOSITE:
            return self._comparison(inner, _OPPOSITE[inner.op])
        return f"not {self.write(inner)}"

    def _sum(self, term: Term) -> str:
        constant, factors = term.data
        parts = []
        for each, factor in zip(term.args, factors, strict=True):
            number = t.signed(factor, term.width)
            parts.append((number, self.write(each) if abs(number) == 1 else f"{abs(number)} * {self.write(each)}"))
        parts.sort(key=lambda part: (part[0] < 0, part[1]))
        number = t.signed(constant, term.width)
        if number:
            parts.append((number, self.write(abs(number))))
        first, *rest = parts
        text = ("-" if first[0] < 0 else "") + first[1]
        return "(" + text + "".join(f" {'-' if sign < 0 else '+'} {each}" for sign, each in rest) + ")"

    def _symbol(self, name: str, bits: tuple[int, int] | None) -> str:
        """A symbol or, given the highest and the lowest, some of its bits."""
        of = self.types.get(name)
        if name.startswith("call"):
            number, _, result = name.removeprefix("call").partition(".")
            name = f"#{int(number) + 1}.{result}" if number.isdigit() else name
        if bits is None:
            return name
        high, low = bits
        for leaf in leaves(collapse(of)) if of is not None else ():
            if (8 * leaf.offset, 8 * (leaf.offset + leaf.type.size_bytes) - 1) == (low, high):
                return f"{name}.{leaf.path}" if leaf.path else name
        return f"bit {low} of {name}" if high == low else f"bits {high}-{low} of {name}"

    def _part(self, term: Term) -> str:
        high, low = term.data
        inner = term.args[0]
        if isinstance(inner, Term) and inner.op in ("var", "undefined"):
            return self._symbol(str(inner.data), (high, low))
        bytes_ = packet_bytes(inner) if isinstance(inner, Term) else None
        if bytes_ is not None and bytes_.count == 1:
            for name, each in self._fields(bytes_):
                start = 8 * bytes_.start + 7 - high
                if each.offset_bits == start and each.size_bits == high - low + 1:
                    return name
        text = self.write(inner)
        return f"bit {low} of {text}" if high == low else f"bits {high}-{low} of {text}"

    # ---- the packet

    def _packet(self, term: Term) -> str | None:
        found = packet_bytes(term)
        return None if found is None else self.bytes(found)

    def bytes(self, found: Bytes) -> str:
        """Bytes of the packet, by the field that they are or lie in."""
        known = [(name, each) for name, each in self._fields(found)]
        for name, each in known:
            if (each.offset_bits, each.size_bits) == (8 * found.start, 8 * found.count):
                return name
        for name, each in known:
            start, rest = divmod(8 * found.start - each.offset_bits, 8)
            if not rest and start >= 0 and start + found.count <= each.size_bits // 8:
                end = start + found.count
                return f"{name}[{start}]" if found.count == 1 else f"{name}[{start}:{end}]"
        base = "transport" if found.transport else "packet"
        start, end = found.start, found.start + found.count
        return f"{base}[{start}]" if found.count == 1 else f"{base}[{start}:{end}]"

    def _field(self, found: Bytes) -> HeaderField | None:
        for _, each in self._fields(found):
            if (each.offset_bits, each.size_bits) == (8 * found.start, 8 * found.count):
                return each
        return None

    def _fields(self, found: Bytes) -> list[tuple[str, HeaderField]]:
        """The fields of the headers, with their places from where the bytes are counted."""
        if found.transport:
            # Only TCP's header is long enough for the latter half, and only UDP's has two bytes in the middle.
            kinds = ["tcpudp", "tcp" if found.start >= 8 or found.count == 4 else "udp"]
            return [(f"{kind}.{name}", each) for kind in kinds for name, each in HEADERS[kind].items()]
        out = [(f"ether.{name}", each) for name, each in HEADERS["ether"].items()]
        if self.ipv4:
            base = 8 * ETHER_BYTES
            out += [
                (f"ipv4.{name}", HeaderField(name, base + each.offset_bits, each.size_bits, each.form))
                for name, each in HEADERS["ipv4"].items()
            ]
        return out


def _size(value: Value, sizes: dict[int, int]) -> int:
    """How many parts there are to write."""
    if not isinstance(value, Term):
        return 1
    if value.uid not in sizes:
        sizes[value.uid] = 1 + (sum(_size(each, sizes) for each in value.args) if value.op != "app" else 0)
    return sizes[value.uid]


def mentions(value: Value, part: Value) -> bool:
    """Whether a term has some other one in it."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        term = stack.pop()
        if term is part:
            return True
        if isinstance(term, Term) and term.uid not in seen:
            seen.add(term.uid)
            stack.extend(term.args)
    return False


def place(offset: Value) -> tuple[bool, int] | None:
    """Where in the packet an offset is: whether behind the IPv4 header, and how far. None if it is neither."""
    if isinstance(offset, int):
        return False, offset
    if offset.op == "add" and len(offset.args) == 1:
        constant, (factor,) = offset.data
        term = offset.args[0]
        while isinstance(term, Term) and term.op == "zext":
            term = term.args[0]
        if factor == 4 and isinstance(term, Term) and term.op == "extract" and term.data == (3, 0) \
                and packet_bytes(term.args[0]) == Bytes(False, ETHER_BYTES, 1):  # fmt: skip
            return True, constant - ETHER_BYTES
    return None


def packet_bytes(term: Term) -> Bytes | None:
    """The bytes of the packet that a term is, if it is some in a row."""
    if term.op == "zext":
        return packet_bytes(term.args[0]) if isinstance(term.args[0], Term) else None
    parts = term.args if term.op == "concat" else (term,)
    places = []
    for each in parts:
        if not isinstance(each, Term) or each.op != "app" or each.data[0] != b.PACKET:
            return None
        found = place(each.args[0])
        if found is None:
            return None
        places.append(found)
    (transport, first), last = places[0], places[-1][1]
    step = 1 if last >= first else -1
    if places != [(transport, first + step * k) for k in range(len(places))]:
        return None
    return Bytes(transport, min(first, last), len(places), step < 0)


def _bare(text: str) -> str:
    """Without the brackets around all of it."""
    if not text.startswith("(") or not text.endswith(")"):
        return text
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1]


