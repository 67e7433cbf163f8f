"""A user's project for the tests of the plugin: tiny network functions, properties, and pytest run on them."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from textwrap import dedent
from typing import Any

import pytest

import pytest_vigor
from pytest_vigor.build import FLAGS, build_nf

# Runs of pytest inside this process put sys.modules back as it was. Extension modules cannot be loaded twice, and what
# is loaded anew each time mostly stays in memory.
LIBRARIES = (
    "archinfo", "elftools.elf.elffile", "filelock", "msgspec", "pyvex", "rich.console", "scapy.all", "z3",
)  # fmt: skip
for module in (*LIBRARIES, *(found.name for found in walk_packages(pytest_vigor.__path__, "pytest_vigor."))):
    import_module(module)

#: A property that is judged at once, and one that never is.
ENDLESS = """
    import os

    def test_quick(step):
        assert not step.flooded

    def test_endless(step):
        open("begun", "w").close()
        while True:
            if step.packet.length == 14:
                pass
"""

GATE_HEADER = """
    #ifndef GATE_H
    #define GATE_H
    #include "nf.h"
    struct nf_config { uint16_t wan_device; };
    struct nf_state { uint16_t wan_device; };
    extern VIGOR_API struct nf_state nf_state;
    #endif
"""

# Sends what comes from inside to the outside, and drops what comes from there.
GATE = """
    #include "{name}.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        nf_state.wan_device = config->wan_device;
        return config->wan_device < device_count;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) packet;
        (void) now;
        if (length_bytes < 14 || device == nf_state.wan_device) {
            return NF_DROP;
        }
        return nf_state.wan_device;
    }
"""


def calling(answer: str) -> str:
    """A gate that answers with what it makes of a function that nobody describes."""
    declared = GATE.replace("struct nf_state", "uint16_t mystery(uint16_t value);\n    struct nf_state", 1)
    return declared.replace("return nf_state.wan_device;", f"return {answer};")


def heed_interrupts() -> None:
    """For a process that is to be stopped by Ctrl-C: what runs the tests may ignore that, which is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Ran:
    """What a run of pytest in this process came to."""

    status: int
    outcomes: dict[str, str]  #: by test name: passed, failed, error or skipped
    texts: dict[str, str]  #: by test name: what is shown of a failure, or the reason of a skip
    records: dict[str, dict[str, Any]]  #: by test name: what the plugin notes in the report
    output: str = field(repr=False)

    def verdict(self, name: str) -> str:
        """What was said of a property."""
        return str(self.records[name]["verdict"])

    def said(self, name: str) -> str:
        """What is shown of a test, on one line however it was wrapped."""
        return " ".join(self.texts[name].split())


ALWAYS_THE_SAME = """
    from hypothesis import settings

    settings.register_profile("same", derandomize=True, database=None)
    settings.load_profile("same")
"""


class Project:
    """A folder of one's own, with pytest-vigor installed."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester, self.path = pytester, pytester.path
        pytester.makeini("[pytest]\naddopts = --strict-markers -p no:hypothesispytest")

    def nf(self, name: str = "gate", source: str = GATE, header: str = GATE_HEADER) -> Path:
        """Writes nfs/NAME/NAME.c and its header; returns the folder."""
        folder = self.path / "nfs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.c").write_text(dedent(source).replace("{name}", name))
        (folder / f"{name}.h").write_text(dedent(header))
        return folder

    def binary(self, name: str, folder: str, *flags: str) -> Path:
        """Builds an NF of this project into a folder that nobody searches for NFs."""
        (self.path / folder).mkdir(exist_ok=True)
        source, out = self.path / "nfs" / name / f"{name}.c", self.path / folder / f"{name}.so"
        return build_nf([source], out, flags=[*FLAGS, *flags])

    def write(self, name: str, text: str) -> Path:
        """Writes a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def properties(self, body: str, nf: str = "gate", name: str = "test_properties.py") -> Path:
        """Writes a file of properties of one NF."""
        head = f'import pytest\nfrom pytest_vigor import FLOOD, assume\n\npytestmark = pytest.mark.nf("{nf}")\n\n'
        return self.write(name, head + dedent(body))

    def run(self, *arguments: str) -> Ran:
        """Runs pytest in this process."""
        found = self.pytester.runpytest_inprocess("-ra", *arguments)
        outcomes: dict[str, str] = {}
        texts: dict[str, str] = {}
        records: dict[str, dict[str, Any]] = {}
        for report in found.reprec.getreports("pytest_runtest_logreport"):  # type: ignore[attr-defined]
            name = report.nodeid.split("::")[-1]
            if report.when == "call" or report.outcome != "passed":
                outcomes[name] = "error" if report.when != "call" and report.failed else report.outcome
                texts[name] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
                for key, value in report.user_properties:
                    if key == "vigor":
                        records[name] = json.loads(value)
        ran = Ran(int(found.ret), outcomes, texts, records, found.stdout.str())
        gc.collect()  # much of z3's memory may hang on few objects
        return ran

    def prove(self, *arguments: str) -> Ran:
        """Runs ``pytest --vigor`` in this process."""
        return self.run("--vigor", *arguments)

    def command(self, *arguments: str) -> Sequence[str]:
        """What to type to run pytest in a process of its own."""
        return [sys.executable, "-m", "pytest", *arguments]

    def interrupted(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs pytest until some time after a property has written a file ``begun``, then stops it as Ctrl-C does."""
        process = subprocess.Popen(
            self.command(*arguments), cwd=self.path, stdout=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=heed_interrupts,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not (self.path / "begun").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        time.sleep(1.5)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def cached(self) -> list[Path]:
        """The files of stored Behaviours."""
        return sorted((self.path / ".pytest_cache/d/vigor").glob("*.json"))

    def proofs(self) -> list[Path]:
        """The files of stored proofs."""
        return sorted((self.path / ".pytest_cache/d/vigor/proofs").glob("*.json"))

    @property
    def environment(self) -> dict[str, str]:
        """For processes of their own."""
        return {**os.environ, "COLUMNS": "160"}
