"""Running a network function on devices: what `pytest-vigor run` does."""

from pytest_vigor.launch.process import Options, launch

__all__ = ["Options", "launch"]
