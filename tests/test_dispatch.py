"""What the runtimes do with a burst of frames: each is sent or released, exactly as often as there are claims to it."""

from __future__ import annotations

import ctypes
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pytest_vigor.build import build_nf, libvig_root
from pytest_vigor.headers import read_struct

DROP, FLOOD, TOO_LONG, UNFINISHED, NOWHERE = -1, -2, 1001, 1002, -3
COUNTED_AS = {
    DROP: "dropped_by_nf",
    TOO_LONG: "dropped_too_long",
    UNFINISHED: "dropped_unfinished",
    NOWHERE: "dropped_no_device",
}
RELEASED, SHARED, SENT = range(3)
BURST_MAX, DEVICES_MAX = 32, 32


class Dispatcher:
    """tests/dispatch.c, compiled."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(str(build_nf([Path(__file__).with_name("dispatch.c")], folder / "dispatch.so")))
        struct = read_struct(libvig_root() / "runtime" / "counters.h", "counters_device", [libvig_root()])
        self._names = [field.name for field in struct.fields]
        self._numbers = ctypes.c_uint64 * (3 + DEVICES_MAX * len(self._names))

    def burst(self, device: int, devices: int, answers: Sequence[int]) -> tuple[list[tuple[int, ...]], Counter[str]]:
        """What became of the frames 1, 2, ..., in order, and what was counted over all devices."""
        self._library.burst(device, devices, (ctypes.c_int * len(answers))(*answers), len(answers))
        count = ctypes.c_uint32.in_dll(self._library, "event_count").value
        numbers = (ctypes.c_int32 * (3 * count)).in_dll(self._library, "events")
        events = [tuple(numbers[3 * i : 3 * i + 3]) for i in range(count)]
        counters = self._numbers.in_dll(self._library, "counters")
        width = len(self._names)
        counted: Counter[str] = Counter()
        for each in range(devices):
            counted.update(dict(zip(self._names, counters[3 + each * width : 3 + (each + 1) * width], strict=True)))
        return events, counted

    def question(self, device: int, length_bytes: int) -> list[int]:
        """What the NF was asked about a frame."""
        asked = (ctypes.c_uint32 * 3)()
        self._library.question(device, length_bytes, asked)
        return list(asked)


@pytest.fixture(scope="module")
def dispatcher(tmp_path_factory: pytest.TempPathFactory) -> Dispatcher:
    return Dispatcher(tmp_path_factory.mktemp("dispatch"))


def wanted(device: int, devices: int, answers: Sequence[int]) -> tuple[dict[int, list[int]], Counter[str]]:
    """For each device the frames that go there, in order; and what is counted."""
    queues: dict[int, list[int]] = {each: [] for each in range(devices)}
    counted: Counter[str] = Counter(received=len(answers))
    for frame, answer in enumerate(answers, 1):
        if answer == FLOOD and devices > 1:
            for each in set(queues) - {device}:
                queues[each].append(frame)
            counted["copies"] += devices - 2
        elif 0 <= answer < devices:
            queues[answer].append(frame)
        else:
            counted[COUNTED_AS.get(answer, "dropped_no_device")] += 1
    counted["sent"] = sum(map(len, queues.values()))
    return queues, counted


def judge(dispatcher: Dispatcher, device: int, devices: int, answers: Sequence[int]) -> None:
    events, counted = dispatcher.burst(device, devices, answers)
    queues, expected = wanted(device, devices, answers)
    assert {each: [f for kind, f, to in events if kind == SENT and to == each] for each in queues} == queues
    assert +counted == +expected
    dropped = sum(value for name, value in counted.items() if name.startswith("dropped_"))
    assert counted["received"] + counted["copies"] == counted["sent"] + dropped
    claims = Counter(range(1, len(answers) + 1))
    for kind, frame, number in events:
        # Nothing may happen to a frame that nobody has a claim to any longer.
        assert claims[frame] > 0
        claims[frame] += number if kind == SHARED else -1
    assert not +claims, "a frame is kept for ever"


def every_small_burst() -> Iterator[tuple[int, int, tuple[int, ...]]]:
    for devices in (1, 2, 3):
        choices = (DROP, FLOOD, TOO_LONG, UNFINISHED, NOWHERE, devices, *range(devices))
        for length in (1, 2, 3, 4):
            for answers in itertools.product(choices, repeat=length):
                yield devices - 1, devices, answers


def test_every_burst_of_up_to_four_frames(dispatcher: Dispatcher) -> None:
    for device, devices, answers in every_small_burst():
        judge(dispatcher, device, devices, answers)


@settings(deadline=None)
@given(data=st.data())
def test_bursts_of_any_length(dispatcher: Dispatcher, data: Any) -> None:
    devices = data.draw(st.integers(1, DEVICES_MAX))
    device = data.draw(st.integers(0, devices - 1))
    answer = st.one_of(
        st.sampled_from((FLOOD, *COUNTED_AS)), st.integers(0, devices - 1), st.integers(-(2**31), 2**31 - 1)
    )
    judge(dispatcher, device, devices, data.draw(st.lists(answer, min_size=1, max_size=BURST_MAX)))


def test_a_whole_burst_may_be_flooded_to_all_devices(dispatcher: Dispatcher) -> None:
    judge(dispatcher, 31, DEVICES_MAX, [FLOOD] * BURST_MAX)


@pytest.mark.parametrize("length_bytes", [1, 60, 1518])
def test_an_nf_is_told_device_length_and_time(dispatcher: Dispatcher, length_bytes: int) -> None:
    assert dispatcher.question(5, length_bytes) == [5, length_bytes, 42]


@pytest.mark.parametrize("length_bytes", [1519, 65_536 + 60, 2**32 - 1])
def test_an_nf_never_sees_a_frame_that_proofs_are_not_about(dispatcher: Dispatcher, length_bytes: int) -> None:
    assert dispatcher.question(5, length_bytes) == [2**32 - 1] * 3
