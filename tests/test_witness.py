"""A witness like a known one has its packet, but for checksums."""

from __future__ import annotations

from pytest_vigor import term as t
from pytest_vigor.behaviour import PACKET
from pytest_vigor.frame import Frame
from pytest_vigor.packet import checksum_places
from pytest_vigor.smt import Sat, Solver
from pytest_vigor.witness import but_for_checksums


def test_checksums_are_where_the_options_end() -> None:
    assert checksum_places(lambda place: 0x45) == {24, 25, 40, 41, 50, 51}
    assert checksum_places(lambda place: 0x47) == {24, 25, 48, 49, 58, 59}


def test_other_bytes_are_what_they_were() -> None:
    frame = Frame(PACKET)
    model = Solver().check(t.eq(8, frame.byte(14), 0x45), t.eq(8, frame.byte(23), 17), t.eq(8, frame.byte(24), 9))
    assert isinstance(model, Sat)
    value = but_for_checksums(model)
    given = {place: value(byte) for place in (14, 23, 24, 25, 40, 50) if isinstance(byte := frame.byte(place), t.Term)}
    assert given == {14: 0x45, 23: 17, 24: None, 25: None, 40: None, 50: None}
    assert value(t.var("length", 16)) is None
    assert value(t.app(PACKET, 8, (16, t.var("anywhere", 16)))) is None
