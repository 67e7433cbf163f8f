"""What the shipped network functions ask of libVig is proved at every capacity, for their sizes of keys and records."""

from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from pytest_vigor.build import libvig_root
from pytest_vigor.headers import read_header

ROOT = Path(__file__).parents[2]
NFS = sorted(path.parent.name for path in (ROOT / "nfs").glob("*/*.c"))
EVERY = ("every capacity", "any numbers of backends and slots")
SMALL = ("consistent_hash_alloc",)  #: shown for some tables only


def sizes_proved(function: str) -> set[int] | None:
    """The sizes with which docs/libvig_proofs.md says that a function is proved at every capacity; None for any."""
    for line in (ROOT / "docs" / "libvig_proofs.md").read_text().splitlines():
        starts = [f"| `{function}` | Proved | {each}" for each in EVERY]
        for start in (each for each in starts if line.startswith(each)):
            of = line.removeprefix(start).removesuffix(" |")
            return {int(each) for each in of.removesuffix(" bytes").split(" of ")[1].split(", ")} if of else None
    return set()


@pytest.mark.parametrize("nf", NFS)
def test_what_it_calls_is_proved_for_its_sizes(nf: str) -> None:
    with (ROOT / "nfs" / nf / f"{nf}.so").open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".dynsym")
        called = {each.name for each in symbols.iter_symbols() if each["st_shndx"] == "SHN_UNDEF"}
    lacking = []
    for each in read_header(ROOT / "nfs" / nf / f"{nf}.h", [libvig_root()]).state_objects:
        size = getattr(each.key or each.record, "size_bytes", 0)
        for function in sorted(name for name in called if name.startswith(f"{each.kind}_")):
            proved = sizes_proved(function)
            if function not in SMALL and proved is not None and size not in proved:
                lacking.append(f"{function} with {size} bytes ({each.name})")
    assert not lacking
