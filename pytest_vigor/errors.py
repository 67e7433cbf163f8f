"""What can be wrong with what a user gave us: each error names the thing and says what to do about it."""

from __future__ import annotations


class VigorError(Exception):
    """A problem that the user can solve.

    `what` names the thing and its problem, `remedy` is one line on what to do, `detail` is another program's output.
    """

    def __init__(self, what: str, remedy: str, detail: str = "") -> None:
        # All go to Exception, so that the error survives pickling between pytest-xdist's processes.
        super().__init__(what, remedy, detail)
        self.what = what
        self.remedy = remedy
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" + (f"\n{self.detail}" if self.detail else "")


class BinaryError(VigorError):
    """A shared object that cannot be loaded."""


class HeaderError(VigorError):
    """A C header that cannot be read, or that declares something that has no place in a network function."""


class BuildError(VigorError):
    """A build that failed, or a machine that lacks what it takes to build."""


class LayoutError(VigorError):
    """A description of C data, such as one from a cache, that makes no sense."""


class ContractError(VigorError):
    """A contract that contradicts another one, or that cannot be read."""


class ConfigurationError(VigorError):
    """A configuration file that cannot be read, or that says what a network function cannot be told."""


class RunError(VigorError):
    """A network function that could not be started, or that did not end as it was told to."""


class CaptureError(VigorError):
    """A file of packets, or a saved trace, that cannot be used."""
