"""The tutorial, followed to the letter in an environment of its own, gives what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_tutorial_gives_what_it_says(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "docs/tutorial.py", tmp_path, "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "report/index.html").is_file()
    installed = next((tmp_path / ".venv").glob("lib/python*/site-packages/pytest_vigor/__init__.py"))
    assert installed.is_relative_to(tmp_path)  # what was installed was run, and not the checkout
    assert not (ROOT / "properties" / "test_door.py").exists()
