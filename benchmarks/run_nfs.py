"""What a frame costs: ``python benchmarks/run_nfs.py [NF ...]``.

Runs each network function on DPDK with the generator of generator/ in its own process: 64-byte frames, one core,
tables 90 % full, bursts of 1 and 32. What is measured is the thread's processor time per frame, with all that DPDK,
the generator and the loop around the network function cost.

Each round runs, in turn and in changing order, on the same traffic: the NF, our NOP, our NOP again (how far two runs
of the same thing are apart is printed as A/A), and the peers that were given; beside NOP, DPDK's testpmd in io mode if
it is installed. Ratios are within a round. Printed are medians [and the quartiles around them] over the rounds.

``--load`` adds what happens at a rate, on a clock that leaves out the machine's stalls (generator/pace.c says how): the
highest rate at which less than one frame in a thousand is lost, and the median and the 90th percentile of the time from
a frame's arrival to its transmission at four fifths of that rate.

``--plots FOLDER`` measures other sizes and occupancies of tables, too (needs matplotlib: ``pip install -e
.[benchmark]``). It leaves there cost_by_occupancy.svg, cost_by_size.svg, and the tables as measured.md.

``--peer NF NAME COMMAND`` names another implementation, such as FastClick's, that uses DPDK's net_null0 and net_null1;
in COMMAND, {burst} and {core} are filled in. It must take the devices with ``no-rx=1``.

Run as root it takes its core for itself (SCHED_FIFO), and repeats what was interrupted all the same: on a machine with
other work, caches are cold otherwise, and what is measured is the other work.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from pytest_vigor.build import build_nf, dpdk_flags
from pytest_vigor.launch import Options, prepare

ROOT = Path(__file__).resolve().parent.parent
DEVICES = ("net_null0,no-rx=1", "net_null1,no-rx=1")
EAL = ("--no-pci", "--no-huge", "-m", "256", "--log-level=error")
CAPACITY, OCCUPANCY = 65_536, 0.9
WINDOWS = 3
#: A measurement counts if the thread had its processor for so much of the time; otherwise the run is repeated.
SHARE_MIN, ATTEMPTS = 0.98, 3
LOSS_MAX, KNEE_PRECISION, LOAD = 0.001, 1.05, 0.8
PRIORITY = 10
SECONDS_MAX = 120
LIFE_NS = 1_000_000_000_000  # nothing expires while it is measured

LINKS = """links = [
    { own = "02:00:00:00:00:01", next_hop = "02:00:00:00:00:02" },
    { own = "02:00:00:00:00:03", next_hop = "02:00:00:00:00:04" },
]
"""


@dataclass(frozen=True)
class Subject:
    """An NF: the traffic that it gets, and its configuration for a capacity. Its table can have `most` entries."""

    traffic: str
    config: Callable[[int], str]
    most: int = 1 << 20


SUBJECTS: Mapping[str, Subject] = {
    "nop": Subject("out", lambda _: "unused = 0"),
    "bridge": Subject(
        "stations", lambda capacity: f"expiration_ns = {LIFE_NS}\ncapacity = {capacity}\nstatic_capacity = 16"
    ),
    "nat": Subject(
        "out",
        lambda capacity: (
            f'expiration_ns = {LIFE_NS}\ncapacity = {capacity}\nexternal_ip = "192.0.2.1"\n'
            f"start_port = 1\nwan_device = 1\n{LINKS}"
        ),
        most=65_535,
    ),
    "firewall": Subject(
        "both", lambda capacity: f"expiration_ns = {LIFE_NS}\ncapacity = {capacity}\nwan_device = 1\n{LINKS}"
    ),
    "maglev": Subject(
        "backends",
        lambda capacity: (
            f"flow_expiration_ns = {LIFE_NS}\nbackend_expiration_ns = {LIFE_NS}\n"
            f"flow_capacity = {capacity}\nbackend_capacity = 64\nslots = 65537\nwan_device = 0\n"
            'addresses = ["02:00:00:00:00:01", "02:00:00:00:00:02"]'
        ),
    ),
    # So few tokens a second that no bucket is ever full again and forgotten; so many in it that it lasts.
    "policer": Subject(
        "in", lambda capacity: f"rate_bytes_per_s = 1\nburst_bytes = 4294967295\ncapacity = {capacity}\nwan_device = 1"
    ),
}


@dataclass(frozen=True)
class Served:
    """What became of frames at a rate: the share that was lost, percentiles of latency, the share of time left out."""

    lost: float
    p50_ns: float
    p90_ns: float
    left_out: float


@dataclass(frozen=True)
class Bench:
    """Where and how everything is measured."""

    generator: Path
    core: int
    frames: int
    alone: bool
    disturbed: list[str] = field(default_factory=list)

    def run(
        self, command: Sequence[str], traffic: str, flows: int, timeout_s: float = SECONDS_MAX, **more: int
    ) -> list[list[str]]:
        """Runs a command with the generator in it; the words of the lines that it writes."""
        with tempfile.TemporaryDirectory() as temporary:
            results = Path(temporary) / "results"
            told = {
                "LD_PRELOAD": str(self.generator),
                "GENERATOR_TRAFFIC": traffic,
                "GENERATOR_FLOWS": str(flows),
                "GENERATOR_FRAMES": str(self.frames),
                "GENERATOR_RESULTS": str(results),
                **{f"GENERATOR_{name.upper()}": str(value) for name, value in more.items()},
            }
            # testpmd ends when there is something to read, or nothing more.
            endless, writer = os.pipe()
            done = subprocess.run(
                ["env", *(f"{name}={value}" for name, value in told.items()), *command],
                stdin=endless,
                capture_output=True,
                timeout=timeout_s,
                text=True,
            )
            os.close(endless)
            os.close(writer)
            if not results.is_file():
                raise SystemExit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
            return [line.split() for line in results.read_text().splitlines()]

    def ns_per_frame(self, command: Sequence[str], traffic: str, flows: int) -> float:
        """As fast as it goes. No frame may get lost, but for those that a burst holds."""
        for last in (*[False] * (ATTEMPTS - 1), True):
            lines = self.run(command, traffic, flows, windows=WINDOWS)
            lost = sum(int(each) for _, each, *_ in lines)
            if abs(lost) > 64:
                raise SystemExit(f"{lost} frames got lost in: {shlex.join(command)}")
            undisturbed = [float(ns) for ns, _, share, *_ in lines if float(share) >= SHARE_MIN]
            if undisturbed:
                return median(undisturbed)
            if last or not self.alone:
                self.disturbed.append(shlex.join(command))
                return median(float(ns) for ns, *_ in lines)
        raise AssertionError

    def at_rate(self, command: Sequence[str], traffic: str, flows: int, rate: float) -> Served:
        """At a number of frames a second."""
        devices = 2 if traffic in ("both", "stations") else 1
        ((lost, p50, p90, left_out),) = self.run(command, traffic, flows, rate=round(rate / devices))
        return Served(int(lost) / self.frames, float(p50), float(p90), float(left_out))

    @contextmanager
    def command(self, name: str, capacity: int, burst: int) -> Iterator[Sequence[str]]:
        """What runs an NF of ours."""
        with tempfile.TemporaryDirectory() as temporary:
            config = Path(temporary) / f"{name}.toml"
            config.write_text(SUBJECTS[name].config(capacity))
            nf = str(ROOT / "nfs" / name)
            options = Options(nf, config, "dpdk", DEVICES, burst=burst, core=self.core, eal=EAL)
            yield prepare(options, Path(temporary)).command

    def testpmd(self, burst: int) -> Sequence[str]:
        """What runs DPDK's own."""
        other = next(core for core in sorted(os.sched_getaffinity(0)) if core != self.core)
        command = ["dpdk-testpmd", "-l", f"{other},{self.core}", "--main-lcore", str(other), "--no-telemetry", *EAL]
        command += [part for device in DEVICES for part in ("--vdev", device)]
        command += ["--", "--forward-mode=io", f"--burst={burst}", "--nb-cores=1", "--no-flush-rx", "--auto-start"]
        return [*command, "--total-num-mbufs=4096"]


def entries(subject: Subject, capacity: int, occupancy: float) -> int:
    """How many flows fill a table so far; one at least."""
    return max(1, int(min(capacity, subject.most) * occupancy))


def spread(values: Sequence[float]) -> str:
    """The median and the quartiles."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{median(values):.2f} [{low:.2f}-{high:.2f}]"


def compare(bench: Bench, name: str, burst: int, rounds: int, peers: Mapping[str, str]) -> dict[str, list[float]]:
    """All runs for one NF and burst size, by what was run. DPDK's own forwarder runs beside NOP only."""
    subject = SUBJECTS[name]
    flows, traffic = entries(subject, CAPACITY, OCCUPANCY), subject.traffic
    with ExitStack() as prepared:
        nop = prepared.enter_context(bench.command("nop", 0, burst))
        commands: dict[str, Sequence[str]] = {"nop": nop, "nop again": nop}
        if name != "nop":
            commands[name] = prepared.enter_context(bench.command(name, min(CAPACITY, subject.most), burst))
        elif shutil.which("dpdk-testpmd") and len(os.sched_getaffinity(0)) > 1:
            commands["testpmd"] = bench.testpmd(burst)
        for peer, line in peers.items():
            commands[peer] = shlex.split(line.format(burst=burst, core=bench.core))
        measured: dict[str, list[float]] = {run: [] for run in commands}
        for number in range(rounds):
            order = list(commands)
            order = order[number % len(order) :] + order[: number % len(order)]
            for run in order:
                measured[run].append(bench.ns_per_frame(commands[run], traffic, flows))
    return measured


def ratios(measured: Mapping[str, Sequence[float]], one: str, other: str) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(measured[one], measured[other], strict=True)]


def rows(name: str, burst: int, measured: Mapping[str, Sequence[float]], peers: Sequence[str]) -> list[str]:
    """One line of the table."""
    ns = measured[name]
    out = [name, str(burst), spread(ns), f"{1000 / median(ns):.1f}", spread(ratios(measured, name, "nop"))]
    out.append(spread(ratios(measured, "nop", "testpmd")) if "testpmd" in measured else "")
    out.append(spread(ratios(measured, "nop again", "nop")))
    out += [spread(ratios(measured, name, peer)) if peer in measured else "" for peer in peers]
    return out


def under_load(bench: Bench, name: str, burst: int, ns: float) -> list[str]:
    """The highest rate that an NF serves, as Mframes/s, and what it is like below; ns is what a frame costs."""
    subject = SUBJECTS[name]
    flows = entries(subject, CAPACITY, OCCUPANCY)
    with bench.command(name, min(CAPACITY, subject.most), burst) as command:
        low, high = 0.2e9 / ns, 1.2e9 / ns
        while high / low > KNEE_PRECISION:
            rate = (low * high) ** 0.5
            # What others do on this machine costs frames now and then: the better of two.
            served = any(bench.at_rate(command, subject.traffic, flows, rate).lost < LOSS_MAX for _ in range(2))
            low, high = (rate, high) if served else (low, rate)
        at = bench.at_rate(command, subject.traffic, flows, LOAD * low)
    return [
        name,
        str(burst),
        f"{low / 1e6:.1f}",
        f"{at.p50_ns:.0f}",
        f"{at.p90_ns:.0f}",
        f"{at.left_out:.1%}",
    ]


MEASURED = """Written by `benchmarks/run_nfs.py`, which says what is measured: processor time, with all that DPDK, the
traffic generator and the loop around the network function cost. Medians [and quartiles]; ratios are of runs side by
side. A/A is how far two runs of the same thing are apart.
"""

LOAD_TITLES = ["NF", "burst", "Mframes/s below 0.1 % loss", "p50 ns", "p90 ns", "time left out"]
TITLES = ["NF", "burst", "ns a frame", "Mframes/s", "to NOP", "NOP to testpmd", "A/A of NOP"]


def printed(table: Sequence[Sequence[str]]) -> None:
    """A table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


@dataclass(frozen=True)
class Point:
    """What an NF is like with a table of some size, so full."""

    x: float
    ns: float
    p50_ns: float
    p90_ns: float


def sweep(bench: Bench, names: Sequence[str], burst: int, rounds: int, folder: Path) -> None:
    """Cost, throughput and latency against how full a table is and how large, as plots."""
    occupancies = (0.0, 0.5, 0.9, 0.99)
    sizes = [1 << bits for bits in range(10, 21, 2)]
    by_occupancy, by_size = {}, {}
    for name in (each for each in names if each != "nop"):
        subject = SUBJECTS[name]

        def point(x: float, capacity: int, occupancy: float, name: str = name, subject: Subject = subject) -> Point:
            flows = entries(subject, capacity, occupancy)
            with bench.command(name, min(capacity, subject.most), burst) as command:
                ns = median(bench.ns_per_frame(command, subject.traffic, flows) for _ in range(rounds))
                served = bench.at_rate(command, subject.traffic, flows, LOAD * 1e9 / ns)
            return Point(x, ns, served.p50_ns, served.p90_ns)

        by_occupancy[name] = [point(100 * each, CAPACITY, each) for each in occupancies]
        by_size[name] = [point(size, size, OCCUPANCY) for size in sizes if size <= max(subject.most, CAPACITY)]
        shown = (f"{each.x:g}: {each.ns:.1f}" for each in (*by_occupancy[name], *by_size[name]))
        print(name, *shown, sep="  ", flush=True)
    plot(folder / "cost_by_occupancy.svg", by_occupancy, f"occupancy of {CAPACITY} entries (%)", log=False)
    label = f"entries that the table has room for, {OCCUPANCY:.0%} of them used"
    plot(folder / "cost_by_size.svg", by_size, label, log=True)


def plot(path: Path, lines: Mapping[str, Sequence[Point]], label: str, log: bool) -> None:
    """Cost, the throughput that it implies, and latency (solid: half of all frames, dotted: 90 %), side by side."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "pytest-vigor"
    from matplotlib import pyplot

    figure, (cost, rate, latency) = pyplot.subplots(1, 3, figsize=(14, 4), layout="constrained")
    for name, points in lines.items():
        xs = [each.x for each in points]
        (line,) = cost.plot(xs, [each.ns for each in points], marker="o", label=name)
        rate.plot(xs, [1000 / each.ns for each in points], marker="o")
        latency.plot(xs, [each.p50_ns for each in points], marker="o", color=line.get_color())
        latency.plot(xs, [each.p90_ns for each in points], linestyle=":", color=line.get_color())
    titles = ("ns a frame", "million frames a second", f"ns from arrival to transmission at {LOAD:.0%} of that")
    for axes, title in zip((cost, rate, latency), titles, strict=True):
        axes.set_xlabel(label)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if log:
            axes.set_xscale("log", base=2)
    cost.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table for the documentation."""
    titles, *lines = table
    return "\n".join(f"| {' | '.join(line)} |" for line in (titles, ["---"] * len(titles), *lines)) + "\n"


def take_core() -> bool:
    """Whether this process and its children have their core for themselves."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True


def processor() -> str:
    """What the machine calls its processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "x86-64")


def built_generator() -> Path:
    """The generator, built if need be."""
    sources = sorted((ROOT / "benchmarks" / "generator").glob("*.c"))
    return build_nf(sources, ROOT / "build" / "generator.so", flags=GENERATOR_FLAGS + dpdk_flags())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nfs", nargs="*", metavar="NF", help=f"which of {', '.join(SUBJECTS)}; all unless given")
    parser.add_argument("-n", "--rounds", type=int, default=9, help="how often each is run (default: 9)")
    parser.add_argument("--burst", type=int, action="append", help="1 and 32 unless given")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="default: the last one")
    parser.add_argument("--frames", type=int, default=1_000_000, help="in a measurement, three of which are a run")
    parser.add_argument("--no-priority", action="store_true", help="share the core with whatever else runs")
    parser.add_argument("--peer", nargs=3, action="append", default=[], metavar=("NF", "NAME", "COMMAND"))
    parser.add_argument("--load", action="store_true", help="find the highest rate, and the latency below it")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="measure other sizes and occupancies, and plot")
    arguments = parser.parse_args()
    chosen = arguments.nfs or list(SUBJECTS)
    unknown = sorted({*chosen, *(nf for nf, _, _ in arguments.peer)} - set(SUBJECTS))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    generator = built_generator()
    alone = not arguments.no_priority and take_core()
    bench = Bench(generator, arguments.core, arguments.frames, alone)
    taken = "taken" if alone else "shared with whatever else runs"
    where = f"{processor()}, core {bench.core}, {taken}; load {os.getloadavg()[0]:.1f}"
    version = subprocess.run(["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True).stdout.strip()
    print(where)
    names = list(dict.fromkeys(name for _, name, _ in arguments.peer))
    table = [[*TITLES, *(f"to {name}" for name in names)]]
    loads = [LOAD_TITLES]
    for nf in chosen:
        peers = {name: command for of, name, command in arguments.peer if of == nf}
        for burst in arguments.burst or (1, 32):
            measured = compare(bench, nf, burst, arguments.rounds, peers)
            table.append(rows(nf, burst, measured, names))
            if arguments.load:
                loads.append(under_load(bench, nf, burst, median(measured[nf])))
    printed(table)
    if bench.disturbed:
        print(f"{len(bench.disturbed)} of the runs were disturbed by other processes: their caches were cold")
    if arguments.load:
        print()
        printed(loads)
    if arguments.plots is not None:
        sweep(bench, chosen, 32, max(1, arguments.rounds // 4), arguments.plots)
        conditions = f"{where}; {arguments.rounds} rounds of {WINDOWS} times {arguments.frames} frames, DPDK {version}."
        disturbed = f" {len(bench.disturbed)} runs were disturbed by other processes." if bench.disturbed else ""
        tables = [markdown(each) for each in (table, loads) if len(each) > 1]
        pictures = [f"![{what}](cost_by_{what}.svg)\n" for what in ("occupancy", "size")]
        parts = ["# What a frame costs\n", MEASURED, f"{conditions}{disturbed}\n", *tables, *pictures]
        (arguments.plots / "measured.md").write_text("\n".join(parts))


GENERATOR_FLAGS = ("-std=c11", "-O3", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ldl")

if __name__ == "__main__":
    main()
