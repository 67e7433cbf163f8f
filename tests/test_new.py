"""`pytest-vigor new`: what it writes is proved as it is, and nothing is written over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from project import Project

from pytest_vigor.build import include_flags
from pytest_vigor.command import main
from pytest_vigor.compiler import find_compiler

pytest_plugins = ["pytester"]


def test_a_new_network_function_is_proved(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(pytester)
    assert main(["new", "patch_panel"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nfs/patch_panel/patch_panel.h", "nfs/patch_panel/patch_panel.c", "nfs/patch_panel/README.md",
        "properties/test_patch_panel.py", "", "Prove its properties:  pytest --vigor properties/test_patch_panel.py",
    ]  # fmt: skip
    ran = project.prove("properties/test_patch_panel.py")
    assert set(ran.outcomes.values()) == {"passed"}, ran.output
    assert {"test_frames_cross", "test_runts_are_dropped", "test_respects[memory]"} <= set(ran.outcomes)


@pytest.mark.parametrize(
    "before, after, failing",
    [
        ("return nf_state.left_device;", "return nf_state.right_device;", "test_frames_cross"),
        ("net_ether(packet, length_bytes) == NULL", "packet == NULL || length_bytes < 7", "test_runts_are_dropped"),
        ("config->left_device >= device_count", "config->left_device > device_count", "test_respects[result]"),
    ],
)
def test_its_properties_catch_what_goes_wrong(
    pytester: pytest.Pytester, before: str, after: str, failing: str
) -> None:
    project = Project(pytester)
    main(["new", "panel"])
    source = project.path / "nfs/panel/panel.c"
    assert before in source.read_text()
    source.write_text(source.read_text().replace(before, after))
    ran = project.prove()
    assert ran.verdict(failing) == "Refuted"
    assert "CONFIRMED" in ran.said(failing)


def test_a_new_network_function_compiles_without_a_warning(tmp_path: Path) -> None:
    assert main(["new", "panel", "--into", str(tmp_path)]) == 0
    source = tmp_path / "nfs/panel/panel.c"
    strict = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-fsyntax-only"]
    subprocess.run([*find_compiler().command, *strict, *include_flags(), source], check=True)


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "properties/test_panel.py"
    kept.parent.mkdir()
    kept.write_text("# mine\n")
    assert main(["new", "panel", "--into", str(tmp_path)]) == 1
    assert "test_panel.py is there already" in capsys.readouterr().err
    assert kept.read_text() == "# mine\n" and not (tmp_path / "nfs").exists()


@pytest.mark.parametrize("name", ["Panel", "2fast", "../panel", "rate-limiter", ""])
def test_names_are_those_of_c(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", name, "--into", str(tmp_path)]) == 1
    assert "is no name for a network function" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
