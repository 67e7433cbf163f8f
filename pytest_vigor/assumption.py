"""What every verdict takes for granted, by name. ``docs/assumptions.md`` says what each means and why it is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that is not proved."""

    name: str
    text: str


ASSUMPTIONS = (
    Assumption("DEVICE_EXISTS", "nf_process gets a device below device_count"),
    Assumption("FRAME_FITS", "a frame has at most 1518 bytes, and the buffer holds all of them"),
    Assumption("TIME_MONOTONIC", "now is not negative and never before the time of an earlier call"),
    Assumption("ONE_THREAD", "one call into the NF ends before the next begins"),
    Assumption("CONTRACTS_HOLD", "libVig's functions do what their contracts say"),
    Assumption("HEADER_MATCHES", "the binary was compiled with the header that describes its configuration and state"),
    Assumption("LOADED_AS_READ", "the dynamic loader maps and relocates the binary as the ELF file says"),
    Assumption("ABI_EXTENSION", "callers extend arguments that are narrower than 32 bits, as gcc and clang do"),
    Assumption("BOOLS_ARE_BOOLS", "a C bool in the configuration holds 0 or 1"),
    Assumption("STACK_SUFFICES", "the thread that runs the NF has 64 KiB of stack left"),
    Assumption("LIFTER_AND_SOLVER", "VEX describes the instructions that occur as they are, and z3's unsat is right"),
)


def cited() -> tuple[str, ...]:
    """The names of all assumptions that a proof rests on."""
    return tuple(each.name for each in ASSUMPTIONS)
