"""Failures kept for later: a folder for each, with a trace, the packets for Wireshark, and a test that replays it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from pytest_vigor import __version__, capture
from pytest_vigor.counterexample import Counterexample
from pytest_vigor.errors import CaptureError, VigorError

FORMAT = 1
TRACE, PACKETS, TEST = "trace.json", "packets.pcapng", "test_replay.py"


class Saved(msgspec.Struct, frozen=True):
    """What trace.json holds: a counterexample to a property of a network function."""

    format: int
    version: str
    nf: str
    property: str  #: its node id, from the root folder
    claim: str
    counterexample: dict[str, Any]


def keep(folder: Path, nf: str, property_: str, claim: str, example: Counterexample) -> Path:
    """Writes all of a failure into a folder of its own; returns that."""
    own = folder / f"{nf}-{_slug(property_.rpartition('::')[2])}"
    own.mkdir(parents=True, exist_ok=True)
    saved = Saved(FORMAT, __version__, nf, property_, claim, example.to_json())
    (own / TRACE).write_bytes(msgspec.json.format(msgspec.json.encode(saved), indent=1) + b"\n")
    (own / TEST).write_text(
        _TEST.format(claim=_quoted(claim), nf=nf, property=property_, name=_name(property_))
    )
    if capture.can_capture():
        capture.write(own / PACKETS, example.situation, example.run)
    return own


def load(path: Path) -> Saved:
    """A saved trace."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=Saved)
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({error.strerror})", "check its name") from error
    except msgspec.MsgspecError as error:
        raise CaptureError(f"{path} is no trace of pytest-vigor's ({error})", "give a trace.json or a pcap") from error
    if saved.format != FORMAT:
        what = f"{path} was written by pytest-vigor {saved.version}, in another format"
        raise CaptureError(what, "have it written again by this version")
    return saved


def counterexample(path: Path, saved: Saved) -> Counterexample:
    """The counterexample in a trace."""
    try:
        return Counterexample.from_json(saved.counterexample)
    except (KeyError, TypeError, ValueError, VigorError) as error:
        raise CaptureError(f"{path} is damaged ({error!r})", "have it written again") from error


def _slug(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-.")


def _name(property_: str) -> str:
    return re.sub(r"\W+", "_", property_.rpartition("::")[2]).strip("_").removeprefix("test_")


def _quoted(claim: str) -> str:
    return claim.replace("\\", "\\\\").replace('"', '\\"')


_TEST = '''"""{claim}

Replays trace.json, which lies beside this file, on the network function {nf} as it is now; fails until that is fixed.
Both may be kept anywhere in the project, and run on any machine.
"""

import subprocess
import sys
from pathlib import Path

PROPERTY = {property!r}
TRACE = Path(__file__).resolve().with_name("trace.json")


def test_{name}_is_fixed(pytestconfig):
    places = [*TRACE.parents, pytestconfig.rootpath, Path.cwd(), *Path.cwd().parents]
    root = next((place for place in places if (place / PROPERTY.partition("::")[0]).is_file()), None)
    assert root is not None, f"no folder above {{TRACE}} or {{Path.cwd()}} has {{PROPERTY}}: run this in its project"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(root),
               "--vigor-replay", str(TRACE), PROPERTY]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0 and "trace.json on {nf}: FIXED" in ran.stdout, ran.stdout + ran.stderr
'''
