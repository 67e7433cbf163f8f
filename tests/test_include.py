"""What someone with an NF of their own needs to compile it."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_vigor.binary import load
from pytest_vigor.build import FLAGS, contract_files, libvig_root
from pytest_vigor.command import main
from pytest_vigor.compiler import find_compiler

NF = """
#include "map/map.h"
#include "net/net.h"
#include "nf.h"

struct nf_config { uint32_t capacity; };
static struct map *table;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    table = map_alloc(sizeof(struct net_mac), config->capacity);
    return table != NULL && device_count > 1;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    (void) now;
    uint32_t output;
    const struct net_ether *ether = net_ether(packet, length_bytes);
    return ether != NULL && map_get(table, &ether->source, &output) ? (int) output : device;
}
"""


def test_printed_flags_compile_an_nf_outside_the_repository(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "pytest_vigor", "include"], capture_output=True, text=True, check=True
    ).stdout
    source, out = tmp_path / "own.c", tmp_path / "own.so"
    source.write_text(NF)
    command = [*find_compiler().command, *FLAGS, *shlex.split(printed), str(source), "-o", str(out)]
    subprocess.run(command, check=True)
    assert set(load(out).imports.values()) == {"map_alloc", "map_get"}


def test_flags_survive_a_shell() -> None:
    assert shlex.split(shlex.join([f"-I{libvig_root()}"])) == [f"-I{libvig_root()}"]


def test_libvig_carries_a_contract_beside_each_structure() -> None:
    structures = {path.parent.name for path in contract_files()}
    assert structures >= {"map", "vector", "index_pool", "flow_table"}


def test_build_command_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path / "gone")]) == 1
    assert capsys.readouterr().err.strip() == (
        f"{tmp_path}/gone holds no network function, for lack of gone.c: name the .c file as its folder"
    )
