"""Packets: field by field, what a step changed, as a scapy expression and as a hexdump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_vigor import behaviour as b
from pytest_vigor.counterexample import Counterexample
from pytest_vigor.notation import duration
from pytest_vigor.packet import ETHER_BYTES, HEADERS, HeaderField, written
from pytest_vigor.plain import plain_packet
from pytest_vigor.property.packets import Packet
from pytest_vigor.render.names import Names
from pytest_vigor.render.text import INDENT, Row, paragraph, table
from pytest_vigor.trace import PROCESS, Step, StepResult

ALWAYS = {
    "ether": {"dst", "src", "type"},
    "ipv4": {"ttl", "protocol", "src", "dst"},
    "tcp": {"src_port", "dst_port"},
    "udp": {"src_port", "dst_port"},
}
USUAL = {("ipv4", "version"): 4, ("ipv4", "ihl"): 5}
FEW_BYTES = 8


@dataclass(frozen=True, slots=True)
class Located:
    """A field of a packet's headers, at its offset in the packet."""

    header: str
    field: HeaderField
    offset_bits: int

    @property
    def name(self) -> str:
        return f"{self.header}.{self.field.name}"

    def value(self, content: bytes) -> int:
        """The field's number in some packet's bytes."""
        after = 8 * len(content) - self.offset_bits - self.field.size_bits
        return int.from_bytes(content, "big") >> after & ((1 << self.field.size_bits) - 1)

    @property
    def offsets(self) -> range:
        """The bytes that it has a part of."""
        return range(self.offset_bits // 8, (self.offset_bits + self.field.size_bits + 7) // 8)


def located(packet: Packet) -> list[Located]:
    """The fields of the headers that a plain packet has, in order."""
    out = []
    for name in ("ether", "ipv4", "tcp", "udp"):
        if getattr(packet, name):
            start = packet.start(name)
            assert isinstance(start, int)
            out += [Located(name, field, 8 * start + field.offset_bits) for field in HEADERS[name].values()]
    return out


# ---- in and out


def packets(step: Step, result: StepResult, device_count: int, any_fields: Sequence[str] = ()) -> list[str]:
    """The packet received and what became of it; fields that may have any value are said to."""
    after = result.packet_after
    fate = _fate(step, result, device_count)
    sends = result.value is not None and result.value != b.NF_DROP and after is not None
    changed = sends and after != step.packet
    rows = [
        Row("device", str(step.device), fate if sends else None, marked=False),
        Row("now", duration(step.now)),
        Row("length", f"{len(step.packet)} bytes"),
        *_free(_fields(step.packet, after if changed else None), any_fields),
    ]
    lines = table("Packet", ("received", "sent" if changed else "sent, unchanged"), rows)
    return lines if sends or not fate else [*lines[:-1], f"  {fate}", ""]


def _free(rows: Iterable[Row], any_fields: Sequence[str]) -> Iterator[Row]:
    """Those of the fields that matter, and the others in a line."""
    free = []
    for row in rows:
        if row.label in any_fields and not row.changed:
            free.append(row.label)
        else:
            yield row
    for start in range(0, len(free), FEW_NAMES):
        yield Row("any" if start == 0 else "", ", ".join(free[start : start + FEW_NAMES]))


FEW_NAMES = 3


def _fate(step: Step, result: StepResult, device_count: int) -> str:
    value = result.value
    if value is None:
        return ""
    if value == b.NF_DROP:
        return "dropped: nothing is sent"
    if value == b.NF_FLOOD:
        others = [device for device in range(device_count) if device != step.device]
        return f"{others[0]} (flooded)" if len(others) == 1 else f"all but {step.device} (flooded)"
    return str(value) if 0 <= value < device_count else f"{value}, which does not exist"


def _fields(before: bytes, after: bytes | None) -> Iterator[Row]:
    """The fields that tell something, and the bytes outside of headers. With ``after``, what both packets have."""
    shown: set[int] = set()
    for field in _common(before, after):
        value, now = field.value(before), None if after is None else field.value(after)
        shown.update(field.offsets)
        name = field.field.name
        usual = USUAL.get((field.header, name), 0)
        if name in ALWAYS[field.header] or value != usual or now not in (None, value):
            yield Row(field.name, written(field.field, value), None if now is None else written(field.field, now))
    rest = [offset for offset in range(len(before)) if offset not in shown]
    differing = [] if after is None else [offset for offset in rest if before[offset] != after[offset]]
    for offset in differing[:FEW_BYTES]:
        assert after is not None
        yield Row(f"byte {offset}", f"0x{before[offset]:02x}", f"0x{after[offset]:02x}")
    if len(differing) > FEW_BYTES:
        yield Row(f"and {len(differing) - FEW_BYTES} more bytes", "", CHANGED_TOO)
    content = bytes(before[offset] for offset in rest if offset not in differing)
    if content:
        name = "other bytes" if differing or rest[0] > ETHER_BYTES else "payload"
        yield Row(name, _bytes(content))


CHANGED_TOO = "changed, too"


def _common(before: bytes, after: bytes | None) -> list[Located]:
    """The headers of a packet that were changed are those that it had, unless it did not have them before."""
    mine = located(plain_packet(before))
    if after is None:
        return mine
    return max(mine, located(plain_packet(after)), key=len)


def _bytes(content: bytes) -> str:
    if not any(content):
        return f"{len(content)} bytes, all 0" if len(content) > 1 else "1 byte, 0"
    if len(content) <= FEW_BYTES:
        return content.hex(" ")
    return f"{len(content)} bytes: {content[:FEW_BYTES].hex(' ')} ..."


# ---- what came before


def before(example: Counterexample, steps: Sequence[tuple[Step, StepResult]]) -> Iterator[str]:
    """Steps that led to a state, a line or two for each."""
    names = Names(example.header)
    for number, (step, result) in enumerate(steps, 1):
        count = example.situation.device_count
        if step.entry == PROCESS:
            fate = _fate(step, result, count) or result.ending
            sent = fate if fate.startswith("dropped") else f"sent to {fate}"
            text = f"{number}. now {duration(step.now)}, device {step.device}: {_brief(step.packet)}; {sent}"
        else:
            value = "" if result.value is None else f" = {'true' if result.value else 'false'}"
            text = f"{number}. {step.entry}({names.argument(step.entry, step.argument)}){value}"
        yield from paragraph(text, INDENT, INDENT + "   ")


def _brief(content: bytes) -> str:
    """The ends of a packet, innermost last."""
    fields = {field.name: written(field.field, field.value(content)) for field in located(plain_packet(content))}
    parts = [f"{len(content)} bytes"]
    if "ether.src" in fields:
        parts.append(f"{fields['ether.src']} > {fields['ether.dst']}")
    for name in ("tcp", "udp"):
        if f"{name}.src_port" in fields:
            ends = (f"{fields[f'ipv4.{end}']}:{fields[f'{name}.{end}_port']}" for end in ("src", "dst"))
            return ", ".join([*parts, f"{name} {' > '.join(ends)}"])
    if "ipv4.src" in fields:
        parts.append(f"ipv4 {fields['ipv4.src']} > {fields['ipv4.dst']}")
    return ", ".join(parts)


# ---- differences


def differences(left: Packet, right: Packet) -> Iterator[tuple[str, str, str]]:
    """What differs between two plain packets, but for what either leaves open: name, left and right."""
    mine, theirs = left.content(), right.content()
    if len(mine) != len(theirs):
        yield "length", str(len(mine)), str(len(theirs))
    open_bytes = {
        offset
        for each in (*left.any_bytes, *right.any_bytes)
        if isinstance(each.offset, int)
        for offset in range(each.offset, each.offset + each.size_bytes)
    }
    common = range(min(len(mine), len(theirs)))
    differing = [k for k in common if mine[k] != theirs[k] and k not in open_bytes]
    shown: set[int] = set()
    for field in located(left):
        if field.offsets.stop > len(theirs) or not any(k in differing for k in field.offsets):
            continue
        a, b_ = field.value(mine), field.value(theirs)
        if a != b_:
            shown.update(field.offsets)
            yield field.name, written(field.field, a), written(field.field, b_)
    for k in differing:
        if k not in shown:
            yield f"byte {k}", f"0x{mine[k]:02x}", f"0x{theirs[k]:02x}"


# ---- for other tools


def scapy(content: bytes) -> str:
    """The packet as an expression that scapy evaluates to the same bytes."""
    packet = plain_packet(content)
    if not packet.ether:
        return f'Raw(bytes.fromhex("{content.hex()}"))'
    fields = {field.name: written(field.field, field.value(content)) for field in located(packet)}
    text = f'Ether(dst="{fields["ether.dst"]}", src="{fields["ether.src"]}", type={fields["ether.type"]})'
    rest = content[ETHER_BYTES:]
    return f'{text}/Raw(bytes.fromhex("{rest.hex()}"))' if rest else text


def hexdump(content: bytes) -> Iterator[str]:
    """Sixteen bytes a line, as tcpdump and Wireshark show them."""
    for start in range(0, len(content), 16):
        line = content[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        halves = f"{line[:8].hex(' ')}  {line[8:].hex(' ')}"
        yield f"{start:04x}  {halves:48}  {shown}".rstrip()
