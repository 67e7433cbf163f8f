"""The fixture ``step``: one call of ``nf_process``, as a property sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.number import AnyValue, Run, Truth, condition, truth
from pytest_vigor.property.packets import Header, Packet
from pytest_vigor.record import Record
from pytest_vigor.term import Bool
from pytest_vigor.watch import unwatched


class Discarded(Exception):
    """The property does not speak of this case."""


class Beyond(Exception):
    """The property asks what comes after a point at which this path ended."""


class AssumingRun(Run):
    """A run that can be told what to suppose."""

    def assume(self, condition: Bool) -> None:
        """Goes on only where the condition holds; raises Discarded where it cannot."""
        raise NotImplementedError


@unwatched
def assume(value: Any) -> None:
    """Leaves out the cases in which a condition does not hold."""
    if isinstance(value, Header):
        value = value.present
    if isinstance(value, Truth):
        run: Any = value.run
        run.assume(value.term)
    elif not value:
        raise Discarded


class Flood:
    """Where a packet goes that is sent to every device but the receiving one."""

    _only: Flood | None = None

    def __new__(cls) -> Flood:
        cls._only = cls._only or super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "FLOOD"


FLOOD = Flood()


class Sent(list[Any]):
    """What a step sent: pairs of device (or FLOOD) and packet, in order. ``...`` in an expected list stands for any
    device or packet."""

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, list) or len(other) != len(self):
            return False
        for (device, packet), (expected_device, expected_packet) in zip(self, other, strict=True):
            if not isinstance(expected_device, AnyValue) and not device == expected_device:
                return False
            if not isinstance(expected_packet, AnyValue) and not packet == expected_packet:
                return False
        return True

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = None


class State:
    """The structures and numbers of an NF at one moment, by the names that its header gives them."""

    __slots__ = ("_members",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = members

    def __getattr__(self, name: str) -> Any:
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(self._members) or "nothing"
            unnamed = any(each.startswith("object") and each[6:].isdigit() for each in self._members)
            hint = "; what no member of nf_state keeps has a number: is nf_state declared VIGOR_API?" if unnamed else ""
            raise AttributeError(f"the state has no {name!r}; it has {known}{hint}") from None

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and values."""
        return iter(self._members.items())

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, State):
            return NotImplemented
        return all(value == other._members[name] for name, value in self._members.items())

    def __repr__(self) -> str:
        return "<state>"


class Step:
    """One call of ``nf_process``: what went in, the state before and after, and what came out.

    ``device``, ``now`` and ``device_count`` are numbers, ``packet`` is the received :class:`Packet`, ``config`` the
    fields of ``struct nf_config``; ``old`` and ``new`` are the states before and after. Numbers are in host order and
    do not wrap. On a path that has no end, reading what came out raises :class:`Beyond`.
    """

    def __init__(
        self, run: Any, *, config: Record, device_count: Any, device: Any, packet: Packet, now: Any, old: State,
        outcome: Callable[[], tuple[State, Sent, bool]] | None, reason: str = "",
        respected: Callable[[str], bool | Truth] | None = None,
        following: Callable[[Any, Any, Any], Step] | None = None,
    ) -> None:  # fmt: skip
        self.run, self.config, self.device_count, self.device = run, config, device_count, device
        self.packet, self.now, self.old = packet, now, old
        self._outcome, self._reason, self._respected, self._following = outcome, reason, respected, following

    def _end(self) -> tuple[State, Sent, bool]:
        if self._outcome is None:
            raise Beyond(self._reason)
        return self._outcome()

    @property
    def new(self) -> State:
        """The state afterwards."""
        return self._end()[0]

    @property
    def sent(self) -> Sent:
        """What was sent: a list of (device, packet), the device FLOOD for all but the receiving one."""
        return self._end()[1]

    @property
    def dropped(self) -> bool:
        """Whether nothing was sent."""
        return not list(self._end()[1])

    @property
    def flooded(self) -> bool:
        """Whether the packet was sent to every device but the receiving one."""
        return self._end()[2]

    def sent_to(self, device: Any) -> bool | Truth:
        """Whether something was sent on a device."""
        if self.flooded:
            exists, other = condition(device < self.device_count), condition(device != self.device)
            return truth(self.run, t.land(exists, other))
        sent = list(self.sent)
        return truth(self.run, condition(sent[0][0] == device)) if sent else False

    def respects(self, kind: str) -> bool | Truth:
        """Whether the NF keeps an obligation, in this step or in any call of its other entry points: "memory",
        "initialised", "contract", "division", "jump", "termination", "crash" or "result"."""
        if self._respected is None:
            raise TypeError("step.respects is about the first step")
        return self._respected(kind)

    def __repr__(self) -> str:
        return "step"

    def then(self, device: Any, packet: Any, now: Any) -> Step:
        """Processes a further packet on the state that this step left. ``now`` must not be before this step's.
        ``...`` stands for any device, packet or time; the new step's ``device``, ``packet`` and ``now`` tell which."""
        if self._following is None:
            raise TypeError("no step can follow here")
        self._end()
        return self._following(device, packet, now)

