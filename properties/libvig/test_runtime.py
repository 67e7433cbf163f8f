"""The runtimes do with every burst of frames what they must.

Each frame is sent or released exactly once for each claim to it, the network function is asked about exactly the
received bytes, length and device, nothing is touched after it was handed over, everything is counted, and the next
burst finds what this one found: libvig/runtime/dispatch.h with each I/O's frames, as compiled from
libvig/runtime/proof/, for any network function, clock, driver and kernel. The verdict holds for the bursts and numbers
of devices that it names.
"""

import pytest

# Bursts up to so many frames, so many devices, from which of them, and whether only plain frames come.
BOUNDS = {
    "bursts of 1, up to 3 devices": [(1, devices, device, False) for devices in (1, 2, 3) for device in range(devices)],
    "bursts ≤ 2, up to 2 devices": [(2, devices, device, False) for devices in (1, 2) for device in range(devices)],
    "bursts ≤ 2, 3 devices, plain frames": [(2, 3, device, True) for device in range(3)],
    "bursts ≤ 3, 2 devices, plain frames": [(3, 2, device, True) for device in range(2)],
    "bursts ≤ 4, 1 device, plain frames": [(4, 1, 0, True)],
    "bursts ≤ 2, 1 device": [(2, 1, 0, False)],
    "bursts ≤ 2, 2 devices, plain frames": [(2, 2, device, True) for device in range(2)],
}
SHOWN = {
    "dpdk": [
        "bursts of 1, up to 3 devices",
        "bursts ≤ 2, up to 2 devices",
        "bursts ≤ 2, 3 devices, plain frames",
        "bursts ≤ 3, 2 devices, plain frames",
        "bursts ≤ 4, 1 device, plain frames",
    ],
    "linux": [
        "bursts of 1, up to 3 devices",
        "bursts ≤ 2, 1 device",
        "bursts ≤ 2, 2 devices, plain frames",
    ],
}


@pytest.mark.parametrize(("io", "bound"), [(io, bound) for io, bounds in SHOWN.items() for bound in bounds])
def test_every_frame_goes_where_it_must(cpu_seconds, shown, io, bound):
    from pytest_vigor.refine.burst import Sizes
    from pytest_vigor.refine.bursts import burst as bursts

    def verdicts():
        for burst, devices, device, plain in BOUNDS[bound]:
            for time_per_packet in (False, True) if devices == 1 else (False,):
                sizes = Sizes(burst, devices, device, plain, time_per_packet)
                yield str(sizes), bursts(io, sizes, cpu_seconds).verdict()

    shown(f"dispatch_burst, {io}", bound, verdicts())
