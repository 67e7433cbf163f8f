"""The abstract flow table: keys, each with an index and an age."""

from __future__ import annotations

from typing import Any

from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flows import INDEX_BITS, TIME_BITS, Flows, Put
from pytest_vigor.ghost.index_pool import Pool
from pytest_vigor.layout import Type, collapse
from pytest_vigor.number import Number, Run, Truth, number, truth
from pytest_vigor.record import decode, encode, fitted
from pytest_vigor.term import Value
from pytest_vigor.unanswered import tell_of_text
from pytest_vigor.watch import unwatched


class FlowTable(Pool):
    """A finite map from keys to indices, each entry with the time of its last use (libVig's ``flow_table``).

    ``key_type`` is how a property writes keys: a number, or a tuple or mapping of a struct's fields. Contracts work
    on the bits of keys, and leave it out.
    """

    kind = "flow_table"
    __slots__ = ("key_type",)

    def __init__(self, run: Run, flows: Flows, key_type: Type | None = None) -> None:
        super().__init__(run, flows)
        self.key_type = key_type

    def _with(self, flows: Flows) -> FlowTable:
        return FlowTable(self.run, flows, self.key_type)

    def for_run(self, run: Run, of: Type | None = None) -> FlowTable:
        """The same state, whose reads belong to a run; ``of`` is how that run writes keys or records."""
        return FlowTable(run, self.flows, of)

    def _key(self, key: Any) -> Value:
        if self.key_type is not None:
            return encode(self.run, self.key_type, key)
        return fitted(self.run, key, self.flows.key_bits)

    @property
    def key_bits(self) -> int:
        """The size of a key."""
        return self.flows.key_bits

    def has(self, key: Any) -> bool | Truth:
        """Whether a key is in the table."""
        return truth(self.run, self.flows.has(self._key(key)))

    @unwatched
    def __contains__(self, key: Any) -> bool:
        return bool(self.has(key))

    @unwatched
    def __getitem__(self, key: Any) -> int | Number:
        """The index of a key; KeyError where it has none."""
        bits = self._key(key)
        if not truth(self.run, self.flows.has(bits)):
            raise KeyError(key)
        return number(self.run, self.flows.find(bits), INDEX_BITS)

    def key_at(self, index: Any) -> Any:
        """The key of a used index."""
        bits = self.flows.key(fitted(self.run, index, INDEX_BITS))
        if self.key_type is None:
            return number(self.run, bits, self.flows.key_bits)
        return decode(self.run, collapse(self.key_type), bits)

    def put(self, key: Any, index: Any, time: Any) -> FlowTable:
        """The state in which an absent key has got a free index at a time."""
        bits = self._key(key)
        where = fitted(self.run, index, INDEX_BITS)
        return self._with(Put(self.flows, bits, where, fitted(self.run, time, TIME_BITS, True)))

    def __repr__(self) -> str:
        if isinstance(self.flows.facts, Plain):
            shown = ", ".join(f"{self.key_at(i)!r} -> {i}, age {age}" for i, (_, age) in self.entries().items())
            return f"{{{shown}}}"
        tell_of_text(self.run)
        return f"<flow table {self.flows.name}>"
