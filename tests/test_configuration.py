"""From a configuration file to what an NF is told: every field is checked, and what is wrong is named."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from pytest_vigor.build import binary_of, build_libvig, libvig_root
from pytest_vigor.command import main
from pytest_vigor.errors import ConfigurationError
from pytest_vigor.headers import Header, read_header
from pytest_vigor.launch.acceptance import Libraries, check, refused
from pytest_vigor.launch.configuration import read_configuration

NFS = Path(__file__).parent.parent / "nfs"
NAMES = sorted(path.name for path in NFS.iterdir() if (path / f"{path.name}.c").is_file())


def header_of(nf: str) -> Header:
    return read_header(NFS / nf / f"{nf}.h", [libvig_root()])


def asked(nf: str, text: str, folder: Path, devices: int = 2) -> None:
    """Reads a configuration and asks the NF."""
    path = folder / "it.toml"
    path.write_text(text)
    header = header_of(nf)
    check(Libraries(binary_of(NFS / nf), build_libvig()), header, read_configuration(path, header, devices), devices)


def example(nf: str, *changes: tuple[str, str]) -> str:
    """The example, with some text replaced."""
    text = (NFS / nf / f"{nf}.toml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.mark.parametrize("nf", NAMES)
def test_every_nf_accepts_its_example(nf: str, tmp_path: Path) -> None:
    asked(nf, example(nf), tmp_path)


def test_bytes_are_those_of_the_struct(tmp_path: Path) -> None:
    path = tmp_path / "nat.toml"
    path.write_text(example("nat"))
    (call,) = read_configuration(path, header_of("nat"), 2)
    macs = bytes.fromhex("020000000101 020000000001 020000000201 020000000002")
    expected = struct.pack("<q4sIHH", 7_440_000_000_000, bytes([192, 0, 2, 1]), 60000, 1024, 1) + macs
    assert call.function == "nf_init"
    assert call.argument == expected.ljust(20 + 32 * 12, b"\0").ljust(408, b"\0")


def test_static_entries_are_calls_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(example("bridge"))
    init, entry = read_configuration(path, header_of("bridge"), 2)
    assert (init.function, entry.function) == ("nf_init", "bridge_add_static")
    assert entry.argument == bytes.fromhex("02000000ffff") + struct.pack("<HH", 0, 0xFFFF)


WRONG = {
    "unknown key": (
        "nat",
        ("capacity", "capcity"),
        "it.toml: there is no capcity: there are expiration_ns, external_ip, capacity, start_port, wan_device, links",
    ),
    "missing key": (
        "policer",
        ("wan_device = 1", ""),
        "it.toml: wan_device is missing: give a whole number from 0 to 65535",
    ),
    "does not fit its type": (
        "nat",
        ("start_port = 1024", "start_port = 65536"),
        "it.toml: start_port = 65536 does not do: give a whole number from 0 to 65535",
    ),
    "negative": (
        "nat",
        ("capacity = 60000", "capacity = -1"),
        "it.toml: capacity = -1 does not do: give a whole number from 0 to 4294967295",
    ),
    "no integer": (
        "nat",
        ("capacity = 60000", "capacity = 6.5"),
        "it.toml: capacity = 6.5 does not do: give a whole number from 0 to 4294967295",
    ),
    "true for a number": (
        "nat",
        ("wan_device = 1", "wan_device = true"),
        "it.toml: wan_device = true does not do: give a whole number from 0 to 65535",
    ),
    "no such constant": (
        "bridge",
        ("BRIDGE_FILTER", "BRIDGE_FILTRE"),
        'it.toml: bridge_add_static[0].output = "BRIDGE_FILTRE" does not do: give a whole number from 0 to 65535',
    ),
    "no address": (
        "nat",
        ("192.0.2.1", "192.0.2.256"),
        'it.toml: external_ip = "192.0.2.256" does not do: give an IPv4 address, such as "192.0.2.1"',
    ),
    "no Ethernet address": (
        "nat",
        ("02:00:00:00:02:01", "02:00:00:00:02"),
        'it.toml: links[1].next_hop = "02:00:00:00:02" does not do: '
        'give an Ethernet address, such as "02:00:00:00:00:01"',
    ),
    "unknown key in a table": (
        "nat",
        ('own = "02:00:00:00:00:02"', 'owner = "02:00:00:00:00:02"'),
        "it.toml: there is no links[1].owner: there are next_hop, own",
    ),
    "too few elements": (
        "maglev",
        (', "02:00:00:00:00:02"', ""),
        "it.toml: addresses has 1 elements: give a list of 2 elements, one for each device, or of all 32",
    ),
    "refused by nf_init": (
        "nat",
        ("capacity = 60000", "capacity = 70000"),
        "it.toml: nf_init of nat.so refuses capacity = 70000: give 1 to 64512",
    ),
    "refused because two do not fit together": (
        "maglev",
        ("slots = 65537", "slots = 6000"),
        "it.toml: nf_init of maglev.so refuses backend_capacity = 64: give 1 to 60, "
        "or slots = 6000: give 6400 to 1048576",
    ),
    "refused entry": (
        "bridge",
        ("device = 0", "device = 2"),
        "it.toml: bridge_add_static[0]: bridge_add_static of bridge.so refuses device = 2: give 0 to 1",
    ),
    "no table": (
        "bridge",
        ("[[bridge_add_static]]", "[bridge_add_static]"),
        "it.toml: bridge_add_static is no array of tables: write [[bridge_add_static]] before each entry",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str, tmp_path: Path) -> None:
    nf, change, message = WRONG[what]
    with pytest.raises(ConfigurationError) as caught:
        asked(nf, example(nf, change), tmp_path)
    assert str(caught.value).removeprefix(f"{tmp_path}/") == message


def test_two_wrong_numbers_are_not_blamed_on_one(tmp_path: Path) -> None:
    text = example("nat", ("capacity = 60000", "capacity = 0"), ("wan_device = 1", "wan_device = 9"))
    with pytest.raises(ConfigurationError, match="no change of one number alone would do"):
        asked("nat", text, tmp_path)


def test_what_is_not_toml_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"it\.toml is not TOML: .*line 1"):
        asked("nop", "unused = \n", tmp_path)


def test_number_of_devices_is_the_nfs_business(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="with 3 devices"):
        asked("nop", example("nop"), tmp_path, devices=3)


def test_run_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(NFS / "nop" / "nop.toml")
    assert main(["run", "nop", "--config", config]) == 1
    assert "there are no devices: give each with --device" in capsys.readouterr().err
    assert main(["run", "nope", "--config", config, "--device", "a"]) == 1
    assert "there is no network function nope" in capsys.readouterr().err
    nop = str(NFS / "nop")
    assert main(["run", nop, "--config", str(tmp_path / "gone.toml"), "--device", "a", "--device", "b"]) == 1
    assert "gone.toml cannot be read" in capsys.readouterr().err


def test_check_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    config = NFS / "bridge" / "bridge.toml"
    command = ["run", str(NFS / "bridge"), "--config", str(config), "--device", "a", "--device", "b", "--check"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"bridge.so accepts {config} with 2 devices\n"


# What each README says that nf_init accepts, of the example with one number changed.
LIMITS = {
    ("bridge", "expiration_ns"): (1, 10**15),
    ("bridge", "capacity"): (1, 2**20),
    ("bridge", "static_capacity"): (1, 2**20),
    ("firewall", "expiration_ns"): (1, 10**15),
    ("firewall", "capacity"): (1, 2**20),
    ("firewall", "wan_device"): (0, 1),
    ("maglev", "flow_expiration_ns"): (1, 10**15),
    ("maglev", "backend_expiration_ns"): (1, 10**15),
    ("maglev", "flow_capacity"): (1, 2**20),
    ("maglev", "backend_capacity"): (1, 655),  # of 65,537 slots
    ("maglev", "slots"): (6_400, 2**20),  # for 64 backends
    ("maglev", "wan_device"): (0, 1),
    ("nat", "expiration_ns"): (1, 10**15),
    ("nat", "capacity"): (1, 64_512),  # from port 1024
    ("nat", "start_port"): (1, 5_536),  # for 60,000 flows
    ("nat", "wan_device"): (0, 1),
    ("policer", "rate_bytes_per_s"): (1, 10**12),
    ("policer", "burst_bytes"): (1, 2**32 - 1),
    ("policer", "capacity"): (1, 2**20),
    ("policer", "wan_device"): (0, 1),
    ("router", "capacity"): (1, 2**20),
}
DEVICES = {"nop": range(2, 33, 2), "policer": [2]}


def accepts(nf: str, folder: Path, text: str, devices: int = 2) -> bool:
    """Whether nf_init does, with as many devices, a configuration for two."""
    path = folder / "it.toml"
    path.write_text(text)
    init, *_ = read_configuration(path, header_of(nf), 2)
    return refused(Libraries(binary_of(NFS / nf), build_libvig()), [init], devices) is None


@pytest.mark.parametrize(("nf", "name"), LIMITS)
def test_all_that_is_within_the_limits_is_accepted(nf: str, name: str, tmp_path: Path) -> None:
    def accepts_number(number: int) -> bool:
        text, places = re.subn(rf"^{name} = [\d_]+", f"{name} = {number}", example(nf), flags=re.MULTILINE)
        assert places == 1
        return accepts(nf, tmp_path, text)

    least, most = LIMITS[nf, name]
    beyond = [each for each in (least - 1, most + 1) if 0 <= each != 1 << 32]  # else it is no such number at all
    assert all(map(accepts_number, (least, least + (most - least) // 3, most)))
    assert not any(map(accepts_number, beyond))


def test_the_largest_load_balancer_is_accepted(tmp_path: Path) -> None:
    larger = example("maglev", ("backend_capacity = 64", "backend_capacity = 1024"), ("65537", "1048576"))
    assert accepts("maglev", tmp_path, larger)
    assert not accepts("maglev", tmp_path, larger.replace("= 1024", "= 1025"))


@pytest.mark.parametrize("nf", NAMES)
def test_all_numbers_of_devices_that_there_may_be_are_accepted(nf: str, tmp_path: Path) -> None:
    text = example(nf).replace("wan_device = 1", "wan_device = 0")
    accepted = [count for count in (*range(35), 64, 2**16 - 1) if accepts(nf, tmp_path, text, count)]
    assert accepted == list(DEVICES.get(nf, range(2, 33)))
