"""Loading shared objects: what the dynamic loader would do, and nothing that it would not."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_vigor.binary import Binary, load
from pytest_vigor.compiler import find_compiler
from pytest_vigor.errors import BinaryError
from pytest_vigor.layout import IMAGE_BASE, IMPORT_BASE
from pytest_vigor.lines import Lines, source

VISIBLE = '__attribute__((visibility("default")))'
SOURCE = f"""
#define VISIBLE {VISIBLE}
extern int imported(int x);
extern int other_imported(int x);
__attribute__((weak)) extern int absent(int x);
VISIBLE int callback(int x) {{ return x + 1; }}
VISIBLE int table[100] = {{1, 2, 3}};
VISIBLE long zeroes[5000];
VISIBLE int (*const callbacks[2])(int) = {{callback, imported}};
VISIBLE int *middle = &table[2];
static int hidden = 7;
static const char text[] = "constant text";
VISIBLE const char *const texts[] = {{text, text + 9}};
VISIBLE int (*chosen(void))(int) {{ return callback; }}
VISIBLE int nf_init(void)
{{
    return (absent ? absent(1) : imported(hidden++)) + other_imported(table[1]) + *middle;
}}
VISIBLE int nf_process(void) {{ return callbacks[1](zeroes[3]) + texts[1][0]; }}
"""

Compile = Callable[..., Path]


@pytest.fixture
def compile_(tmp_path: Path) -> Compile:
    def run(text: str = SOURCE, *flags: str, cc: str | None = None, shared: Sequence[str] = ("-shared",)) -> Path:
        if cc is not None and shutil.which(cc) is None:
            pytest.skip(f"{cc} is not installed")
        path, out = tmp_path / "own.c", tmp_path / "own.so"
        path.write_text(text)
        command = [*find_compiler(cc).command, "-O2", "-fPIC", "-fvisibility=hidden", *shared, *flags]
        subprocess.run([*command, str(path), "-o", str(out)], check=True)
        return out

    return run


def pointer(binary: Binary, address: int) -> int:
    value: int = struct.unpack("<Q", binary.read(address, 8))[0]
    return value


def refusal(path: Path) -> str:
    with pytest.raises(BinaryError) as caught:
        load(path)
    return str(caught.value).removeprefix(f"{path} ")


VARIANTS = {
    "plain": (),
    "debug": ("-g",),
    "stripped": ("-s",),
    "lazy": ("-Wl,-z,lazy",),
    "now": ("-Wl,-z,relro,-z,now",),
    "no relro": ("-Wl,-z,norelro",),
    "symbolic": ("-Wl,-Bsymbolic",),
    "no plt": ("-fno-plt",),
    "old hash": ("-Wl,--hash-style=sysv",),
    "one segment": ("-Wl,-z,noseparate-code",),
    "optimised": ("-O3", "-march=x86-64-v3"),
    "unoptimised": ("-O0",),
}


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("flags", VARIANTS.values(), ids=VARIANTS)
def test_image_is_what_the_loader_makes(compile_: Compile, flags: Sequence[str], cc: str) -> None:
    binary = load(compile_(SOURCE, *flags, cc=cc))
    assert set(binary.exports) == {"callback", "chosen", "nf_init", "nf_process"}
    assert set(binary.objects) == {"table", "zeroes", "callbacks", "middle", "texts"}
    assert set(binary.imports.values()) == {"imported", "other_imported"}
    assert sorted(binary.imports) == [IMPORT_BASE, IMPORT_BASE + 16]
    address = {name: address for address, name in binary.imports.items()}
    start, size_bytes = binary.objects["table"]
    assert size_bytes == 400
    assert struct.unpack("<4i", binary.read(start, 16)) == (1, 2, 3, 0)
    assert binary.read(start + 16, 384) == bytes(384)
    assert binary.read(*binary.objects["zeroes"]) == bytes(40000)
    assert pointer(binary, binary.objects["middle"][0]) == start + 8
    callbacks = binary.objects["callbacks"][0]
    assert pointer(binary, callbacks) == binary.exports["callback"]
    assert pointer(binary, callbacks + 8) == address["imported"]
    words = pointer(binary, binary.objects["texts"][0] + 8)
    assert binary.read(words, 5) == b"text\0"
    assert binary.executable(binary.exports["nf_init"])
    assert binary.writable(start) and not binary.executable(start)
    assert not binary.writable(words) and not binary.writable(binary.exports["nf_init"])


def test_import_slots_are_constants_even_without_relro(compile_: Compile) -> None:
    for flags in (["-Wl,-z,norelro"], ["-Wl,-z,lazy"], ["-Wl,-z,now"]):
        binary = load(compile_(SOURCE, *flags))
        slots = {each.symbol: IMAGE_BASE + each.offset for each in binary.relocations}
        for name in ("imported", "other_imported", "absent"):
            assert not binary.writable(slots[name]), (flags, name)
            assert binary.constant(slots[name], 8) == binary.read(slots[name], 8)
        assert binary.constant(binary.objects["middle"][0], 8) is None


def test_relro_data_is_constant_once_relocated(compile_: Compile) -> None:
    binary = load(compile_())
    start, size_bytes = binary.objects["callbacks"]
    assert binary.constant(start, size_bytes) == binary.read(start, size_bytes)
    assert not binary.writable(start)


def test_weak_symbol_that_nobody_defines_is_null(compile_: Compile) -> None:
    binary = load(compile_())
    (slot,) = (each for each in binary.relocations if each.symbol == "absent")
    assert pointer(binary, IMAGE_BASE + slot.offset) == 0


def test_own_functions_are_reached_through_the_table(compile_: Compile) -> None:
    """A callback handed to a library comes out of the global offset table, because another object could define it."""
    binary = load(compile_())
    start, size_bytes = binary.objects["callbacks"]
    places = {IMAGE_BASE + each.offset for each in binary.relocations if each.symbol == "callback"}
    (slot,) = places - set(range(start, start + size_bytes))
    assert pointer(binary, slot) == binary.exports["callback"]
    assert binary.constant(slot, 8) is not None


def test_native_loader_agrees_on_every_byte(compile_: Compile) -> None:
    """The same image, as glibc made it, read from a process that has loaded it."""
    text = SOURCE + f"{VISIBLE} int imported(int x) {{ return x; }} {VISIBLE} int other_imported(int x) {{ return x; }}"
    path = compile_(text, "-Wl,-z,now")
    binary = load(path)
    script = f"""
import ctypes, sys
library = ctypes.CDLL({str(path)!r}, mode=2)
base = ctypes.cast(library.nf_init, ctypes.c_void_p).value - {binary.exports["nf_init"] - IMAGE_BASE}
print(base)
for start, size in {[(each.address - IMAGE_BASE, each.size_bytes) for each in binary.segments]}:
    print(ctypes.string_at(base + start, size).hex())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, *contents = result.stdout.splitlines()
    slid = int(first) - IMAGE_BASE
    differing: set[int] = set()
    for segment, native in zip(binary.segments, contents, strict=True):
        ours, theirs = binary.read(segment.address, segment.size_bytes), bytes.fromhex(native)
        for offset in range(0, segment.size_bytes - 7, 8):
            (a,), (b,) = (struct.unpack_from("<Q", each, offset) for each in (ours, theirs))
            if a != b and a + slid != b:
                differing.add(segment.address + offset)
    # The loader's own notes at the start of the table, what libc fills in for itself, and the crt's own flag.
    runtime = {"__cxa_finalize", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__"}
    known = {IMAGE_BASE + each.offset for each in binary.relocations if each.symbol in runtime}
    start = _dynamic_address(path)
    assert {each for each in differing - known if not start <= each < start + 0x300} == set()


def _dynamic_address(path: Path) -> int:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        (found,) = (each["p_vaddr"] for each in ELFFile(stream).iter_segments() if each["p_type"] == "PT_DYNAMIC")
    return IMAGE_BASE + int(found)


def test_packed_relative_relocations(compile_: Compile) -> None:
    try:
        path = compile_(SOURCE, "-Wl,-z,pack-relative-relocs", "-Werror")
    except subprocess.CalledProcessError:
        pytest.skip("this linker does not know -z pack-relative-relocs")
    if b"(RELR)" not in subprocess.run(["readelf", "-d", path], capture_output=True, check=True).stdout:
        pytest.skip("this linker does not know -z pack-relative-relocs")
    binary = load(path)
    assert pointer(binary, binary.objects["middle"][0]) == binary.objects["table"][0] + 8


def test_no_section_headers(compile_: Compile) -> None:
    path = compile_()
    before = load(path)
    content = bytearray(path.read_bytes())
    content[40:48] = bytes(8)
    content[58:64] = bytes(6)
    path.write_bytes(content)
    after = load(path)
    assert (after.exports, after.objects, after.imports) == (before.exports, before.objects, before.imports)
    # The file's own header is at the start of the first one.
    assert after.segments[1:] == before.segments[1:]
    assert after.digest != before.digest


def test_initialisers_are_known(compile_: Compile) -> None:
    plain = load(compile_())
    text = SOURCE + "__attribute__((constructor)) static void early(void) { table[0] = 5; }"
    assert len(load(compile_(text)).initialisers) == len(plain.initialisers) + 1


def test_addresses_outside_are_not_there(compile_: Compile) -> None:
    binary = load(compile_())
    assert binary.segment(IMAGE_BASE - 1) is None
    assert not binary.writable(0) and not binary.executable(0)
    assert binary.constant(0, 8) is None
    last = binary.segments[-1].end
    assert binary.segment(last - 1) is not None and binary.segment(last - 1, 2) is None
    with pytest.raises(BinaryError):
        binary.read(last - 1, 2)


def test_large_zeroes_take_no_memory(compile_: Compile) -> None:
    binary = load(compile_(SOURCE.replace("zeroes[5000]", "zeroes[1l << 33]")))
    assert max(len(segment.data) for segment in binary.segments) < 10_000
    assert binary.read(binary.objects["zeroes"][0] + (1 << 35), 8) == bytes(8)


BROKEN = {
    "missing function": (
        SOURCE.replace("nf_process", "process"),
        (),
        "does not export nf_process: define what nf.h declares as it does, with default visibility",
    ),
    "hidden functions": (
        SOURCE.replace("VISIBLE int nf_", "int nf_"),
        (),
        "does not export nf_init and nf_process: ",
    ),
    "own thread-local variable": (
        SOURCE.replace("static int hidden", "static _Thread_local int hidden"),
        (),
        "has thread-local variables: remove _Thread_local",
    ),
    "foreign thread-local variable": (
        "extern _Thread_local int there;\n" + SOURCE.replace("hidden++", "there"),
        (),
        "thread-local",
    ),
    "chosen while loading": (
        SOURCE
        + "typedef int function(int); static function *choose(void) { return callback; }\n"
        + 'VISIBLE int dispatched(int x) __attribute__((ifunc("choose")));',
        (),
        "chooses dispatched while it is loaded (IFUNC): build without",
    ),
    "hidden and chosen while loading": (
        SOURCE.replace("hidden++", "dispatched(1)").replace(
            "VISIBLE int nf_init",
            "typedef int function(int); static function *choose(void) { return callback; }\n"
            'static int dispatched(int x) __attribute__((ifunc("choose")));\nVISIBLE int nf_init',
        ),
        (),
        "needs the relocation R_X86_64_IRELATIVE: ",
    ),
}


@pytest.mark.parametrize(("text", "flags", "message"), BROKEN.values(), ids=BROKEN)
def test_refusal_says_what_to_do(compile_: Compile, text: str, flags: Sequence[str], message: str) -> None:
    assert message in refusal(compile_(text, *flags))


def test_executables_and_objects_are_refused(compile_: Compile) -> None:
    rest = ("int main(void)", "int imported(int x)", "int other_imported(int x)")
    whole = SOURCE + " ".join(f"{function} {{ return 0; }}" for function in rest)
    assert refusal(compile_(SOURCE, shared=["-c"])) == (
        "is an object file that is not linked, not a shared object: build it with `-shared -fPIC` for x86-64"
    )
    assert refusal(compile_(whole, shared=["-no-pie"])).startswith("is an executable, not a shared object: ")
    assert refusal(compile_(whole, shared=["-static"])).startswith("is an executable, not a shared object: ")
    assert refusal(compile_(whole, shared=["-static-pie"])).startswith(("is ", "needs ", "does not ", "has "))
    assert refusal(compile_(whole, shared=["-pie"])).startswith("does not export nf_init and nf_process: ")


def test_other_files_are_refused(tmp_path: Path, compile_: Compile) -> None:
    path = tmp_path / "file"
    assert refusal(path) == "cannot be read (No such file or directory): build it, or correct the path"
    path.write_text("#!/bin/sh\n")
    assert refusal(path) == "is no ELF file: build it with `-shared -fPIC` for x86-64"
    path.write_bytes(b"")
    assert refusal(path).startswith("is no ELF file")
    path.unlink()
    path.mkdir()
    assert refusal(path).startswith("cannot be read (Is a directory)")


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({4: 1}, "is for 32-bit"),
        ({18: 40}, "is for 64-bit ARM, not for x86-64"),
        ({18: 183}, "is for 64-bit AARCH64, not for x86-64"),
        ({4: 9}, "is damaged"),
    ],
    ids=["32 bit", "ARM", "AArch64", "no class"],
)
def test_other_machines_are_refused(compile_: Compile, patch: dict[int, int], message: str) -> None:
    path = compile_()
    content = bytearray(path.read_bytes())
    for place, value in patch.items():
        content[place] = value
    path.write_bytes(content)
    assert message in refusal(path)


def test_cut_and_altered_files_never_crash(compile_: Compile) -> None:
    path = compile_(SOURCE, "-g")
    content = path.read_bytes()
    for length in (4, 16, 63, 64, 100, 500, 1000, 4096, 5000, len(content) // 2):
        path.write_bytes(content[:length])
        assert refusal(path)
    state = 1
    for _ in range(150):
        # Any sequence does; this one is the same on every machine.
        state = state * 6364136223846793005 % (1 << 64) + 1
        altered = bytearray(content)
        place = (state >> 33) % min(len(content), 0x2000)
        altered[place] = (state >> 20) & 255
        path.write_bytes(altered)
        try:
            binary = load(path)
        except BinaryError:
            continue
        Lines(path).at(binary.exports["nf_init"])


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("dwarf", ["-gdwarf-4", "-gdwarf-5"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_every_line_belongs_to_the_function_it_is_in(compile_: Compile, cc: str, dwarf: str, level: str) -> None:
    text = """
    static inline int inner(int x)
    {
        return x * 12345; /* inner */
    }
    extern int beyond(int x);
    int nf_init(int x)
    {
        x += inner(beyond(x)); /* nf_init */
        return x;
    }
    int nf_process(int x) { return beyond(x); }
    """
    path = compile_(text, dwarf, level, "-fvisibility=default", cc=cc)
    binary, lines = load(path), Lines(path)
    start = binary.exports["nf_init"]
    found = [line for offset in range(200) if (line := lines.at(start + offset))]
    assert {line.file for line in found} == {str(path.with_suffix(".c"))}
    marked = {(line.function, source(line).rpartition("/* ")[2]) for line in found if "/*" in source(line)}
    if level == "-O2":
        assert marked == {("inner", "inner */"), ("nf_init", "nf_init */")}
    else:
        assert marked <= {("inner", "inner */"), ("nf_init", "nf_init */")}
        assert ("nf_init", "nf_init */") in marked
    assert str(found[0]) == f"{path.with_suffix('.c')}:{found[0].line}"


def test_no_lines_without_debug_information(compile_: Compile) -> None:
    for flags in ([], ["-g", "-s"]):
        path = compile_(SOURCE, *flags)
        assert Lines(path).at(load(path).exports["nf_init"]) is None


def test_no_lines_outside_the_code(compile_: Compile) -> None:
    path = compile_(SOURCE, "-g")
    lines = Lines(path)
    assert lines.at(IMAGE_BASE) is None
    assert lines.at(load(path).segments[-1].end) is None
    assert lines.at(0) is None


def test_file_without_sections_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"no ELF")
    assert Lines(path).at(IMAGE_BASE) is None
