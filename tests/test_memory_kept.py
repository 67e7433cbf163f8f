"""What an NF does with memory of its own: no neighbour is written to, and nothing sent depends on what nobody wrote."""

from __future__ import annotations

import pytest
from project import GATE, Project

pytest_plugins = ["pytester"]

CLAIM = """
    @pytest.mark.parametrize("kind", ["memory", "initialised"])
    def test_keeps(step, kind):
        assert step.respects(kind)
"""
BODY = "return nf_state.wan_device;"
AROUND = "static volatile uint8_t before[16], seen[16], after[16];"
UNSET = "volatile uint32_t x[2]; if (now & 1) { x[1] = 2; } if (length_bytes < 64) { return NF_DROP; }"


def gate(body: str) -> str:
    declared = GATE.replace("(void) packet;", "(void) packet;" if "packet[" not in body else "")
    declared = declared.replace("struct nf_state nf_state;", f"struct nf_state nf_state;\n    {AROUND}", 1)
    everything = " ".join(f"{name}[0] = 1;" for name in ("before", "seen", "after"))
    return declared.replace(BODY, f"{everything} {body} {BODY}")


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ("seen[length_bytes & 15] = 1;", None),
        ("seen[length_bytes % 17] = 1;", "memory"),
        ("seen[(length_bytes & 15) + 1] = 1;", "memory"),
        ("for (unsigned n = 1; n <= 16; n++) { seen[n - 1] = (uint8_t) n; }", None),
        ("if (length_bytes > 20 && length_bytes < 37) { seen[length_bytes - 21] = 1; }", None),
        (f"{UNSET} packet[(now & 62) + (x[1] & 0)] = 1;", None),
        (f"{UNSET} packet[x[1] & 63] = 1;", "initialised"),
        (f"{UNSET} packet[0] = packet[x[1] & 63];", "initialised"),
    ],
)
def test_what_leaves_a_hidden_array_or_writes_who_knows_where_is_refuted(
    pytester: pytest.Pytester, body: str, broken: str | None
) -> None:
    project = Project(pytester)
    project.nf(source=gate(body))
    project.properties(CLAIM)
    ran = project.prove()
    verdicts = {kind: ran.verdict(f"test_keeps[{kind}]") for kind in ("memory", "initialised")}
    others = "Unknown" if broken else "Proved"
    assert verdicts == {kind: "Refuted" if kind == broken else others for kind in verdicts}
