"""The abstract vector: a record for each index."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, Self

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Knowledge, Plain
from pytest_vigor.ghost.flows import INDEX_BITS, identify
from pytest_vigor.layout import Type
from pytest_vigor.number import Number, Run, Truth, number, truth
from pytest_vigor.record import decode, encode, fitted
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import tell_of_text


class Records(Protocol):
    """The bits of the record at each index, and which indices are on loan."""

    facts: Knowledge
    name: str
    capacity: Value
    record_bits: int
    identity: Hashable
    loans: tuple[Value, ...]

    def at(self, index: Value) -> Value: ...


class Base:
    """Arbitrary records; nothing is on loan between steps."""

    loans: tuple[Value, ...] = ()

    def __init__(self, facts: Knowledge, name: str, record_bits: int, capacity: Value) -> None:
        self.facts, self.name, self.record_bits, self.capacity = facts, name, record_bits, capacity
        self.identity: Hashable = name

    def at(self, index: Value) -> Value:
        self.facts.touch(self.name, index)
        return t.app(f"{self.name}.at", self.record_bits, (INDEX_BITS, index))


class PlainBase:
    """Records given in full; those not mentioned are zero."""

    loans: tuple[Value, ...] = ()

    def __init__(
        self, name: str, record_bits: int, capacity: Value, records: Mapping[int, int],
        facts: Knowledge | None = None,
    ) -> None:  # fmt: skip
        self.facts: Knowledge = facts or Plain()
        self.name, self.record_bits, self.capacity = name, record_bits, capacity
        self.records = {i: bits for i, bits in records.items() if bits}
        self.identity: Hashable = (name, "plain", tuple(sorted(self.records.items())))

    def at(self, index: Value) -> Value:
        if isinstance(index, int):
            return self.records.get(index, 0)
        out: Value = 0
        for i, bits in self.records.items():
            out = t.ite(self.record_bits, t.eq(INDEX_BITS, index, i), bits, out)
        return out


class Written:
    """One index has another record, or the loans have changed."""

    def __init__(self, below: Records, index: Value, bits: Value, loans: tuple[Value, ...]) -> None:
        self.below, self.facts, self.name = below, below.facts, below.name
        self.record_bits, self.capacity, self.index, self.bits, self.loans = (
            below.record_bits, below.capacity, index, bits, loans,
        )  # fmt: skip
        self.identity: Hashable = ("Written", below.identity, identify(index), identify(bits))

    def at(self, index: Value) -> Value:
        here = t.eq(INDEX_BITS, index, self.index)
        return t.ite(self.record_bits, here, self.bits, self.below.at(index))  # type: ignore[no-any-return]


class Lent:
    """The same records, with other loans."""

    def __init__(self, below: Records, loans: tuple[Value, ...]) -> None:
        self.below, self.facts, self.name, self.loans = below, below.facts, below.name, loans
        self.record_bits, self.capacity, self.identity = below.record_bits, below.capacity, below.identity

    def at(self, index: Value) -> Value:
        return self.below.at(index)


class Vector:
    """A record for every index below a capacity (libVig's ``vector``). ``record_type`` is how a property reads them."""

    kind = "vector"
    __slots__ = ("record_type", "records", "run")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, run: Run, records: Records, record_type: Type | None = None) -> None:
        self.run, self.records, self.record_type = run, records, record_type

    def for_run(self, run: Run, of: Type | None = None) -> Self:
        """The same state, whose reads belong to a run; ``of`` is how that run writes keys or records."""
        return type(self)(run, self.records, of)

    def _with(self, records: Records) -> Vector:
        return Vector(self.run, records, self.record_type)

    @property
    def capacity(self) -> int | Number:
        """How many records there are."""
        return number(self.run, self.records.capacity, INDEX_BITS)

    def __getitem__(self, index: Any) -> Any:
        """The record at an index; IndexError at or beyond the capacity."""
        if not index < self.capacity:
            raise IndexError(index)
        return self.at(index)

    def at(self, index: Any) -> Any:
        """The record at an index that is below the capacity."""
        bits = self.records.at(fitted(self.run, index, INDEX_BITS))
        if self.record_type is None:
            return number(self.run, bits, self.records.record_bits)
        return decode(self.run, self.record_type, bits)

    def put(self, index: Any, record: Any) -> Vector:
        """The state with another record at an index."""
        if self.record_type is None:
            bits = fitted(self.run, record, self.records.record_bits)
        else:
            bits = encode(self.run, self.record_type, record)
        where = fitted(self.run, index, INDEX_BITS)
        return self._with(Written(self.records, where, bits, self.records.loans))

    def lend(self, index: Any) -> Vector:
        """The state with a record on loan."""
        where = fitted(self.run, index, INDEX_BITS)
        return self._with(Lent(self.records, (*self.records.loans, where)))

    def give_back(self, index: Any, record: Any) -> Vector:
        """The state with a record back from loan, as it was left."""
        where, bits = fitted(self.run, index, INDEX_BITS), fitted(self.run, record, self.records.record_bits)
        loans = list(self.records.loans)
        if where in loans:
            loans.remove(where)
        if bits is self.records.at(where):  # it was only read
            return self._with(Lent(self.records, tuple(loans)))
        return self._with(Written(self.records, where, bits, tuple(loans)))

    def on_loan(self, index: Any) -> bool | Truth:
        """Whether a record is on loan."""
        where = fitted(self.run, index, INDEX_BITS)
        return truth(self.run, t.lor(*(t.eq(INDEX_BITS, where, loan) for loan in self.records.loans)))

    def __eq__(self, other: object) -> Any:
        return truth(self.run, self.same(other)) if isinstance(other, Vector) else NotImplemented

    def same(self, other: Vector) -> Bool:
        """Equality: the same record at every index. Decided at one arbitrary index."""
        mine, theirs = self.records, other.records
        if mine.identity == theirs.identity:
            return True

        def alike(index: Value) -> Bool:
            same = t.eq(mine.record_bits, mine.at(index), theirs.at(index))
            return t.implies(t.ult(INDEX_BITS, index, mine.capacity), same)

        identity = ("equal", mine.identity, theirs.identity)
        return t.land(
            t.eq(INDEX_BITS, mine.capacity, theirs.capacity),
            mine.facts.forall(identity, mine.name, INDEX_BITS, alike, self._extent),
        )

    def _extent(self) -> Iterable[int]:
        assert isinstance(self.records.capacity, int)
        return range(self.records.capacity)

    def entries(self) -> dict[int, int]:
        """The bits of every record of a plain state that is not zero."""
        found = ((index, self.records.at(index)) for index in self._extent())
        return {index: bits for index, bits in found if isinstance(bits, int) and bits}

    def __repr__(self) -> str:
        if isinstance(self.records.facts, Plain):
            return f"{{{', '.join(f'{i} -> {self.at(i)!r}' for i in self.entries())}}}"
        tell_of_text(self.run)
        return f"<vector {self.records.name}>"
