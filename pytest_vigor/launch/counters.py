"""The memory in which a runtime counts, as its header lays it out."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from pytest_vigor.build import libvig_root
from pytest_vigor.errors import RunError
from pytest_vigor.headers import read_struct
from pytest_vigor.layout import Array, Integer, Struct

DROPPED = "dropped_"


class Phase(IntEnum):
    """How far a runtime has come."""

    STARTING = 0
    RUNNING = 1
    DRAINING = 2
    ENDED = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one time: by device, by name; then of each table how many entries it has and can have."""

    phase: Phase
    devices: tuple[dict[str, int], ...]
    tables: tuple[tuple[int, int], ...]

    def total(self, name: str) -> int:
        """A counter, over all devices."""
        return sum(device[name] for device in self.devices)

    def dropped(self) -> dict[str, int]:
        """Dropped frames by reason, over all devices."""
        names = [name for name in (self.devices[0] if self.devices else {}) if name.startswith(DROPPED)]
        return {name.removeprefix(DROPPED): self.total(name) for name in names}

    def unaccounted(self) -> int:
        """Frames that were neither sent nor dropped: 0 whenever the runtime is not at work on some."""
        return self.total("received") + self.total("copies") - self.total("sent") - sum(self.dropped().values())


class Counters:
    """A file that a runtime counts in."""

    def __init__(self, path: Path) -> None:
        header = libvig_root() / "runtime" / "counters.h"
        self._struct = read_struct(header, "counters", [libvig_root()])
        with path.open("wb") as file:
            file.truncate(self._struct.size_bytes)
        with path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), self._struct.size_bytes, access=mmap.ACCESS_READ)

    def read(self) -> Snapshot:
        """What has been counted up to now."""
        memory = self._memory[:]
        device_count, table_count = self._number(memory, "device_count"), self._number(memory, "table_count")
        tables = [tuple(table.values()) for table in self._records(memory, "tables")[:table_count]]
        return Snapshot(
            Phase(self._number(memory, "phase")),
            tuple(self._records(memory, "devices")[:device_count]),
            tuple((used, capacity) for used, capacity in tables),
        )

    def _number(self, memory: bytes, name: str) -> int:
        field = self._struct.field(name)
        assert field is not None
        return int.from_bytes(memory[field.offset : field.offset + field.type.size_bytes], "little")

    def _records(self, memory: bytes, name: str) -> list[dict[str, int]]:
        field = self._struct.field(name)
        if field is None or not isinstance(field.type, Array) or not isinstance(field.type.element, Struct):
            raise RunError(f"counters.h has no array {name}", "install pytest-vigor again")
        element = field.type.element
        records = []
        for index in range(field.type.count):
            base = field.offset + index * element.size_bytes
            record = {}
            for each in element.fields:
                assert isinstance(each.type, Integer)
                start = base + each.offset
                record[each.name] = int.from_bytes(memory[start : start + each.type.size_bytes], "little")
            records.append(record)
        return records
