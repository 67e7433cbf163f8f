"""How the structs that a shared object was compiled with lie in memory, from its debug information (DWARF)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_vigor.errors import BinaryError
from pytest_vigor.layout import Array, Field, Integer, Pointer, Struct, Type

_TRANSPARENT = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type")
_BOOLEAN, _SIGNED, _SIGNED_CHAR = 2, 5, 6  # DW_ATE_boolean, DW_ATE_signed, DW_ATE_signed_char


def structs(path: Path) -> dict[str, Struct]:
    """Every struct with a tag, by that."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        elf = ELFFile(file)
        if not elf.has_dwarf_info():
            raise BinaryError(f"{path} does not say how its structs lie in memory", "build it with -g")
        found: dict[str, Struct] = {}
        for unit in elf.get_dwarf_info().iter_CUs():
            for entry in unit.iter_DIEs():
                name = _name(entry)
                if entry.tag == "DW_TAG_structure_type" and name and "DW_AT_byte_size" in entry.attributes:
                    of = _type(entry)
                    if isinstance(of, Struct):
                        found.setdefault(name, of)
    return found


def _name(entry: Any) -> str:
    attribute = entry.attributes.get("DW_AT_name")
    return attribute.value.decode() if attribute is not None else ""


def _size(entry: Any) -> int:
    return int(entry.attributes["DW_AT_byte_size"].value)


def _target(entry: Any) -> Any:
    return entry.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in entry.attributes else None


def _type(entry: Any) -> Type | None:
    """A type, None where it is one that nobody looks into."""
    while entry is not None and entry.tag in _TRANSPARENT:
        entry = _target(entry)
    if entry is None:
        return None
    match entry.tag:
        case "DW_TAG_base_type":
            encoding = entry.attributes["DW_AT_encoding"].value
            return Integer(_size(entry), encoding in (_SIGNED, _SIGNED_CHAR), boolean=encoding == _BOOLEAN)
        case "DW_TAG_enumeration_type":
            return Integer(_size(entry))
        case "DW_TAG_pointer_type":
            target = _target(entry)
            return Pointer(_name(target) if target is not None else "void")
        case "DW_TAG_array_type":
            element = _type(_target(entry))
            counts = [
                child.attributes["DW_AT_upper_bound"].value + 1
                for child in entry.iter_children() if "DW_AT_upper_bound" in child.attributes
            ]  # fmt: skip
            return Array(element, counts[0]) if element is not None and len(counts) == 1 else None
        case "DW_TAG_structure_type":
            fields = []
            for member in entry.iter_children():
                of = _type(_target(member)) if member.tag == "DW_TAG_member" else None
                if of is not None and "DW_AT_data_member_location" in member.attributes:
                    fields.append(Field(_name(member), member.attributes["DW_AT_data_member_location"].value, of))
            return Struct(_name(entry), _size(entry), tuple(fields))
    return None
