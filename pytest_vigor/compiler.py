"""Finding and running the C compiler."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_vigor.errors import BuildError

CANDIDATES = ("cc", "gcc", "clang")


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: the command that runs it, arguments included, as in CC="ccache gcc"."""

    command: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Changes when the compiler does. Its files stand for its version, because asking it costs a process."""
        parts = list(self.command)
        for part in self.command:
            found = shutil.which(part)
            if found:
                status = Path(found).resolve().stat()
                parts.append(f"{Path(found).resolve()}:{status.st_size}:{status.st_mtime_ns}")
        return " ".join(parts)

    def run(self, arguments: list[str], folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs the compiler to its end; the caller looks at the exit status."""
        # Messages get parsed and shown beside our own, which are in English.
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        try:
            return subprocess.run(
                [*self.command, *arguments],
                cwd=folder,
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
                check=False,
            )
        except OSError as error:
            raise BuildError(f"the C compiler {self.command[0]} does not run ({error})", REMEDY) from error


REMEDY = "install one with `apt-get install gcc libc6-dev`, or name yours in the environment variable CC"


def find_compiler(command: str | None = None) -> Compiler:
    """The compiler of that name, or the one that CC names, or the machine's own."""
    command = command or os.environ.get("CC")
    if command and command.strip():
        parts = tuple(shlex.split(command))
        if shutil.which(parts[0]) is None:
            raise BuildError(f"the C compiler {parts[0]} is not there", REMEDY)
        return Compiler(parts)
    for candidate in CANDIDATES:
        if shutil.which(candidate) is not None:
            return Compiler((candidate,))
    raise BuildError("this machine has no C compiler", REMEDY)


_TELLING = ("error:", "undefined reference", "in expansion of macro", "expanded from macro")


def first_errors(message: str, count: int = 5) -> str:
    """The lines of a compiler's output that say what is wrong and which macro was used there, or its first ones if it
    never says "error"."""
    lines = [line for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if any(word in line for word in _TELLING)]
    return "\n".join((errors or lines)[:count])
