"""What every network function keeps to, whatever it is for."""

from pathlib import Path

import pytest

NFS = Path(__file__).resolve().parent.parent / "nfs"
NAMES = sorted(nf.name for nf in NFS.iterdir() if (nf / f"{nf.name}.c").is_file() and (nf / f"{nf.name}.h").is_file())

pytestmark = pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.nf(name)) for name in NAMES])


def test_memory(step, name):
    """Every access stays inside the memory that it is meant for, so nothing but the frame's own bytes is ever sent: no
    overflow, no stray pointer, no null pointer."""
    assert step.respects("memory")


def test_initialised(step, name):
    """Nothing depends on the content of memory that was never written, and none of it is sent."""
    assert step.respects("initialised")


def test_contracts(step, name):
    """Every call into libVig meets what the function requires, and every record on loan is given back."""
    assert step.respects("contract")


def test_division(step, name):
    """No division by zero, and no quotient that does not fit."""
    assert step.respects("division")


def test_jumps(step, name):
    """Control flow only ever goes to code: no wild function pointer, no overwritten return address."""
    assert step.respects("jump")


def test_no_crash(step, name):
    """No abort, no failed assert, no illegal instruction."""
    assert step.respects("crash")


def test_termination(step, name):
    """Every frame is dealt with in finitely many steps."""
    assert step.respects("termination")


def test_result(step, name):
    """The answer is a device that exists, NF_DROP or NF_FLOOD."""
    assert step.respects("result")
