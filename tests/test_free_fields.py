"""Of a refuting packet, what does not matter is shown as "any", and nothing else is."""

from __future__ import annotations

import pytest
from project import GATE, Project

pytest_plugins = ["pytester"]


def test_fields_that_do_not_matter_are_shown_as_any(pytester: pytest.Pytester) -> None:
    project = Project(pytester)
    project.nf(source=GATE.replace("length_bytes < 14 ||", "length_bytes < 14 || packet[11] == 0 ||"))
    project.properties("""
        def test_frames_from_inside_pass(step):
            assume(step.packet.ether and step.device != step.config.wan_device)
            assert not step.dropped
    """)
    shown = [line.split() for line in project.prove().texts["test_frames_from_inside_pass"].splitlines()]
    assert ["any", "ether.dst"] in shown
    assert ["ether.src", "00:00:00:00:00:00"] in shown
