"""From a configuration file to the calls that configure an NF.

The file's keys are the fields of the struct that the NF's header declares, so there is no second description of them.
Further entry points are arrays of tables: each `[[bridge_add_static]]` is one call of that function.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_vigor.errors import ConfigurationError
from pytest_vigor.headers import Header
from pytest_vigor.layout import Array, Bytes, Integer, Pointer, Struct, Type, collapse
from pytest_vigor.notation import IPV4_BYTES, MAC_BYTES

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the NF's functions; `where` is what a user wrote it as."""

    function: str
    argument: bytes
    where: str


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    constants: Mapping[str, int]
    device_count: int

    def encode(self, of: Type, value: Any, key: str) -> bytes:
        """The memory that holds a value; padding is zero."""
        if isinstance(value, Mapping) and isinstance(of, Struct):
            return self._struct(of, value, key)
        of = collapse(of)
        match of:
            case Integer():
                return self._integer(of, value, key)
            case Bytes(count):
                return self._bytes(count, value, key)
            case Array():
                return self._array(of, value, key)
            case Struct():
                names = ", ".join(field.name for field in of.fields)
                raise self._wrong(key, value, f"give a table of {names}")
            case Pointer():
                raise self._wrong(key, value, "a pointer cannot be configured; take it out of the struct")

    def _wrong(self, key: str, value: Any, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}: {key} = {_written(value)} does not do", remedy)

    def _struct(self, of: Struct, value: Mapping[str, Any], key: str) -> bytes:
        inside = f"{key}." if key else ""
        names = [field.name for field in of.fields]
        unknown = [name for name in value if name not in names]
        if unknown:
            known = ", ".join(names)
            raise ConfigurationError(f"{self.path}: there is no {inside}{unknown[0]}", f"there are {known}")
        memory = bytearray(of.size_bytes)
        for field in of.fields:
            if field.name not in value:
                raise ConfigurationError(
                    f"{self.path}: {inside}{field.name} is missing", _wanted(field.type, self.device_count)
                )
            part = self.encode(field.type, value[field.name], inside + field.name)
            memory[field.offset : field.offset + len(part)] = part
        return bytes(memory)

    def _integer(self, of: Integer, value: Any, key: str) -> bytes:
        wanted = _wanted(of, self.device_count)
        number = value
        if of.boolean:
            if not isinstance(value, bool):
                raise self._wrong(key, value, wanted)
            number = int(value)
        elif isinstance(value, str):
            number = self._named(of, value, key)
        elif isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, value, wanted)
        least, most = limits(of)
        if not least <= number <= most:
            raise self._wrong(key, value, wanted)
        return encoded(of, number)

    def _named(self, of: Integer, value: str, key: str) -> int:
        if value in self.constants:
            return self.constants[value]
        if _is_address(of):
            try:
                return int(ipaddress.IPv4Address(value))
            except ValueError:
                pass
        raise self._wrong(key, value, _wanted(of, self.device_count))

    def _bytes(self, count: int, value: Any, key: str) -> bytes:
        if isinstance(value, str):
            if count == MAC_BYTES and _MAC.fullmatch(value):
                return bytes.fromhex(value.replace(":", ""))
            if count != MAC_BYTES and re.fullmatch(rf"([0-9a-fA-F]{{2}}){{{count}}}", value):
                return bytes.fromhex(value)
        raise self._wrong(key, value, _wanted(Bytes(count), self.device_count))

    def _array(self, of: Array, value: Any, key: str) -> bytes:
        wanted = _wanted(of, self.device_count)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._wrong(key, value, wanted)
        # Arrays have room for as many devices as there can be; the elements of those that there are will do.
        if len(value) not in (of.count, self.device_count) or len(value) > of.count:
            raise ConfigurationError(f"{self.path}: {key} has {len(value)} elements", wanted)
        parts = [self.encode(of.element, each, f"{key}[{i}]") for i, each in enumerate(value)]
        return b"".join(parts).ljust(of.size_bytes, b"\0")


def limits(of: Integer) -> tuple[int, int]:
    """The least and the greatest value of a C type."""
    bits = 8 * of.size_bytes
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if of.signed else (0, (1 << bits) - 1)


def encoded(of: Integer, number: int) -> bytes:
    """A number as it lies in memory."""
    return number.to_bytes(of.size_bytes, "big" if of.big_endian else "little", signed=of.signed)


def read_configuration(path: Path, header: Header, device_count: int) -> tuple[Call, ...]:
    """The calls that a file asks for, nf_init first. ConfigurationError names the key, its value and what it may be."""
    try:
        written = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})", "name the configuration file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML", str(error)) from error
    reader = _Reader(path, header.constants, device_count)
    entries = {entry.name: entry.argument for entry in header.entries}
    config = {key: value for key, value in written.items() if key not in entries}
    calls = [Call("nf_init", reader.encode(header.config, config, ""), str(path))]
    for name, argument in entries.items():
        tables = written.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ConfigurationError(f"{path}: {name} is no array of tables", f"write [[{name}]] before each entry")
        for number, table in enumerate(tables):
            where = f"{name}[{number}]"
            if argument is None and table:
                raise ConfigurationError(f"{path}: {where} takes nothing", "leave its table empty")
            memory = b"" if argument is None else reader.encode(argument, table, where)
            calls.append(Call(name, memory, f"{path}: {where}"))
    return tuple(calls)


def _is_address(of: Integer) -> bool:
    return of.big_endian and of.size_bytes == IPV4_BYTES and not of.signed


def _wanted(of: Type, device_count: int) -> str:
    of = collapse(of)
    match of:
        case Integer() if of.boolean:
            return "give true or false"
        case Integer() if _is_address(of):
            return 'give an IPv4 address, such as "192.0.2.1"'
        case Integer():
            least, most = limits(of)
            return f"give a whole number from {least} to {most}"
        case Bytes(count) if count == MAC_BYTES:
            return 'give an Ethernet address, such as "02:00:00:00:00:01"'
        case Bytes(count):
            return f"give {count} bytes as {2 * count} hexadecimal digits"
        case Array(_, count):
            return f"give a list of {device_count} elements, one for each device, or of all {count}"
        case Struct():
            return f"give a table of {', '.join(field.name for field in of.fields)}"
        case Pointer():
            return "a pointer cannot be configured; take it out of the struct"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
