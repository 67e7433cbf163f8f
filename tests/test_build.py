"""Building: once, again when something that went in has changed, and with messages that say what to do."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_vigor.binary import load
from pytest_vigor.build import FLAGS, binary_of, build_libvig, build_nf, default_libvig, libvig_root
from pytest_vigor.errors import BuildError

SOURCE = """
#include "own.h"
bool nf_init(const struct nf_config *config, uint16_t device_count) { return config->limit < device_count; }
int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    return packet != NULL && length_bytes > LIMIT && now > 0 ? device : NF_DROP;
}
"""
HEADER = """
#include <stddef.h>
#include "nf.h"
#define LIMIT 60
struct nf_config { uint16_t limit; };
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "my nfs" / "own"
    folder.mkdir(parents=True)
    (folder / "own.c").write_text(SOURCE)
    (folder / "own.h").write_text(HEADER)
    return folder


@pytest.fixture(params=["gcc", "clang"])
def compiler(request: pytest.FixtureRequest) -> str:
    command: str = request.param
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    return command


def built_at(path: Path) -> int:
    return path.stat().st_mtime_ns


def test_folder_gives_a_shared_object_beside_its_source(own: Path) -> None:
    out = binary_of(own)
    assert out == own / "own.so"
    assert set(load(out).exports) == {"nf_init", "nf_process"}


def test_nothing_is_built_twice(own: Path) -> None:
    first = built_at(binary_of(own))
    assert built_at(binary_of(own)) == first


@pytest.mark.parametrize("changed", ["own.c", "own.h"])
def test_change_of_an_input_builds_again(own: Path, changed: str) -> None:
    before = load(binary_of(own)).digest
    path = own / changed
    path.write_text(path.read_text().replace("LIMIT 60", "LIMIT 61").replace("now > 0", "now > 1"))
    assert load(binary_of(own)).digest != before


def test_older_timestamp_does_not_hide_a_change(own: Path) -> None:
    before = load(binary_of(own)).digest
    (own / "own.h").write_text(HEADER.replace("60", "61"))
    os.utime(own / "own.h", (0, 0))
    assert load(binary_of(own)).digest != before


def test_change_of_flags_builds_again(own: Path) -> None:
    out = own / "own.so"
    build_nf([own / "own.c"], out)
    first = built_at(out)
    build_nf([own / "own.c"], out, flags=[*FLAGS, "-O3"])
    assert built_at(out) != first


@pytest.mark.parametrize("damage", ["removed", "altered", "record cut"])
def test_damaged_output_is_built_again(own: Path, damage: str) -> None:
    out = binary_of(own)
    content = out.read_bytes()
    record = own / ".vigor" / "own.so.json"
    if damage == "removed":
        out.unlink()
    elif damage == "altered":
        out.write_bytes(b"not what was built")
    else:
        record.write_text(record.read_text()[:50])
        out.write_bytes(b"not what was built")
    assert binary_of(own).read_bytes() == content


def test_same_inputs_give_the_same_binary(own: Path) -> None:
    first = binary_of(own).read_bytes()
    build_nf([own / "own.c"], own / "own.so", always=True)
    assert (own / "own.so").read_bytes() == first


def test_processes_at_the_same_time_build_once(own: Path) -> None:
    script = f"from pathlib import Path; from pytest_vigor.build import binary_of; print(binary_of(Path({str(own)!r})))"

    def run(_: int) -> str:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(4))) == {f"{own}/own.so\n"}
    load(own / "own.so")
    assert sorted(path.name for path in own.iterdir()) == [".vigor", "own.c", "own.h", "own.so"]


def test_folder_keeps_its_records_out_of_git(own: Path) -> None:
    binary_of(own)
    assert (own / ".vigor" / ".gitignore").read_text() == "*\n"


def test_libvig_builds(tmp_path: Path, compiler: str) -> None:
    out = build_libvig(tmp_path / "libvig.so", cc=compiler)
    assert {"map_get", "vector_borrow", "flow_table_put", "index_pool_alloc"} <= load(out, required=()).exports.keys()


def test_clang_takes_the_same_flags(own: Path, compiler: str) -> None:
    load(build_nf([own / "own.c"], own / f"{compiler}.so", cc=compiler))


def test_checkout_keeps_libvig_in_its_build_folder() -> None:
    if libvig_root().name == "libvig":
        assert default_libvig() == libvig_root().parent / "build" / "libvig.so"


def test_compile_error_shows_the_compilers_words(own: Path) -> None:
    (own / "own.c").write_text(SOURCE.replace("NF_DROP", "NF_DORP"))
    with pytest.raises(BuildError) as caught:
        binary_of(own)
    assert str(caught.value).startswith(f"{own}/own.c does not compile: correct what the compiler reports\n")
    assert "own.c:6:" in caught.value.detail
    assert "NF_DORP" in caught.value.detail
    assert not (own / "own.so").exists()


def test_error_within_a_macro_names_the_line_that_uses_it(own: Path) -> None:
    text = "struct nf_state {\n    MAP(seen, int)\n    VECTOR(used, int);\n};\n"
    (own / "own.c").write_text('#include "typed.h"\n' + text + SOURCE)
    with pytest.raises(BuildError) as caught:
        binary_of(own)
    assert "own.c:4:" in caught.value.detail, caught.value.detail


def test_warning_is_an_error(own: Path) -> None:
    (own / "own.c").write_text(SOURCE.replace("LIMIT &&", "-LIMIT &&"))
    with pytest.raises(BuildError, match="does not compile"):
        binary_of(own)


def test_missing_compiler_says_what_to_install(own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError) as caught:
        binary_of(own)
    assert str(caught.value) == (
        "this machine has no C compiler: install one with `apt-get install gcc libc6-dev`, "
        "or name yours in the environment variable CC"
    )


def test_unknown_compiler_in_cc_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-cc -m64")
    with pytest.raises(BuildError, match="the C compiler no-such-cc is not there"):
        binary_of(own)


def test_missing_c_library_says_what_to_install(own: Path) -> None:
    with pytest.raises(BuildError, match="apt-get install libc6-dev"):
        build_nf([own / "own.c"], own / "own.so", flags=[*FLAGS, "-nostdinc"])


def test_missing_source_is_named(own: Path) -> None:
    with pytest.raises(BuildError, match=r"gone\.c is not there"):
        build_nf([own / "gone.c"], own / "own.so")


def test_output_that_cannot_be_written_is_named(own: Path) -> None:
    with pytest.raises(BuildError, match="cannot be written"):
        build_nf([own / "own.c"], own / "own.h" / "own.so")
