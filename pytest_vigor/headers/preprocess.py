"""From a header file to text that pycparser can read: the C preprocessor, then what is not plain C11 taken out.

Line numbers survive every step, so that each error can name its line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_vigor.compiler import Compiler, first_errors
from pytest_vigor.errors import HeaderError

INCLUDE = Path(__file__).parent / "include"

# Stands as the first member of a struct whose attributes said "packed", which pycparser has no place for.
PACKED = "vigor_packed_marker"

_LAYOUT_ATTRIBUTES = {"packed", "aligned", "warn_if_not_aligned", "mode", "vector_size", "ms_struct", "gcc_struct",
                      "scalar_storage_order"}  # fmt: skip
_WORDS = {
    "__extension__": "",
    "__inline": "inline",
    "__inline__": "inline",
    "__restrict": "",
    "__restrict__": "",
    "restrict": "",
    "__const": "const",
    "__const__": "const",
    "__signed__": "signed",
    "__volatile__": "volatile",
    "_Noreturn": "",
    "__alignof__": "_Alignof",
}
_TOKEN = re.compile(
    r"""(?P<directive>^\#[^\n]*) | (?P<newline>\n) | (?P<space>[ \t\f\v\r]+)
    | (?P<word>[A-Za-z_]\w*) | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*) | (?P<mark>.)""",
    re.VERBOSE | re.MULTILINE,
)
_LINE_MARKER = re.compile(r'# (\d+) "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """A header as pycparser gets to see it. `macros` are the object-like ones of the header's own file."""

    text: str
    digest: str
    files: tuple[str, ...]
    macros: tuple[str, ...]


def preprocess(path: Path, include_dirs: Sequence[Path], compiler: Compiler) -> Preprocessed:
    """Runs the preprocessor and takes out what pycparser cannot read."""
    text = _run(path, include_dirs, compiler, ["-dD", str(path)], "")
    files: dict[str, None] = {}
    macros: dict[str, None] = {}
    lines = []
    file = ""
    for line in text.splitlines():
        marker = _LINE_MARKER.match(line)
        if marker:
            file = marker[2].replace("\\\\", "\\").replace('\\"', '"')
            if not file.startswith("<"):
                files[file] = None
        elif line.startswith(("#define ", "#undef ")):
            directive, name = line.split(maxsplit=2)[:2]
            # The parenthesis of a function-like macro touches its name.
            if file == str(path) and "(" not in name and directive == "#define":
                macros[name] = None
            line = ""
        lines.append(line)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Preprocessed(_plain("\n".join(lines) + "\n"), digest, tuple(files), tuple(macros))


def expand(path: Path, include_dirs: Sequence[Path], compiler: Compiler, names: Sequence[str]) -> dict[str, str]:
    """What the macros of those names stand for, themselves fully expanded."""
    if not names:
        return {}
    mark = "vigor_expansion"
    asked = "".join(f"{mark} {number} {name}\n" for number, name in enumerate(names))
    text = _run(path, include_dirs, compiler, ["-P", "-include", str(path), "-"], asked)
    found = re.findall(rf"^{mark} (\d+)\b(.*)", text, re.MULTILINE)
    return {names[int(number)]: expansion.strip() for number, expansion in found}


def _run(path: Path, include_dirs: Sequence[Path], compiler: Compiler, arguments: list[str], stdin: str) -> str:
    folders = [argument for folder in (INCLUDE, *include_dirs) for argument in ("-I", str(folder))]
    # The path comes last and is absolute: line markers repeat it as it is written here.
    command = ["-E", "-x", "c", "-std=c11", "-nostdinc", *folders, *arguments]
    result = compiler.run(command, path.parent, stdin)
    if result.returncode == 0:
        return result.stdout
    message = first_errors(result.stderr, 1)
    missing = re.search(r"([^\s:']+\.h)\W* (?:No such file|file not found)", message)
    if missing:
        known = ", ".join(f"<{file.name}>" for file in sorted(INCLUDE.glob("*.h")))
        remedy = f"an NF's header may include libVig and {known}; include {missing[1]} in the .c file instead"
        raise HeaderError(message, remedy)
    raise HeaderError(message or f"{path} cannot be preprocessed", "correct the header")


def _plain(text: str) -> str:
    return _Cleaner(text).clean()


class _Cleaner:
    """One pass over the tokens of a preprocessed header."""

    def __init__(self, text: str) -> None:
        self.tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(text)]
        self.position = 0
        self.out: list[str] = []
        # The tokens so far that are not blank; the places in `out` of each open `{` and of the one closed last, or -1
        # for an enum's, which packing cannot be marked in.
        self.solid: list[str] = []
        self.open: list[int] = []
        self.closed = -1
        self.packed_next = False
        self.file = ""
        self.line = 1

    def clean(self) -> str:
        while self.position < len(self.tokens):
            self._step()
        return "".join(self.out)

    def _step(self) -> None:
        kind, token = self._take()
        if kind == "directive":
            self._directive(token)
        elif kind in ("newline", "space"):
            self.out.append(token)
        elif token in ("__attribute__", "__attribute"):
            self._attribute(self._parentheses())
        elif token in ("__asm__", "__asm"):
            self._parentheses()
        elif token in ("_Alignas", "alignas"):
            raise self._error("an alignment of its own", "leave the alignment to the compiler")
        elif token == "_Static_assert":
            self._parentheses()
            if self._peek() == ";":
                self._skip_blank()
                self._take()
        elif token == "{" and not self.open and self._last() == ")":
            self._function_body()
        elif token == "{":
            self.open.append(-1 if "enum" in self.solid[-2:] else len(self.out))
            self._put(f"{{ int {PACKED};" if self.packed_next else token)
            self.packed_next = False
        else:
            if token == "}" and self.open:
                self.closed = self.open.pop()
            self._put(_WORDS.get(token, token))

    def _directive(self, token: str) -> None:
        marker = _LINE_MARKER.match(token)
        if marker:
            # The newline after the marker counts as well.
            self.line, self.file = int(marker[1]) - 1, marker[2]
            self.out.append(f'#line {marker[1]} "{marker[2]}"')
        elif re.match(r"#\s*pragma\s+(pack|scalar_storage_order|ms_struct|options)\b", token):
            raise self._error(f"`{token.strip()}`", "put __attribute__((packed)) behind the struct's closing brace")

    def _attribute(self, content: str) -> None:
        found = {name.strip("_") for name in re.findall(r"[A-Za-z_]\w*", content)} & _LAYOUT_ATTRIBUTES
        if not found:
            return
        before = self._last()
        if found == {"packed"} and before in ("struct", "union"):
            self.packed_next = True
        elif found == {"packed"} and before == "}" and self.closed >= 0:
            self.out[self.closed] = f"{{ int {PACKED};"
        else:
            what = f"the attribute {min(found - {'packed'} or found)} here"
            raise self._error(what, "of the attributes that change a layout, write only packed, behind a struct's }")

    def _function_body(self) -> None:
        depth = 1
        self._put(";")
        while depth and self.position < len(self.tokens):
            kind, token = self._take()
            if kind == "newline":
                self.out.append(token)
            elif kind == "directive":
                self._directive(token)
            depth += (token == "{") - (token == "}")

    def _parentheses(self) -> str:
        if self._peek() != "(":
            raise self._error(f"`{self.tokens[self.position - 1][1]}` without a parenthesis", "correct the header")
        content = []
        depth = 0
        while self.position < len(self.tokens):
            kind, token = self._take()
            if kind == "newline":
                self.out.append(token)
            content.append(token)
            depth += (token == "(") - (token == ")")
            if depth == 0 and token == ")":
                break
        return "".join(content)

    def _take(self) -> tuple[str, str]:
        kind, token = self.tokens[self.position]
        self.position += 1
        self.line += kind == "newline"
        return kind, token

    def _skip_blank(self) -> None:
        while self.position < len(self.tokens) and self.tokens[self.position][0] in ("newline", "space"):
            self.out.append(self._take()[1])

    def _peek(self) -> str:
        ahead = self.position
        while ahead < len(self.tokens) and self.tokens[ahead][0] in ("newline", "space"):
            ahead += 1
        return self.tokens[ahead][1] if ahead < len(self.tokens) else ""

    def _put(self, token: str) -> None:
        self.solid.append(token)
        self.out.append(token)

    def _last(self) -> str:
        return self.solid[-1] if self.solid else ""

    def _error(self, what: str, remedy: str) -> HeaderError:
        return HeaderError(f"{self.file}:{self.line}: {what} is not understood", remedy)
