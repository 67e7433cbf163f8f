"""A witness like one that is known: the bytes of a packet stay what they are, but for those of its checksums.

Whether a sum can be right is a hard question about many unknown bytes and an easy one about two.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_vigor.behaviour import PACKET
from pytest_vigor.frame import Frame
from pytest_vigor.packet import checksum_places
from pytest_vigor.smt import Sat
from pytest_vigor.term import Term


def but_for_checksums(model: Sat) -> Callable[[Term], int | None]:
    """What a byte of the first packet is in a model, for leaves that are one; None for those of checksums."""
    free = checksum_places(lambda place: model.value(Frame(PACKET).byte(place)))

    def value(leaf: Term) -> int | None:
        if leaf.op != "app" or leaf.data[0] != PACKET or not isinstance(leaf.args[0], int) or leaf.args[0] in free:
            return None
        found: int = model.value(leaf)
        return found

    return value
