"""Jobs that other processes begin with from the end: each is done, and none twice at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from project import Project

from pytest_vigor.ahead import ALONE_SECONDS, Ahead, Shared

pytest_plugins = ["pytester"]
SECONDS = 30


def until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.005)


def noting(folder: Path, place: int) -> Callable[[], object]:
    def job() -> None:
        with (folder / str(place)).open("a") as file:
            file.write(f"{os.getpid()}\n")

    return job


def who(folder: Path, place: int) -> list[int]:
    file = folder / str(place)
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_children_do_what_this_process_has_not_come_to(tmp_path: Path) -> None:
    ahead = Ahead([noting(tmp_path, place) for place in range(5)], 2)
    try:
        until(lambda: all(who(tmp_path, place) for place in range(5)))
    finally:
        ahead.close()
    assert all(os.getpid() not in who(tmp_path, place) for place in range(5))


def test_a_place_that_was_reached_is_left_alone(tmp_path: Path) -> None:
    def waiting() -> None:
        until((tmp_path / "go").exists)
        noting(tmp_path, 2)()

    ahead = Ahead([noting(tmp_path, 0), noting(tmp_path, 1), waiting], 1)
    try:
        ahead.reach(0, lambda: None)
        (tmp_path / "go").touch()
        until(lambda: bool(who(tmp_path, 1)))
        ahead.reach(1, lambda: None)
    finally:
        ahead.close()
    assert not who(tmp_path, 0)


def test_whoever_reaches_a_job_under_way_waits_for_its_end(tmp_path: Path) -> None:
    def slow() -> None:
        (tmp_path / "begun").touch()
        until((tmp_path / "go").exists)
        noting(tmp_path, 0)()

    ahead = Ahead([slow], 1)
    try:
        until((tmp_path / "begun").exists)
        ahead.reach(0, (tmp_path / "go").touch)
        assert len(who(tmp_path, 0)) == 1
    finally:
        ahead.close()


@pytest.mark.parametrize("end", [lambda: os._exit(3), lambda: os.kill(os.getpid(), 9), lambda: 1 / 0])
def test_a_child_that_fails_keeps_nobody_waiting(tmp_path: Path, end: Callable[[], object]) -> None:
    def failing() -> None:
        (tmp_path / "begun").touch()
        end()

    ahead = Ahead([failing], 1)
    try:
        until((tmp_path / "begun").exists)
        ahead.reach(0, lambda: None)
    finally:
        ahead.close()


# ---- properties

TWO_PROCESSES = """
    import pytest_vigor.proofs

    pytest_vigor.proofs.idle_processors = lambda: 1
"""
WAITING = """
    import time
    from pathlib import Path

    def test_first(step):
        for _ in range(1000):
            if list(Path(".pytest_cache/d/vigor/proofs").glob("*.json")):
                break
            time.sleep(0.01)
        else:
            raise AssertionError("nobody else proves anything")
        assert not step.flooded
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    pytester.makeconftest(TWO_PROCESSES)
    project = Project(pytester)
    project.nf()
    return project


def test_the_last_property_is_proved_during_the_first(project: Project) -> None:
    project.properties(WAITING + """
    def test_last(step):
        assert step.packet.length <= 1518
    """)
    ran = project.prove()
    assert [ran.verdict(name) for name in ("test_first", "test_last")] == ["Proved", "Proved"]
    assert not ran.records["test_last"]["cached"]


def test_what_another_process_does_not_prove_is_told_as_ever(project: Project) -> None:
    project.properties(WAITING + """
    def test_refuted(step):
        assert step.dropped

    def test_vacuous(step):
        assume(step.packet.length > 1518)
        assert step.dropped

    def test_error(step):
        raise RuntimeError("of the property")

    @pytest.mark.parametrize("limit", [1518, 1000])
    def test_limit(step, limit):
        assert step.packet.length <= limit

    def test_last(step):
        assert step.packet.length <= 1518
    """)
    ran = project.prove()
    found = {name: ran.records[name]["verdict"] for name in ran.records}
    assert found == {
        "test_first": "Proved", "test_refuted": "Refuted", "test_vacuous": "Vacuous", "test_limit[1518]": "Proved",
        "test_limit[1000]": "Refuted", "test_last": "Proved",
    }  # fmt: skip
    assert "of the property" in ran.said("test_error")


def test_a_property_with_fixtures_is_left_to_this_process(project: Project) -> None:
    project.properties("""
        LIMIT = [0]

        @pytest.fixture(autouse=True)
        def raised():
            LIMIT[0] = 1518

        def test_first(step):
            assert not step.flooded

        def test_last(step):
            assert step.packet.length <= LIMIT[0]
    """)
    ran = project.prove()
    assert ran.verdict("test_last") == "Proved"


def test_several_nfs_take_turns(project: Project) -> None:
    for name in ("other", "third"):
        project.nf(name)
    project.properties("""
        pytestmark = []
        NFS = [pytest.param(nf, marks=pytest.mark.nf(nf)) for nf in ("gate", "other", "third")]

        @pytest.mark.parametrize("nf", NFS)
        def test_length(step, nf):
            assert step.packet.length <= 1518

        @pytest.mark.parametrize("nf", NFS)
        def test_claim(step, nf):
            assert not step.flooded if nf != "third" else step.dropped
    """)
    first, second = project.prove(), project.prove()
    names = [f"{test}[{nf}]" for test in ("test_length", "test_claim") for nf in ("gate", "other", "third")]
    expected = dict.fromkeys(names, "Proved") | {"test_claim[third]": "Refuted"}
    assert {name: record["verdict"] for name, record in first.records.items()} == expected
    assert not any(record["cached"] for record in first.records.values())
    assert {name: record["verdict"] for name, record in second.records.items()} == expected
    assert all(record["cached"] for record in second.records.values())


# ---- what takes long is shared


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_jobs_that_are_left_after_a_while_are_shared(tmp_path: Path) -> None:
    def job(place: int) -> bytes | None:
        until((tmp_path / "go").exists)
        noting(tmp_path, place)()
        return None if place == 3 else os.getpid().to_bytes(4, "little")  # at 3 it is for no other to say

    with closing(Shared([partial(job, place) for place in range(6)], 5, lambda: 1)) as shared:
        assert shared.found(0, lambda: None) is None  # nothing has taken long yet
        busy(ALONE_SECONDS)
        assert shared.found(1, lambda: None) is None  # it is this process that has come to it
        (tmp_path / "go").touch()
        until(lambda: all(who(tmp_path, place) for place in range(2, 6)))
        found = [shared.found(place, lambda: None) for place in range(2, 6)]
    assert [None if each is None else [int.from_bytes(each, "little")] for each in found] == [
        None if place == 3 else who(tmp_path, place) for place in range(2, 6)
    ]
    assert os.getpid() not in who(tmp_path, 2) and not who(tmp_path, 0)
    assert all(len(each) == 5 for each in found if each is not None)


def test_nothing_is_shared_while_nobody_is_idle() -> None:
    with closing(Shared([lambda: b""] * 3, 4, lambda: 0)) as shared:
        busy(ALONE_SECONDS)
        assert [shared.found(place, lambda: None) for place in range(3)] == [None] * 3


def test_what_a_process_that_dies_was_at_is_left_to_this_one(tmp_path: Path) -> None:
    def dying() -> bytes:
        (tmp_path / "begun").touch()
        os._exit(1)

    with closing(Shared([lambda: b"", lambda: b"1", dying], 1, lambda: 1)) as shared:
        busy(ALONE_SECONDS)
        assert shared.found(0, lambda: None) is None
        until((tmp_path / "begun").exists)
        assert shared.found(2, lambda: None) is None


# Paths that nothing joins.
BRANCHES = """
    #include "{name}.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        nf_state.wan_device = config->wan_device;
        return config->wan_device < device_count;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) device;
        (void) packet;
        if (length_bytes < 20) {
            return NF_DROP;
        }
        if (now < 1000) {
            return NF_FLOOD;
        }
        return length_bytes % 2 == 0 ? 0 : nf_state.wan_device;
    }
"""
SHARING = """
    import mmap, os, time
    from pytest_vigor.ahead import ALONE_SECONDS

    THIS = os.getpid()
    SEEN = mmap.mmap(-1, 2)

    def slow():
        end = time.process_time() + ALONE_SECONDS
        while time.process_time() < end:
            pass
        SEEN[os.getpid() == THIS] = 1
"""


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [("assert step.packet.length <= 1518", "Proved"), ("assert step.dropped or step.packet.length % 2", "Refuted"),
     ("assume(step.packet.length > 1518)\n        assert step.dropped", "Vacuous")],
)  # fmt: skip
def test_the_paths_of_a_property_are_shared(project: Project, claim: str, verdict: str) -> None:
    project.nf(source=BRANCHES)
    project.properties(SHARING + f"""
    def test_claim(step):
        slow()
        {claim}

    def test_others_have_been_at_work():
        assert SEEN[:] == bytes([1, 1])
    """)
    ran = project.prove()
    assert ran.verdict("test_claim") == verdict
    assert ran.outcomes["test_others_have_been_at_work"] == "passed"


def test_another_process_says_nothing_of_a_property_that_reads_files(project: Project) -> None:
    project.nf(source=BRANCHES)
    (project.path / "limit").write_text("1518")
    project.properties(SHARING + """
    def test_claim(step):
        slow()
        assert step.packet.length <= int(open("limit").read())
    """)
    assert project.prove().verdict("test_claim") == "Proved"
    assert not project.proofs()
