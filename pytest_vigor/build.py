"""Building NFs and libVig, each only when something that goes into it has changed.

libVig stands in two places: in a checkout (an editable installation included) it is `libvig/` beside `pytest_vigor/`;
a wheel carries the same folder, C sources and contracts alike, as `pytest_vigor/_libvig/`. The contracts are loaded by
their path, from `contract_files`, so that no other package called libvig can take their place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_vigor.compiler import Compiler, find_compiler, first_errors
from pytest_vigor.errors import BuildError

FLAGS = (
    "-std=c11",
    "-O2",
    "-g",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Werror",
)

# The runtimes are programs; a NIC's frames pass them one by one.
RUNTIME_FLAGS = ("-std=c11", "-O3", "-g", "-fPIE", "-pie", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ldl")
IOS = ("linux", "dpdk")

# Locks and records go to a folder of this name beside the output.
RECORDS = ".vigor"

_PACKAGE = Path(__file__).resolve().parent


def libvig_root() -> Path:
    """The folder of libVig's headers, sources and contracts."""
    for candidate in (_PACKAGE / "_libvig", _PACKAGE.parent / "libvig"):
        if (candidate / "nf.h").is_file():
            return candidate
    raise BuildError(f"libVig is neither in {_PACKAGE} nor beside it", "install pytest-vigor again")


def include_flags() -> tuple[str, ...]:
    """What an NF's compiler must be told to find libVig's headers."""
    return (f"-I{libvig_root()}",)


def contract_files() -> tuple[Path, ...]:
    """The contracts of libVig's own structures."""
    return tuple(sorted(libvig_root().glob("*/contract.py")))


def libvig_sources() -> tuple[Path, ...]:
    """The C files that libVig's structures consist of; the runtimes are programs of their own."""
    root = libvig_root()
    return tuple(sorted(path for path in root.glob("*/*.c") if path.parent.name != "runtime"))


def build_nf(
    sources: Sequence[Path], out: Path, cc: str | None = None, flags: Sequence[str] = FLAGS, always: bool = False
) -> Path:
    """Builds a shared object from C sources that include libVig; does nothing if it is there and up to date."""
    sources = [source.resolve() for source in sources]
    missing = [str(source) for source in sources if not source.is_file()]
    if missing or not sources:
        raise BuildError(f"{', '.join(missing) or 'the C file'} is not there", "check the path of the NF's folder")
    out = out.resolve()
    compiler = find_compiler(cc)
    recipe = {
        "compiler": compiler.identity,
        "flags": [*flags, *include_flags()],
        "sources": [str(source) for source in sources],
    }
    record_path = _records_folder(out) / f"{out.name}.json"
    if not always and _is_current(out, record_path, recipe):
        return out
    with _locked(out):
        # Another process may have built it while this one waited.
        if always or not _is_current(out, record_path, recipe):
            inputs = _compile(sources, out, compiler, recipe["flags"])
            record = recipe | {"inputs": {str(path): _digest(path) for path in inputs}, "output": _digest(out)}
            _replace(record_path, json.dumps(record, indent=1))
    return out


def build_libvig(out: Path | None = None, cc: str | None = None, flags: Sequence[str] = FLAGS) -> Path:
    """Builds libVig as a shared object, by default where `default_libvig` says."""
    return build_nf(libvig_sources(), out or default_libvig(), cc, flags)


def build_runtime(io: str, cc: str | None = None) -> Path:
    """Builds the program that runs NFs with one kind of I/O."""
    folder = libvig_root() / "runtime"
    sources = [folder / f"{name}.c" for name in ("main", "nf", "confine", io)]
    # A newer DPDK is another library, so it gets a program of its own.
    version, flags = (_dpdk_version(), dpdk_flags()) if io == "dpdk" else ("", ())
    out = default_libvig().with_name("-".join(filter(None, ("runtime", io, version))))
    return build_nf(sources, out, cc, [*RUNTIME_FLAGS, *flags])


def dpdk_flags() -> tuple[str, ...]:
    """How to compile and link with DPDK."""
    # Its headers do not live up to our warnings.
    flags = ("-isystem" + flag[2:] if flag.startswith("-I") else flag for flag in _pkg_config("--cflags").split())
    return (*flags, *_pkg_config("--libs").split())


def _dpdk_version() -> str:
    return _pkg_config("--modversion").strip()


def _pkg_config(option: str) -> str:
    try:
        return subprocess.run(["pkg-config", option, "libdpdk"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        remedy = "install it with `apt-get install --no-install-recommends libdpdk-dev pkg-config`"
        raise BuildError("DPDK is not there for the C compiler", remedy) from error


def default_libvig() -> Path:
    """`build/libvig.so` of a checkout; for an installed package, in the user's cache."""
    if libvig_root().parent == _PACKAGE:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        name = hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:12]
        return cache / "pytest-vigor" / name / "libvig.so"
    return _PACKAGE.parent / "build" / "libvig.so"


def binary_of(nf_dir: Path) -> Path:
    """The shared object of the NF in a folder such as nfs/bridge: nfs/bridge/bridge.so, built if need be."""
    folder = nf_dir.resolve()
    main = folder / f"{folder.name}.c"
    if not main.is_file():
        what = f"{folder} holds no network function, for lack of {main.name}"
        raise BuildError(what, "name the .c file as its folder")
    return build_nf(sorted(folder.glob("*.c")), folder / f"{folder.name}.so")


def _is_current(out: Path, record_path: Path, recipe: dict[str, Any]) -> bool:
    try:
        record = json.loads(record_path.read_text())
        if any(record[key] != value for key, value in recipe.items()) or record["output"] != _digest(out):
            return False
        return all(_digest(Path(path)) == digest for path, digest in record["inputs"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Missing, cut short, or another version's: the safe answer is to build.
        return False


def _compile(sources: Sequence[Path], out: Path, compiler: Compiler, flags: Sequence[str]) -> list[Path]:
    """Compiles, links and puts the result in place at once; returns every file that went into it."""
    inputs: dict[Path, None] = dict.fromkeys(sources)
    linking = ("-shared", "-pie", "-Wl,", "-l", "-L")
    with tempfile.TemporaryDirectory(dir=_records_folder(out), prefix="build-") as temporary:
        objects = []
        for number, source in enumerate(sources):
            stem = Path(temporary) / str(number)
            # System headers belong to the compiler's identity, hence -MMD.
            listing = ["-MMD", "-MF", f"{stem}.d", "-MT", "out"]
            compile_flags = [flag for flag in flags if not flag.startswith(linking)]
            _run(compiler, [*compile_flags, *listing, "-c", str(source), "-o", f"{stem}.o"], source)
            inputs |= dict.fromkeys(_listed(Path(f"{stem}.d").read_text(), source.parent))
            objects.append(f"{stem}.o")
        # clang warns of flags that linking has no use for, and -Werror makes that an error.
        linked = f"{temporary}/{out.name}"
        _run(compiler, [*objects, *flags, "-Wno-unused-command-line-argument", "-o", linked], sources[0])
        os.replace(linked, out)
    return list(inputs)


def _run(compiler: Compiler, arguments: list[str], source: Path) -> None:
    result = compiler.run(arguments, source.parent)
    if result.returncode == 0:
        return
    if re.search(r"fatal error: '?(assert|std\w+|string)\.h|cannot find \S*crt\w+\.o", result.stderr):
        what = f"{source} does not compile, because the C library's headers are not there"
        raise BuildError(what, "install them with `apt-get install libc6-dev`")
    command = shlex.join([*compiler.command, *arguments])
    detail = f"{first_errors(result.stderr)}\nin: {command}"
    raise BuildError(f"{source} does not compile", "correct what the compiler reports", detail)


def _listed(rule: str, folder: Path) -> Iterator[Path]:
    """The files that a make rule written by the compiler names."""
    _, _, names = rule.replace("\\\n", " ").partition(":")
    for name in re.findall(r"(?:\\.|[^\s\\])+", names):
        yield folder / re.sub(r"\\(.)", r"\1", name).replace("$$", "$")


def _records_folder(out: Path) -> Path:
    folder = out.parent / RECORDS
    if not folder.is_dir():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Keeps itself out of whatever repository it is in.
            (folder / ".gitignore").write_text("*\n")
        except OSError as error:
            raise BuildError(f"{out} cannot be written ({error.strerror})", "make its folder writable") from error
    return folder


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    from filelock import FileLock

    try:
        lock = FileLock(_records_folder(out) / f"{out.name}.lock")
        lock.acquire()
    except OSError as error:
        raise BuildError(f"{out} cannot be written ({error.strerror})", "make its folder writable") from error
    try:
        yield
    finally:
        lock.release()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, path)
