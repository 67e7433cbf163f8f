"""The documentation site: built without a warning, with every function of libVig, and with nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_page_is_there(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}


def test_the_reference_has_every_function_of_libvig(site: Path) -> None:
    table = (ROOT / "libvig/README.md").read_text().split("\n\n")[2:]
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", " ".join(table)))
    text = re.sub(r"<[^>]+>", "", (site / "libvig.html").read_text())
    assert len(names) > 30
    assert not sorted(name for name in names if name not in text)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]+src="([^"]+)"', page.read_text())
        loaded += re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="([^"]+)"', page.read_text())
        assert loaded and not [each for each in loaded if "//" in each], page.name


def test_pages_do_not_say_how_they_are_marked_up(site: Path) -> None:
    for page in site.glob("*.html"):
        text = re.sub(r"<(pre|code)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        assert "```" not in text and "<!-- the reference" not in text, page.name
