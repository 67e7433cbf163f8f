"""The proofs about the runtimes' bursts can fail: every wrong variant is refuted, and the refutation says why."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_vigor.build import FLAGS
from pytest_vigor.compiler import find_compiler
from pytest_vigor.refine.burst import Sizes
from pytest_vigor.refine.bursts import burst
from pytest_vigor.refine.library import Refuted, Shown
from tests.libvig.wrong import Wrong

DISPATCH, DPDK, LINUX = "runtime/dispatch.h", "runtime/dpdk_frames.h", "runtime/linux_frames.h"


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong variant, the smallest burst and number of devices at which it errs, and what the refutation says."""

    wrong: Wrong
    io: str
    burst: int
    devices: int
    says: str


def case(io: str, burst: int, devices: int, says: str, name: str, file: str, old: str, new: str) -> Case:
    return Case(Wrong(name, file, old, new, ()), io, burst, devices, says)


CASES = (
    case(
        "dpdk", 1, 1, "frame 0 is sent or released once for each claim",
        "dropped_frames_are_kept", DISPATCH, "    (*counter)++;\n    frame_release(frame);", "    (*counter)++;",
    ),
    case(
        "dpdk", 1, 1, "frame 0 is sent or released once for each claim",
        "refused_frames_are_kept", DPDK, "    rte_pktmbuf_free_bulk((struct rte_mbuf **) frames, count);\n", "",
    ),
    case(
        "dpdk", 2, 1, "frame 0 is still ours",
        "sent_frames_are_freed", DPDK,
        "drop_unsent(runtime, device, frames + sent, ", "drop_unsent(runtime, device, frames, ",
    ),
    case(
        "dpdk", 1, 3, "frame 0 is still ours",
        "floods_share_nothing", DISPATCH, "    frame_share(frame, more);\n", "",
    ),
    case(
        "dpdk", 1, 3, "frame 0 is sent or released once for each claim",
        "floods_share_too_much", DISPATCH, "runtime->device_count - 2u;", "runtime->device_count - 1u;",
    ),
    case(
        "dpdk", 1, 2, "goes to device 0 if the NF says so",
        "floods_go_back", DISPATCH, "        if (output != device) {", "        if (output == device) {",
    ),
    case(
        "dpdk", 1, 2, "is a device's",
        "devices_are_taken_for_ports", DPDK,
        "rte_eth_tx_burst(ports[device], 0,", "rte_eth_tx_burst(device, 0,",
    ),
    case(
        "dpdk", 2, 2, "goes to device",
        "all_go_where_the_first_goes", DISPATCH, "all_same && answers[i] == answers[0]", "all_same",
    ),
    case(
        "dpdk", 2, 2, "device 1 gets frames in their order, each once",
        "batches_are_turned_round", DISPATCH,
        "    for (uint16_t i = 0; i < count; i++) {\n        if ((unsigned)",
        "    for (uint16_t i = count; i-- > 0;) {\n        if ((unsigned)",
    ),
    case(
        "dpdk", 1, 1, "after its end",
        "length_is_read_after_sending", DPDK,
        "    runtime->counters->devices[device].sent += sent;",
        "    runtime->counters->devices[device].sent += ((struct rte_mbuf *) frames[0])->nb_segs == 0 ? 0 : sent;",
    ),
    case(
        "dpdk", 1, 1, "nf_process gets the length of frame 0",
        "length_is_cut", DISPATCH, "(uint16_t) length_bytes, runtime->now)", "(uint8_t) length_bytes, runtime->now)",
    ),
    case(
        "dpdk", 1, 1, "frame 0 is one for the NF",
        "frames_in_pieces_are_shown", DPDK, "unlikely(mbuf->nb_segs > 1)", "unlikely(mbuf->nb_segs > 2)",
    ),
    case(
        "dpdk", 1, 1, "nf_process gets the bytes of frame 0",
        "headroom_is_shown", DPDK, "rte_pktmbuf_mtod(mbuf, uint8_t *)", "mbuf->buf_addr",
    ),
    case(
        "dpdk", 1, 1, "received of device 0 is counted",
        "bursts_are_counted", DISPATCH, "devices[device].received += count;", "devices[device].received += 2;",
    ),
    case(
        "linux", 1, 1, "slot 0 is the kernel's again",
        "slots_are_kept", LINUX,
        "for (uint32_t i = 0; i < count; i++) {\n        __atomic",
        "for (uint32_t i = 1; i < count; i++) {\n        __atomic",
    ),
    case(
        "linux", 1, 1, "the slot is not the kernel's",
        "slots_go_back_before_sending", DISPATCH,
        "    dispatch(runtime, device, frames, answers, reasons, count, all_same);\n    frames_forget(device, count);",
        "    frames_forget(device, count);\n    dispatch(runtime, device, frames, answers, reasons, count, all_same);",
    ),
    case(
        "linux", 1, 1, "what device 0 did not take, or was too long, is counted",
        "interrupted_frames_are_lost", LINUX,
        "            continue;\n        } else if (errno == ENETDOWN",
        "            done++;\n        } else if (errno == ENETDOWN",
    ),
    case(
        "linux", 1, 1, "the tag is the one that was taken out",
        "tags_are_not_turned", LINUX, "htons(slot->tp_vlan_tci)", "(uint16_t) slot->tp_vlan_tci",
    ),
    case(
        "linux", 1, 1, "the next slot is the one behind",
        "the_ring_has_no_end", LINUX, "from->next = (from->next + count) % SLOTS;", "from->next = from->next + count;",
    ),
)  # fmt: skip


def compiled(case: Case, folder: Path) -> Path:
    root, out = case.wrong.copy_to(folder), folder / "burst.so"
    # A wrong variant may leave something unused, of which a compiler warns.
    flags = [flag for flag in FLAGS if flag != "-Werror"]
    source = root / "runtime" / "proof" / f"{case.io}.c"
    ran = find_compiler().run([*flags, f"-I{root}", str(source), "-o", str(out)], root)
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.io}-{case.wrong.name}")
def test_wrong_burst_is_refuted(tmp_path: Path, case: Case) -> None:
    found = burst(case.io, Sizes(case.burst, case.devices, 0), 120, compiled(case, tmp_path)).verdict()
    assert isinstance(found, Refuted), found
    assert case.says in found.text


def test_a_refutation_shows_frames_and_answers(tmp_path: Path) -> None:
    test = next(case for case in CASES if case.wrong.name == "dropped_frames_are_kept")
    found = burst("dpdk", Sizes(1, 1, 0), 120, compiled(test, tmp_path)).verdict()
    assert isinstance(found, Refuted)
    lines = found.text.splitlines()
    assert lines[1] == "  bursts of up to 1 from device 0 of 1"
    assert any(line.startswith("  data_len of frame 0 = ") for line in lines)
    assert lines[-1].startswith("  answer for frame 0 = ")


def test_what_is_right_is_shown() -> None:
    assert isinstance(burst("dpdk", Sizes(1, 2, 1), 120).verdict(), Shown)
