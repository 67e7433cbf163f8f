"""Writes the outputs that the documentation shows: ``python docs/outputs.py``, or ``--check`` to compare only.

An output stands between ``<!-- output: NAME -->`` and ``<!-- end -->``. Each is what pytest really prints for a project
that is made up here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- output: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
FENCED = re.compile(r"^```(\w+)(?: ([\w/.]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def shipped(folder: Path, name: str, replace: tuple[str, str] | None = None) -> None:
    """Puts one of this repository's network functions there, with the last place of some text changed."""
    shutil.copytree(ROOT / "nfs" / name, folder / "nfs" / name, ignore=shutil.ignore_patterns("*.so", ".vigor"))
    if replace is not None:
        source = folder / "nfs" / name / f"{name}.c"
        before, found, after = source.read_text().rpartition(replace[0])
        assert found, f"{source} does not say {replace[0]}"
        source.write_text(before + replace[1] + after)


def property_of(document: str, function: str) -> str:
    """The code block of a document that defines a function."""
    blocks = [text for _, _, text in FENCED.findall((ROOT / document).read_text()) if f"def {function}(" in text]
    assert len(blocks) == 1, f"{document} has {len(blocks)} blocks with {function}"
    return str(blocks[0])


def no_loop(folder: Path) -> str:
    """The README's property of a bridge that forgets to look where a frame came from."""
    shipped(folder, "bridge", ("return output == device ? NF_DROP : (int) output;", "return (int) output;"))
    (folder / "properties").mkdir()
    (folder / "properties" / "test_bridge.py").write_text(property_of("README.md", "test_no_loop"))
    return "test_no_loop"


def undescribed(folder: Path) -> str:
    """A NOP that calls a function without a contract."""
    shipped(folder, "nop", ("return device ^ 1;", "return peer_of(device);"))
    source = folder / "nfs/nop/nop.c"
    source.write_text(source.read_text().replace("\nbool nf_init", "\nint peer_of(uint16_t device);\n\nbool nf_init"))
    (folder / "test_nop.py").write_text(
        'import pytest\n\n\n@pytest.mark.nf("nop")\ndef test_never_floods(step):\n    assert not step.flooded\n'
    )
    return "test_never_floods"


SCENARIOS: dict[str, Callable[[Path], str]] = {"no_loop": no_loop, "undescribed": undescribed}


def output(name: str) -> str:
    """What pytest prints about the one failing test of a scenario."""
    with tempfile.TemporaryDirectory() as temporary:
        test = SCENARIOS[name](Path(temporary))
        command = [sys.executable, "-m", "pytest", "--vigor", "-q", "-k", test, "-p", "no:cacheprovider"]
        printed = subprocess.run(command, cwd=temporary, capture_output=True, text=True)
        found = re.search(rf"^_+ {test} _+\n(.*?)^(?:-+ vigor -+|=+ short)", printed.stdout, re.DOTALL | re.MULTILINE)
        assert printed.returncode == 1 and found, printed.stdout + printed.stderr
    return found.group(1).rstrip() + "\n"


def stable(text: str) -> str:
    """An output without what differs from one compiler to the next."""
    return re.sub(r"^C lines on the way\n.*?\n\n", "", text, flags=re.DOTALL | re.MULTILINE)


def main() -> int:
    """Rewrites or compares all documents; 1 if one has to change."""
    check = "--check" in sys.argv[1:]
    outdated = []
    for document in DOCUMENTS:
        text = document.read_text()

        def renewed(found: re.Match[str], document: Path = document) -> str:
            fresh = f"```text\n{output(found[2])}```\n"
            if stable(fresh) != stable(found[3]):
                outdated.append(f"{document.name}: {found[2]}")
                return found[1] + fresh + found[4]
            return found[0]

        new = MARKED.sub(renewed, text)
        if new != text and not check:
            document.write_text(new)
    if outdated:
        print("\n".join(outdated))
        print("is not what is printed now: run `python docs/outputs.py`" if check else "written anew")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
