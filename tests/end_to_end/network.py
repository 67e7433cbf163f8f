"""Machines made of network namespaces and cables made of veth pairs."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = itertools.count()

#: The kernel would have a network card finish checksums and cut up segments; at the end of a veth pair there is none.
_OFFLOADS = ("tx", "off", "tso", "off", "gso", "off", "gro", "off", "rxvlan", "off", "txvlan", "off")


def missing(*tools: str) -> str | None:
    """Why machines cannot be made here, or None if they can."""
    absent = [tool for tool in ("ip", "ethtool", *tools) if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"vigor-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        return f"the kernel refuses network namespaces: {made.stderr.strip()}"
    cable = ["ip", "-n", name, "link", "add", "left", "type", "veth", "peer", "name", "right"]
    pair = subprocess.run(cable, capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None if pair.returncode == 0 else f"the kernel refuses veth pairs: {pair.stderr.strip()}"


@dataclass(frozen=True)
class Plug:
    """One end of a cable: an interface of a machine."""

    machine: Machine
    name: str
    mac: str


class Machine:
    """A network namespace, and the processes that were started in it."""

    def __init__(self, name: str) -> None:
        self.name = f"vigor-{os.getpid()}-{next(_NUMBERS)}-{name}"
        self.processes: list[subprocess.Popen[str]] = []
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        # Nobody is to be heard who was not asked to speak.
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *words: str) -> list[str]:
        """What to run for a command to run in this machine."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str, check: bool = True, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout_s)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def start(self, *words: str, **options: object) -> subprocess.Popen[str]:
        """Starts a command that goes on until this machine is removed."""
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
        process = subprocess.Popen(self.command(*words), text=True, **streams)  # type: ignore[call-overload]
        self.processes.append(process)
        return process  # type: ignore[no-any-return]

    def address(self, plug: Plug, address: str) -> None:
        """Gives an interface an address, such as 10.0.0.1/24."""
        self.run("ip", "addr", "add", address, "dev", plug.name)

    def route(self, destination: str, plug: Plug, via: str, mac: str) -> None:
        """Sends what is for a destination to a neighbour, who need not answer ARP."""
        self.run("ip", "neigh", "replace", via, "lladdr", mac, "dev", plug.name, "nud", "permanent")
        self.run("ip", "route", "replace", destination, "via", via, "dev", plug.name, "onlink")

    def serve(self, folder: Path, port: int = 80) -> None:
        """Starts a web server for a folder."""
        self.start("python3", "-m", "http.server", str(port), "--directory", str(folder))
        self.listens(port)

    def listens(self, port: int) -> None:
        """Waits until somebody does."""
        wait_until(lambda: f":{port} " in self.run("ss", "-Hltn").stdout, f"port {port} of {self.name}")

    def remove(self) -> None:
        """Ends everything that was started here."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=True)


class Network:
    """Makes machines and cables, and removes them."""

    def __init__(self) -> None:
        self.machines: list[Machine] = []
        self._cables = itertools.count(1)

    def machine(self, name: str) -> Machine:
        """A new machine."""
        made = Machine(name)
        self.machines.append(made)
        return made

    def cable(self, one: Machine, other: Machine) -> tuple[Plug, Plug]:
        """A new cable between two machines."""
        number = next(self._cables)
        ends = (Plug(one, f"left{number}", mac(number, 1)), Plug(other, f"right{number}", mac(number, 2)))
        left, right = ends
        first = ["ip", "link", "add", left.name, "netns", one.name, "address", left.mac, "type", "veth"]
        subprocess.run([*first, "peer", "name", right.name, "netns", other.name, "address", right.mac], check=True)
        for plug in ends:
            plug.machine.run("ethtool", "-K", plug.name, *_OFFLOADS)
            plug.machine.run("ip", "link", "set", plug.name, "up")
        return ends

    def remove(self) -> None:
        """Removes everything."""
        for machine in self.machines:
            machine.remove()


def mac(*numbers: int) -> str:
    """A locally administered address of one's own."""
    return ":".join(f"{byte:02x}" for byte in (2, *(0 for _ in range(5 - len(numbers))), *numbers))


def wait_until(true: Callable[[], bool], what: str, timeout_s: float = 15) -> None:
    """Waits for something to come true."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
