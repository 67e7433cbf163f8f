"""The one way in which the interpreter declines."""

from __future__ import annotations


class Unmodelled(Exception):
    """Code that means something the interpreter does not describe: ``what`` names it. Nothing is ever guessed."""

    def __init__(self, what: str, address: int | None = None) -> None:
        super().__init__(what, address)
        self.what = what
        self.address = address

    def __str__(self) -> str:
        return self.what if self.address is None else f"{self.what} at {self.address:#x}"
