"""Whether an NF runs on at full load without losing memory: ``python benchmarks/soak.py [NF] [--minutes 10]``.

Runs on DPDK with the generator of generator/ in its own process, as fast as it goes, in bursts of 32. There are more
flows than the table has room for, and they expire while others come: entries are taken and given back all the time, and
frames are dropped all the time. At the end of each of a number of windows it notes how many frames the pool lacks and
how much memory the process has. Both must be as in the first window, give or take a burst; exits with 1 if not.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from run_nfs import CAPACITY, DEVICES, EAL, LIFE_NS, ROOT, SUBJECTS, Bench, built_generator

from pytest_vigor.launch import Options, prepare

WINDOWS = 60
EXCESS = 2  #: flows for each entry of the table
LIFE = 0.7  #: of the time until the same flow comes again, so that there are more to keep than there is room for
BURST = 32
#: A burst may be on its way while a window ends; memory is counted in pages, of which the C library keeps a few.
FRAMES_SLACK, MEMORY_SLACK_KIB = 2 * BURST, 128


def main() -> None:
    """Runs it and prints the windows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nf", nargs="?", default="nat", choices=SUBJECTS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="default: the last one")
    arguments = parser.parse_args()
    subject = SUBJECTS[arguments.nf]
    capacity = min(CAPACITY, subject.most)
    flows = EXCESS * capacity
    with tempfile.TemporaryDirectory() as temporary:
        config = Path(temporary) / f"{arguments.nf}.toml"
        config.write_text(subject.config(capacity))
        nf = ROOT / "nfs" / arguments.nf
        options = Options(str(nf), config, "dpdk", DEVICES, burst=BURST, core=arguments.core, eal=EAL)
        trial = Bench(built_generator(), arguments.core, 2_000_000, alone=False)
        command = prepare(options, Path(temporary)).command
        ns = median(float(line[0]) for line in trial.run(command, subject.traffic, flows, windows=3))
        config.write_text(subject.config(capacity).replace(str(LIFE_NS), str(int(LIFE * flows * ns))))
        command = prepare(options, Path(temporary)).command
        frames = int(arguments.minutes * 60e9 / ns / WINDOWS)
        bench = Bench(trial.generator, arguments.core, frames, alone=False)
        timeout_s = 10 * arguments.minutes * 60
        lines = bench.run(command, subject.traffic, flows, timeout_s=timeout_s, windows=WINDOWS)
    print(f"{arguments.nf}: {WINDOWS} windows of {frames} frames, {flows} flows for {capacity} entries")
    print("window  ns a frame  dropped  frames in use  memory KiB")
    for number, (cost, lost, _, lacking, memory_kib) in enumerate(lines):
        print(f"{number:6}  {float(cost):10.1f}  {int(lost) / frames:7.1%}  {lacking:>13}  {memory_kib:>10}")
    in_use, memory = ([int(line[column]) for line in lines] for column in (3, 4))
    spread = max(in_use) - min(in_use), max(memory) - min(memory)
    print(f"frames in use: {min(in_use)} to {max(in_use)}; memory: {min(memory)} to {max(memory)} KiB")
    if spread[0] > FRAMES_SLACK or spread[1] > MEMORY_SLACK_KIB:
        sys.exit("something is kept")


if __name__ == "__main__":
    main()
