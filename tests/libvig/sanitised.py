"""Uses a library that was built with sanitisers; they want a process in which they come first.

Run as `python -m tests.libvig.sanitised LIBRARY OPERATIONS EXAMPLES`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_vigor.build import libvig_root
from pytest_vigor.compiler import find_compiler
from tests.libvig.compiled import SANITISED, Library, build, contracts
from tests.libvig.machine import run
from tests.libvig.play import Seeded, volume
from tests.libvig.readings import allocations, numbers
from tests.libvig.structures import STRUCTURES


def use(path: Path, operations: int, examples: int) -> None:
    """Random use of every structure."""
    library = Library(path, contracts())
    numbers(library, Seeded(1), 500)
    for structure in STRUCTURES:
        allocations(library, structure)
        few = structure.empty is not None
        volume(library, structure, 2, operations // 30 if few else operations)
        run(library, structure, 1 if few else examples)


def build_sanitised(out: Path, *flags: str, root: Path | None = None) -> Path:
    """Builds libVig with sanitisers; by gcc, whose runtime is where gcc says."""
    return build(out, [*SANITISED, *flags], root, cc="gcc")


def child(path: Path, operations: int, examples: int) -> subprocess.CompletedProcess[str]:
    """Runs `use` in a process of its own."""
    runtime = find_compiler("gcc").run(["-print-file-name=libasan.so"], libvig_root()).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "tests.libvig.sanitised", str(path), str(operations), str(examples)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    use(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print("agreed")
