"""`--vigor-report`: what the page and the JSON say, from one process or several, whole or stopped."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from project import ENDLESS, Project

from pytest_vigor.report.picture import picture
from pytest_vigor.report.schema import EntryPoint, Event, Path as Way, Report, schema

pytest_plugins = ["pytester"]

HEADER = """
    #ifndef GATE_H
    #define GATE_H
    #include "nf.h"
    #include "net/net.h"
    #include "typed.h"
    struct nf_config { uint16_t wan_device; uint32_t capacity; };
    struct nf_state { FLOW_TABLE(stations, struct net_mac); uint16_t wan_device; };
    extern VIGOR_API struct nf_state nf_state;
    #endif
"""
# Frames are never that long, which the compiler cannot know.
SOURCE = """
    #include "{name}.h"
    #include "flow_table/flow_table.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        if (config->capacity < 1 || config->capacity > 1024) {
            return false;
        }
        nf_state.wan_device = config->wan_device;
        nf_state.stations = flow_table_alloc(sizeof(struct net_mac), config->capacity);
        return config->wan_device < device_count && nf_state.stations != NULL;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) now;
        struct net_ether *ether = (struct net_ether *) packet;
        if (length_bytes < 14 || device == nf_state.wan_device) {
            return NF_DROP;
        }
        if (length_bytes > 2000) {
            return NF_FLOOD;
        }
        uint32_t index;
        if (flow_table_find(nf_state.stations, &ether->source, &index)) {
            packet[12] = 0x08;
            return nf_state.wan_device;
        }
        return NF_DROP;
    }
"""
PROPERTIES = """
    def test_short(step):
        "RFC 894: <b>short</b> frames are dropped."
        assume(step.packet.length < 14)
        assert step.dropped

    def test_never_floods(step):
        assert not step.flooded

    def test_never_drops(step):
        assert not step.dropped

    def test_nothing(step):
        assume(step.packet.length > 1518)
        assert step.dropped
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    project.nf(source=SOURCE, header=HEADER)
    project.properties(PROPERTIES)
    return project


def read(folder: Path) -> Report:
    return msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)


def told(project: Project, *arguments: str) -> Report:
    """The report of a run."""
    ran = project.prove("--vigor-report", "out", *arguments)
    assert "report: out/index.html" in ran.output
    return read(project.path / "out")


# ---- what is told


def test_every_property_is_told_with_its_verdict(project: Project) -> None:
    found = told(project)
    assert {each.name: each.verdict for each in found.properties} == {
        "test_short": "Proved", "test_never_floods": "Proved", "test_never_drops": "Refuted", "test_nothing": "Vacuous"
    }  # fmt: skip
    (short,) = [each for each in found.properties if each.name == "test_short"]
    assert (short.citation, short.claim) == ("RFC 894", "<b>short</b> frames are dropped.")
    (refuted,) = [each for each in found.properties if each.verdict == "Refuted"]
    assert refuted.confirmed and refuted.counterexample is not None and "REFUTED: never drops" in refuted.text
    assert found.complete and found.collected == found.ran == 4
    assert {"FRAME_FITS", "CONTRACTS_HOLD"} <= {each.name for each in found.assumptions}


def test_paths_are_told_as_people_would_write_them(project: Project) -> None:
    (nf,) = told(project).network_functions
    process, init = nf.entries
    assert (process.name, init.name) == ("nf_process", "nf_init")
    said = [each.text for each in process.events]
    assert "#1 flow_table_find(stations, ether.src) = true" in said
    assert any("length < 14" in text for text in said)
    (sent,) = [path for path in process.paths if path.outcome.startswith("sent")]
    assert (sent.outcome, sent.sent) == ("sent to device config.wan_device", ["ether.type[0] = 8"])
    assert {path.outcome for path in init.paths} >= {"returns true", "returns false"}


def test_a_property_looks_at_what_its_assumptions_leave(project: Project) -> None:
    found = told(project)
    (nf,) = found.network_functions
    looked = {each.name: each.looked_at for each in found.properties}
    outcomes = {name: {nf.entries[0].paths[at].outcome for at in places} for name, places in looked.items()}
    assert outcomes["test_short"] == {"dropped"}
    assert len(looked["test_never_floods"]) == len(nf.entries[0].paths)
    assert looked["test_nothing"] == []


def test_code_that_no_path_reaches_is_told_with_its_lines(project: Project) -> None:
    (nf,) = told(project).network_functions
    assert nf.coverage is not None
    texts = [line.text for block in nf.coverage.unreached for line in block.lines]
    assert "return NF_FLOOD;" in texts or "}" in texts, nf.coverage
    assert nf.coverage.blocks > len(nf.coverage.unreached)


def test_an_error_is_told_too(project: Project) -> None:
    project.properties("def test_it(step):\n    assert step.dropped\n", nf="nowhere", name="test_other.py")
    found = told(project)
    (error,) = [each for each in found.properties if each.verdict == "Error"]
    assert error.nf == "nowhere" and "which is not there" in error.text
    assert 'id="nf-nowhere"' in (project.path / "out/index.html").read_text()


def test_the_second_report_says_that_nothing_was_explored(project: Project) -> None:
    first, second = told(project), told(project)
    assert [each.cached for each in (*first.network_functions, *second.network_functions)] == [False, True]
    drop = {"cached": False, "explore_seconds": 0.0}
    one, other = (msgspec.structs.replace(each.network_functions[0], **drop) for each in (first, second))
    assert one == other


def test_several_processes_tell_the_same(project: Project) -> None:
    one, two = told(project), told(project, "-n", "2")
    assert {each.id: each.verdict for each in one.properties} == {each.id: each.verdict for each in two.properties}
    assert [each.entries for each in one.network_functions] == [each.entries for each in two.network_functions]
    assert two.collected == two.ran == 4


def test_the_page_holds_everything_and_refers_to_nothing(project: Project) -> None:
    told(project)
    page = (project.path / "out/index.html").read_text()
    assert "<b>short</b>" not in page and "&lt;b&gt;short&lt;/b&gt;" in page
    assert "REFUTED: never drops" in page and "CONTRACTS_HOLD" in page
    assert not [word for word in ("http://", "https://", "src=", "@import", "url(") if word in page]


def test_without_properties_there_is_a_report_that_says_so(project: Project) -> None:
    (project.path / "test_properties.py").unlink()
    project.write("test_ordinary.py", "def test_it():\n    assert True\n")
    assert told(project).properties == []
    assert "No property was judged." in (project.path / "out/index.html").read_text()


def test_ctrl_c_leaves_a_report_of_what_is_known(project: Project) -> None:
    project.properties(ENDLESS)
    project.interrupted("--vigor", "-q", "--vigor-report", "out")
    found = read(project.path / "out")
    assert [each.name for each in found.properties] == ["test_quick"]
    assert not found.complete and (found.ran, found.collected) == (1, 2)
    assert "Stopped early." in (project.path / "out/index.html").read_text()


def test_ctrl_c_over_several_processes_leaves_a_report(project: Project) -> None:
    project.properties(ENDLESS)
    project.interrupted("--vigor", "-q", "--vigor-report", "out", "-n", "1")
    assert not read(project.path / "out").complete


# ---- the form


def test_the_schema_in_the_documentation_is_the_schema() -> None:
    documented = Path(__file__).parent.parent / "docs/report.schema.json"
    assert json.loads(documented.read_text()) == schema(), "write docs/report.schema.json anew"


# ---- the picture


def entry(events: list[tuple[str, int]], lasts: list[int]) -> EntryPoint:
    return EntryPoint(
        name="nf_process",
        events=[Event(kind="condition", text=text, before=before) for text, before in events],
        paths=[Way(last=last, ending="returned", outcome="dropped") for last in lasts],
    )


def test_events_up_to_a_fork_share_a_box_and_paths_end_in_boxes_of_their_own() -> None:
    drawn = picture(entry([("a", -1), ("b", 0), ("c", 1), ("not c", 1)], [2, 3]))
    assert [[text.text for text in box.texts] for box in drawn.boxes] == [
        ["if a", "and b"], ["if c"], ["1  dropped"], ["if not c"], ["2  dropped"]
    ]  # fmt: skip
    assert [box.path for box in drawn.boxes] == [None, None, 0, None, 1]
    assert len(drawn.lines) == 4


def test_boxes_lie_below_each_other_and_inside_the_picture() -> None:
    deep = [(f"condition {k}", k - 1) for k in range(1200)]
    drawn = picture(entry(deep, list(range(1200))))
    assert drawn.left_out == 700
    assert all(one.y + one.height < other.y for one, other in zip(drawn.boxes, drawn.boxes[1:], strict=False))
    assert all(box.x > 0 and box.x + box.width <= drawn.width for box in drawn.boxes)
    assert drawn.boxes[-1].y + drawn.boxes[-1].height <= drawn.height


def test_a_text_that_is_too_long_is_cut_and_kept_whole_beside() -> None:
    (box, _) = picture(entry([("word " * 300, -1)], [0])).boxes
    assert len(box.texts) == 4 and box.texts[-1].text.endswith("…")
    assert box.texts[-1].full.count("word") == 300


def test_a_path_without_events_is_drawn() -> None:
    assert [box.path for box in picture(entry([], [-1])).boxes] == [0]
