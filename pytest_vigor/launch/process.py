"""Starts a runtime with an NF, watches it, and ends it."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pytest_vigor.build import binary_of, build_libvig, build_runtime, libvig_root
from pytest_vigor.errors import RunError
from pytest_vigor.headers import Header, read_header
from pytest_vigor.launch.acceptance import Libraries, check
from pytest_vigor.launch.configuration import Call, read_configuration
from pytest_vigor.launch.counters import Counters, Phase
from pytest_vigor.launch.view import rates, totals

#: As `struct set_up_call` in nf.c: a function's name and the size of its argument, which follows padded.
_SET_UP = struct.Struct("<60sI")
_SET_UP_ALIGNMENT = 16

#: Whose entries a runtime can count.
_COUNTED = ("flow_table", "index_pool", "map")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_UNPRIVILEGED = "nobody"
_HUGEPAGES_MIN = 128
_START_POLL_S, _WATCH_S = 0.01, 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What `pytest-vigor run` was told."""

    nf: str
    config: Path
    io: str
    devices: tuple[str, ...]
    burst: int = 32
    time_per: str = "burst"
    core: int | None = None
    user: str | None = None
    metrics_port: int | None = None
    quiet: bool = False
    eal: tuple[str, ...] = ()
    only_check: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """An NF that only waits to be started with `command`."""

    name: str
    command: tuple[str, ...]
    counters: Counters
    tables: tuple[str, ...]


def launch(options: Options) -> int:
    """Runs an NF until it is told to stop; returns the exit status."""
    if options.only_check:
        libraries, _, _ = _checked(options)
        print(f"{libraries.nf.name} accepts {options.config} with {len(options.devices)} devices")
        return 0
    with tempfile.TemporaryDirectory(prefix="pytest-vigor-") as temporary:
        prepared = prepare(options, Path(temporary))
        process = subprocess.Popen(prepared.command)
        with _ended_with_us(process):
            return _Watch(options, prepared, process).run()


def prepare(options: Options, folder: Path) -> Prepared:
    """Builds what is needed, asks the NF whether it agrees, and writes what it has to be told into a folder."""
    libraries, header, calls = _checked(options)
    runtime = build_runtime(options.io)
    set_up, counted = folder / "set_up", folder / "counters"
    set_up.write_bytes(b"".join(map(_call_bytes, calls)))
    command = [
        *_command(options, runtime, libraries, header),
        f"--setup={set_up}",
        f"--counters={counted}",
        "--",
        *options.devices,
    ]
    return Prepared(libraries.nf.stem, tuple(command), Counters(counted), tuple(_tables(header)))


def _checked(options: Options) -> tuple[Libraries, Header, tuple[Call, ...]]:
    if not options.devices:
        raise RunError("there are no devices", "give each with --device, in the order that the NF knows them by")
    folder = nf_folder(options.nf)
    libraries = Libraries(binary_of(folder), build_libvig())
    header = read_header(folder / f"{folder.name}.h", [libvig_root()])
    calls = read_configuration(options.config, header, len(options.devices))
    check(libraries, header, calls, len(options.devices))
    return libraries, header, calls


def nf_folder(name: str) -> Path:
    """The folder of the NF: that of this path, or of this name under nfs/."""
    for folder in (Path(name), Path("nfs") / name):
        if (folder / f"{folder.resolve().name}.c").is_file():
            return folder.resolve()
    raise RunError(f"there is no network function {name}", f"name its folder, or put it into nfs/{name}/{name}.c")


def _call_bytes(call: Call) -> bytes:
    name = call.function.encode()
    if len(name) >= 60:
        raise RunError(f"the name {call.function} is too long", "use at most 59 characters")
    padded = call.argument + b"\0" * (-len(call.argument) % _SET_UP_ALIGNMENT)
    return _SET_UP.pack(name, len(call.argument)) + padded


def _tables(header: Header) -> dict[str, str]:
    """By name in the state, what tells the runtime where a table is."""
    return {
        each.name: f"{each.kind}:{each.offset}:{each.key.size_bytes if each.key is not None else 0}"
        for each in header.state_objects
        if each.kind in _COUNTED
    }


def _command(options: Options, runtime: Path, libraries: Libraries, header: Header) -> list[str]:
    user = options.user
    # DPDK's drivers may need root to the end; whoever knows that theirs do not says so.
    if user is None and options.io == "linux" and os.geteuid() == 0:
        user = _UNPRIVILEGED
    command = [str(runtime), f"--nf={libraries.nf}", f"--libvig={libraries.libvig}"]
    command += [f"--burst={options.burst}", f"--time={options.time_per}", "--with-parent"]
    command += [f"--table={place}" for place in _tables(header).values()]
    command += [f"--core={options.core}"] if options.core is not None else []
    command += [f"--user={user}"] if user is not None else []
    if options.io == "dpdk":
        command += [f"--io={each}" for each in (*_memory(options.eal), *options.eal)]
    return command


def _memory(eal: Sequence[str]) -> list[str]:
    """Where DPDK is to keep its frames, unless it has been told; and that no other process is to share them."""
    told = any(each.startswith(("--no-huge", "--in-memory", "--huge", "-m", "--socket-mem")) for each in eal)
    arguments = ["--no-telemetry", f"--file-prefix=vigor-{os.getpid()}"]
    if told:
        return arguments
    free = re.search(r"HugePages_Free: +(\d+)", Path("/proc/meminfo").read_text())
    enough = free is not None and int(free[1]) >= _HUGEPAGES_MIN
    return [*arguments, *(["--in-memory"] if enough else ["--no-huge", "-m", "512"])]


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Passes on signals that end us, as a runtime then ends by itself; kills it if anything else goes wrong."""

    def pass_on(number: int, _: object) -> None:
        if process.poll() is None:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class _Watch:
    """A running runtime, seen from outside."""

    options: Options
    prepared: Prepared
    process: subprocess.Popen[bytes]

    def run(self) -> int:
        """Waits for the end."""
        name, devices, tables = self.prepared.name, self.options.devices, self.prepared.tables
        while self.prepared.counters.read().phase == Phase.STARTING and self.process.poll() is None:
            time.sleep(_START_POLL_S)
        if self.options.metrics_port is not None and self.process.poll() is None:
            from pytest_vigor.launch.metrics import serve

            serve(self.options.metrics_port, name, devices, tables, self.prepared.counters.read)
        if self.prepared.counters.read().phase != Phase.STARTING:
            print(f"{name} runs on {', '.join(devices)}", file=sys.stderr, flush=True)
        self._show_until_the_end()
        status = self.process.wait()
        snapshot = self.prepared.counters.read()
        if snapshot.phase != Phase.STARTING:
            print(totals(devices, tables, snapshot), flush=True)
        if status < 0:
            ended = signal.Signals(-status).name
            raise RunError(f"the runtime of {name} was ended by {ended}", "run it under a debugger, or report it")
        return status

    def _show_until_the_end(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        live = Live(console=console, auto_refresh=False)
        shown = console.is_terminal and not self.options.quiet
        with live if shown else nullcontext():
            old, then = self.prepared.counters.read(), time.monotonic()
            while True:
                try:
                    self.process.wait(_WATCH_S)
                    return
                except subprocess.TimeoutExpired:
                    new, now = self.prepared.counters.read(), time.monotonic()
                    if shown and new.devices:
                        title = f"{self.prepared.name} ({new.phase.name.lower()})"
                        live.update(
                            rates(title, self.options.devices, self.prepared.tables, old, new, now - then), refresh=True
                        )
                    old, then = new, now
