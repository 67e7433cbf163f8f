"""What goes with a refutation for people to read: the failed assert's place, and the C lines of a path."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_vigor.binary import load
from pytest_vigor.evidence import failed_assert
from pytest_vigor.layout import IMAGE_BASE
from pytest_vigor.lines import Lines, source


def failing(text: str, path: Path) -> AssertionError:
    """The error that the function `claim` of a module raises."""
    path.write_text(text)
    names: dict[str, Callable[[], None]] = {}
    exec(compile(text, str(path), "exec"), names)
    with pytest.raises(AssertionError) as caught:
        names["claim"]()
    return caught.value


def test_failed_assert_is_quoted_whole(tmp_path: Path) -> None:
    text = "def claim():\n    number = 2\n    assert (\n        number\n        == 3\n    )\n"
    place = failed_assert(failing(text, tmp_path / "test_it.py"))
    assert place is not None
    assert (place.line, place.function) == (3, "claim")
    assert place.text == "assert (\n    number\n    == 3\n)"


def test_failed_assert_is_that_of_a_function_that_the_property_calls(tmp_path: Path) -> None:
    text = "def inner(x):\n    assert x\n\ndef claim():\n    inner(0)\n"
    place = failed_assert(failing(text, tmp_path / "test_it.py"))
    assert place is not None and str(place).endswith("test_it.py:2 in inner")


def test_paths_below_the_current_folder_are_shown_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = failing("def claim():\n    assert False\n", tmp_path / "test_it.py")
    monkeypatch.chdir(tmp_path)
    place = failed_assert(error)
    assert place is not None and place.file == "test_it.py"
    monkeypatch.chdir("/")
    place = failed_assert(error)
    assert place is not None and (tmp_path / "test_it.py").samefile(place.file)


def test_no_error_has_no_place() -> None:
    assert failed_assert(None) is None


C = """
static inline int twice(int x)
{
    return x + x;
}
extern int beyond(int x);
int nf_process(int x)
{
    int y = beyond(x);
    if (y == 7) {
        return beyond(twice(y) * 3);
    }
    return y;
}
int nf_init(int x) { return x; }
"""


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_lines_of_a_block_are_those_of_its_statements(cc: str, tmp_path: Path) -> None:
    if shutil.which(cc) is None:
        pytest.skip(f"{cc} is not installed")
    (tmp_path / "nf.c").write_text(C)
    command = [cc, "-O2", "-g", "-shared", "-fPIC", "-Wl,-z,defs", "-Wl,--unresolved-symbols=ignore-all", "nf.c"]
    subprocess.run([*command, "-o", "nf.so"], cwd=tmp_path, check=True)
    lines = Lines(tmp_path / "nf.so")
    start = load(tmp_path / "nf.so", required=()).exports["nf_process"]
    found = [*lines.statements(start, start + 24)]
    assert {line.function for line in found} <= {"nf_process", "twice"}
    assert any("int y = beyond(x)" in source(line) for line in found)
    assert [line.heading for line in found if source(line).startswith("int nf_process")] in ([], [True])


def test_blocks_outside_of_the_code_have_no_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no ELF")
    assert not [*Lines(tmp_path / "file").statements(IMAGE_BASE, IMAGE_BASE + 16)]
