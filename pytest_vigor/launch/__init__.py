"""Running a network function on devices: what `pytest-vigor run` does."""

from pytest_vigor.launch.process import Options, Prepared, launch, prepare

__all__ = ["Options", "Prepared", "launch", "prepare"]
