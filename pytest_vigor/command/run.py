"""`pytest-vigor run`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

DESCRIPTION = """Builds a network function where needed and runs it on devices. It runs until SIGTERM, SIGINT or
SIGHUP; then it ends with what it has received, and exits with 0. See docs/running.md."""


def register(commands: Any) -> None:
    """Adds the command."""
    command = commands.add_parser("run", help="run an NF on network devices", description=DESCRIPTION)
    command.add_argument("nf", metavar="NF", help="its folder, or the name of one under nfs/")
    command.add_argument("--config", type=Path, required=True, metavar="TOML", help="what nf_init is told")
    command.add_argument(
        "--io", choices=("linux", "dpdk"), default="linux", help="who drives the devices (default: linux)"
    )
    command.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="an interface, such as eth0; for DPDK a PCI address, or a device that DPDK makes, such as "
        "net_af_packet0,iface=eth0. The first one is device 0, and so on",
    )
    command.add_argument("--burst", type=int, default=32, metavar="N", help="frames taken at a time, 1 to 32")
    command.add_argument(
        "--time", choices=("burst", "packet"), default="burst", help="how often the clock is read (default: burst)"
    )
    command.add_argument("--core", type=int, metavar="N", help="the core to stay on")
    command.add_argument(
        "--user", metavar="NAME", help="whom to become; on Linux interfaces nobody if started as root, else no other"
    )
    command.add_argument("--metrics", type=int, metavar="PORT", help="serve the counters to Prometheus on this port")
    command.add_argument("--quiet", action="store_true", help="no table of counters while it runs")
    command.add_argument(
        "--eal", action="append", default=[], metavar="ARG", help="a further argument for DPDK: --eal=--no-pci"
    )
    command.add_argument("--check", action="store_true", help="only look whether nf_init accepts the configuration")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the NF to its end."""
    from pytest_vigor.launch import Options, launch

    return launch(
        Options(
            nf=arguments.nf,
            config=arguments.config,
            io=arguments.io,
            devices=tuple(arguments.device),
            burst=arguments.burst,
            time_per=arguments.time,
            core=arguments.core,
            user=arguments.user,
            metrics_port=arguments.metrics,
            quiet=arguments.quiet,
            eal=tuple(arguments.eal),
            only_check=arguments.check,
        )
    )
