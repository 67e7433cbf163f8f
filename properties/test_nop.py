"""What the NOP does: it joins devices in pairs, like the two ends of a wire."""

import pytest

pytestmark = pytest.mark.nf("nop")


def peer(device):
    """The other end: 1 for 0, 0 for 1, 3 for 2, ..."""
    return device + 1 if device % 2 == 0 else device - 1


def test_wire(step):
    """Every frame goes to the other device of the pair, and to no other, as it came."""
    assert step.sent == [(peer(step.device), step.packet)]


def test_accepted_configurations(step):
    """There are 2 to 32 devices, in pairs."""
    assert 2 <= step.device_count <= 32 and step.device_count % 2 == 0


def test_way_back(step):
    """What is sent back from the other end comes out where the first frame went in."""
    assert not step.dropped and not step.flooded
    device, packet = step.sent[0]
    assert step.then(device, packet, step.now).sent == [(step.device, packet)]
