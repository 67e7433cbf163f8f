"""How long libVig's tables take for one operation: ``python benchmarks/libvig.py [--rounds N] [--key-bytes N ...]``.

65,536 entries at 90 % occupancy, random keys, look-ups in random order (uniform, or by Zipf's law), one core, all
tables in one process and each round one after the other. ``map`` and ``flow_table`` are libVig's, ``plain`` is a table
as one would write it first, ``rte_hash`` is DPDK's (where libdpdk-dev is installed), with a linked list beside it for
ages. Prints medians over the rounds in ns of the thread's CPU time, and last-level cache misses where they are counted
and then the median ratios to rte_hash of the same round, with their quartiles, beside the targets.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "benchmarks" / "libvig"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
KEY_BYTES = (4, 6, 13, 16)
OPERATIONS = ("get_hit", "get_miss", "put", "erase", "refresh", "expire")
#: For shuffled keys of 16 bytes, as ratios to rte_hash.
TARGETS = {("map", "get_hit"): 0.6, ("map", "get_miss"): 1.0, ("flow_table", "refresh"): 0.6}

Rounds = dict[tuple[str, str], list[tuple[float, float]]]  #: by table and operation: ns and misses of each round


def build(folder: Path) -> tuple[Path, bool]:
    """The benchmark, and whether DPDK's table is in it."""
    asked = subprocess.run(["pkg-config", "--cflags", "--libs", "libdpdk"], capture_output=True, text=True)
    dpdk = shlex.split(asked.stdout) if asked.returncode == 0 else []
    compile_dpdk = [flag for flag in dpdk if not flag.startswith(("-l", "-L", "-Wl"))]
    link_dpdk = [flag for flag in dpdk if flag.startswith(("-l", "-L", "-Wl"))]
    objects = []
    own = [path for path in sorted((ROOT / "libvig").glob("*/*.c")) if path.parent.name != "runtime"]
    for number, source in enumerate([*own, *sorted(SOURCES.glob("*.c"))]):
        if source.name == "dpdk.c" and not dpdk:
            continue
        # Only DPDK's table gets the processor that DPDK asks for: libVig is measured as it is shipped.
        flags = [*FLAGS, *(compile_dpdk if source.name == "dpdk.c" else ())]
        flags += ["-DHAVE_DPDK"] if dpdk else []
        objects.append(str(folder / f"{number}.o"))
        command = ["cc", *flags, f"-I{ROOT / 'libvig'}", f"-I{SOURCES}", "-c", str(source), "-o", objects[-1]]
        subprocess.run(command, check=True)
    out = folder / "benchmark"
    subprocess.run(["cc", *objects, *link_dpdk, "-lm", "-o", str(out)], check=True)
    return out, bool(dpdk)


def measure(program: Path, key_bytes: int, skew: int, rounds: int) -> Rounds:
    """All rounds of one process."""
    command = [str(program), str(key_bytes), str(skew), str(rounds)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{shlex.join(command)} failed:\n{ran.stderr}")
    found: Rounds = defaultdict(list)
    for line in ran.stdout.splitlines():
        table, operation, ns, misses = line.split()
        found[table, operation].append((float(ns), float(misses)))
    return found


def show(found: Rounds, title: str) -> None:
    """The medians, a table to a line."""
    print(title)
    print(f"  {'ns':12}" + "".join(f"{operation:>16}" for operation in OPERATIONS))
    for table in dict.fromkeys(table for table, _ in found):
        cells = []
        for operation in OPERATIONS:
            rounds = found.get((table, operation))
            cell = "" if rounds is None else f"{median(ns for ns, _ in rounds):.0f}"
            if rounds is not None and rounds[0][1] >= 0:
                cell += f" ({median(misses for _, misses in rounds):.1f} misses)"
            cells.append(f"{cell:>16}")
        print(f"  {table:12}" + "".join(cells))


def compare(found: Rounds, targets: bool) -> None:
    """Ratios to rte_hash in the same round."""
    for table in ("map", "flow_table"):
        for operation in OPERATIONS:
            mine, theirs = found.get((table, operation)), found.get(("rte_hash", operation))
            if not mine or not theirs:
                continue
            ratios = [a / b for (a, _), (b, _) in zip(mine, theirs, strict=True)]
            low, _, high = quantiles(ratios, n=4)
            target = TARGETS.get((table, operation)) if targets else None
            told = "" if target is None else f", target {target}: {'met' if median(ratios) <= target else 'MISSED'}"
            print(f"  {table} / rte_hash, {operation}: {median(ratios):.2f} [{low:.2f}-{high:.2f}]{told}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Times libVig's tables beside others.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--key-bytes", type=int, nargs="*", default=KEY_BYTES, choices=range(4, 65), metavar="N")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program, dpdk = build(Path(folder))
        if not dpdk:
            print("without rte_hash: libdpdk-dev is not installed")
        for key_bytes in given.key_bytes:
            for skew, name in ((0, "uniform"), (1, "Zipf")):
                found = measure(program, key_bytes, skew, given.rounds)
                show(found, f"keys of {key_bytes} bytes, {name}")
                compare(found, key_bytes == 16 and skew == 0)


if __name__ == "__main__":
    main()
