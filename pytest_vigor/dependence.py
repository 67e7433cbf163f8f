"""What contracts say, and what a property's outcome depends on besides the network function: digests, by which what was
found out is known again."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_PACKAGE = str(Path(__file__).parent)
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_OF_INSTALLED = ("site-packages", "dist-packages")
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_NEVER_AGAIN = token_hex(8)


class Dependence:
    """Digests of what properties or contracts depend on; the text of each module is looked at once."""

    def __init__(self, plugins: Sequence[ModuleType] = ()) -> None:
        """``plugins`` are modules that any property may depend on, such as conftest.py."""
        self._plugins = sorted(plugin.__name__ for plugin in plugins if _is_own(plugin))
        self._files: dict[str, tuple[str, frozenset[str]]] = {}

    def digest(self, module: str, name: str, arguments: Mapping[str, Any]) -> str | None:
        """Of the function with a name in a module, called with these arguments; None where nobody can tell, as an
        argument is not plain data."""
        try:
            return self._digest(module, name, plain(dict(arguments)))
        except RecursionError:  # data that contains itself
            return None

    def data(self, module: str, arguments: Mapping[str, Any]) -> str | None:
        """Of what a function in a module has from outside of itself, as it is now and as far as that can be told in
        this process; None for data that contains itself."""
        try:
            return self._digest(module, "", _part(dict(arguments)))
        except RecursionError:
            return None

    def of_modules(self, modules: Sequence[ModuleType]) -> str:
        """Of the text of some modules, wherever they lie, and of what they import."""
        parts: list[str] = []
        imported: set[str] = set()
        for each in modules:
            text, its = _text(str(each.__file__), each.__name__)
            parts.append(f"{each.__name__} {text} {_data(each.__name__, vars(each))}")
            imported.update(its)
        return _sum([sys.version, str(sys.flags.optimize)], [*parts, *self._reached(sorted(imported))])

    def _digest(self, module: str, name: str, shown: str | None) -> str | None:
        if shown is None or module not in sys.modules:
            return None
        return _sum(
            [sys.version, str(sys.flags.optimize), module, name, shown], self._reached([module, *self._plugins])
        )

    def _reached(self, modules: Sequence[str]) -> list[str]:
        """What is in some modules and in all that they import."""
        parts, waiting, seen = [], [*modules], set()
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                text, imported = self._look_at(each)
                parts.append(f"{each} {text} {_held(each) if text else ''}")
                waiting.extend(sorted((imported | _brought(each)) - seen))
        return parts

    def _look_at(self, name: str) -> tuple[str, frozenset[str]]:
        """A digest of a module's text, and what it imports."""
        if name not in self._files:
            self._files[name] = self._read(name)
        return self._files[name]

    def _read(self, name: str) -> tuple[str, frozenset[str]]:
        path = _source(name)
        if path is None or path.startswith(_PACKAGE):
            return "", frozenset()  # built in, no module at all, or here: the tool's own text is looked at elsewhere
        if not is_own_path(path):
            about = os.stat(path)
            return f"{about.st_mtime_ns} {about.st_size}", frozenset()
        return _text(path, name)


def _sum(first: Sequence[str], others: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([*first, *sorted(others)]).encode()).hexdigest()


def _text(path: str, name: str) -> tuple[str, frozenset[str]]:
    """A digest of a module's text, and what it imports."""
    text = Path(path).read_bytes()
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    return hashlib.sha256(text).hexdigest(), frozenset(_imported(ast.parse(text), package))


def _held(name: str) -> str:
    """The data in a module of the project, as it is now."""
    module = sys.modules.get(name)
    return _data(name, vars(module)) if module is not None and _is_own(module) else ""


def _brought(name: str) -> set[str]:
    """The modules that a module of the project has got, or has functions and classes of, in whatever way."""
    module = sys.modules.get(name)
    if module is None or not _is_own(module):
        return set()
    values = list(vars(module).values())
    modules = {value.__name__ for value in values if isinstance(value, ModuleType)}
    return modules | {str(value.__module__) for value in values if isinstance(value, type | FunctionType)}


def _data(module: str, names: Mapping[str, Any]) -> str:
    """The data in a module or class: it may have come from anywhere, while most code comes from the text."""
    out = []
    for name, value in sorted(names.items()):
        if (name.startswith("__") and name.endswith("__")) or isinstance(value, ModuleType):
            continue
        shown = plain(value)
        if shown is None and isinstance(value, type):
            shown = _data(module, vars(value)) if value.__module__ == module else ""
        elif shown is None:
            shown = _called(value, set()) if callable(value) else _shown(value)
        out.append(f"{name} {shown}")
    return "\n".join(out)


def _called(value: Any, seen: set[int]) -> str:
    """Of something that can be called: the data that it was made with, and its code, which need not be of the text
    that it seems to be in."""
    if id(value) in seen:
        return ""
    seen.add(id(value))
    if isinstance(value, partial):
        return f"{_called(value.func, seen)} {_part(value.args)} {_part(value.keywords)}"
    if isinstance(value, MethodType):
        return f"{_called(value.__func__, seen)} {_part(value.__self__)}"
    if not isinstance(value, FunctionType):
        wrapped = getattr(value, "__wrapped__", None)
        return _shown(value) if wrapped is None else _called(wrapped, seen)
    held = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *closed_over(value)]
    shown = [_called(each, seen) if isinstance(each, FunctionType | partial) else _part(each) for each in held]
    return f"{_code(value.__code__)} {shown}"


def closed_over(function: FunctionType) -> Iterator[Any]:
    """What a function has of those that it was made within."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it has none yet
            continue


def _code(code: CodeType) -> str:
    inner = [_code(each) if isinstance(each, CodeType) else plain(each) for each in code.co_consts]
    return hashlib.sha256(f"{code.co_code.hex()} {code.co_names} {inner}".encode()).hexdigest()


def _shown(value: Any) -> str:
    """What something says of itself; of a dataclass, its fields, in which code goes by its name. With its address in
    it, as of what does not say what it is, that is never the same again."""
    if is_dataclass(value) and not isinstance(value, type):
        held = ", ".join(f"{each.name}={_part(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__qualname__}({held})"
    try:
        text = repr(value)
    except Exception:  # whatever its class raises
        return _NEVER_AGAIN
    return text if _ADDRESS.search(text) is None else f"{text} {_NEVER_AGAIN}"


def _part(value: Any) -> str:
    if isinstance(value, type | FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_part(key)}: {_part(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[{', '.join(map(_part, value))}]"
    return _shown(value)


def plain(value: Any) -> str | None:
    """Plain data as text, the same for the same data; None if it is something else."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        parts = [plain(each) for each in value]
        if isinstance(value, set | frozenset):
            parts.sort(key=str)
        return None if None in parts else f"{type(value).__name__}{parts}"
    if isinstance(value, dict):
        return plain(list(value.items()))
    return None


def _is_own(module: ModuleType) -> bool:
    path = getattr(module, "__file__", None)
    return path is not None and is_own_path(path)


def is_own_path(path: str) -> bool:
    """Whether it belongs to the project that is being tested, rather than to Python, to what is installed, or here."""
    if not path.endswith(".py") or path.startswith((*_INSTALLED, _PACKAGE)):
        return False
    return not any(part in _OF_INSTALLED for part in Path(path).parts)  # of another environment that this one sees


def _source(name: str) -> str | None:
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return None if found is None or not found.has_location else found.origin


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The modules that a text imports, wherever in it; of what may be a name in a module, both readings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                yield from (".".join(parts[: k + 1]) for k in range(len(parts)))
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            parts = base.split(".")
            yield from (".".join(parts[: k + 1]) for k in range(len(parts)))
            yield from (f"{base}.{alias.name}" for alias in node.names)
