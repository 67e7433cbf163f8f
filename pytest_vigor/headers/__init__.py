"""Reading an NF's header, so that nobody has to describe its configuration and state a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_vigor.compiler import find_compiler
from pytest_vigor.errors import HeaderError
from pytest_vigor.headers.constants import constants, enumerator_value
from pytest_vigor.headers.declarations import Layouts, gather, typed_handle, where
from pytest_vigor.headers.preprocess import expand, preprocess
from pytest_vigor.layout import Struct, Type, from_json, padding, struct_from_json, to_json

__all__ = ["Entry", "Header", "StateObject", "header_digest", "read_header", "read_struct"]

# Every NF defines these; nf.h declares them.
_NF_FUNCTIONS = ("nf_init", "nf_process")


@dataclass(frozen=True, slots=True)
class StateObject:
    """A data structure that the state holds by pointer; `kind` is its struct's tag, such as "flow_table"."""

    name: str
    kind: str
    offset: int
    key: Type | None
    record: Type | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A further function through which an NF is filled, and the struct that it takes by pointer, if any."""

    name: str
    argument: Struct | None


@dataclass(frozen=True, slots=True)
class Header:
    """What an NF's header says. `files` are all that it was read from."""

    config: Struct
    state: Struct | None
    state_objects: tuple[StateObject, ...]
    entries: tuple[Entry, ...]
    constants: dict[str, int]
    text_digest: str
    files: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The header as plain dicts and lists."""

        def optional(of: Type | None) -> dict[str, Any] | None:
            return None if of is None else to_json(of)

        return {
            "config": to_json(self.config),
            "state": optional(self.state),
            "state_objects": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "offset": each.offset,
                    "key": optional(each.key),
                    "record": optional(each.record),
                }
                for each in self.state_objects
            ],
            "entries": [{"name": each.name, "argument": optional(each.argument)} for each in self.entries],
            "constants": self.constants,
            "text_digest": self.text_digest,
            "files": list(self.files),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Header:
        """The inverse of to_json."""

        def optional(of: dict[str, Any] | None) -> Type | None:
            return None if of is None else from_json(of)

        def optional_struct(of: dict[str, Any] | None) -> Struct | None:
            return None if of is None else struct_from_json(of)

        return cls(
            struct_from_json(data["config"]),
            optional_struct(data["state"]),
            tuple(
                StateObject(
                    each["name"], each["kind"], each["offset"], optional(each["key"]), optional(each["record"])
                )
                for each in data["state_objects"]
            ),
            tuple(Entry(each["name"], optional_struct(each["argument"])) for each in data["entries"]),
            data["constants"],
            data["text_digest"],
            tuple(data["files"]),
        )


def header_digest(path: Path, include_dirs: Sequence[Path] = ()) -> str:
    """The `text_digest` that read_header would give, without parsing: what a cache compares."""
    return preprocess(_existing(path), include_dirs, find_compiler()).digest


def read_header(path: Path, include_dirs: Sequence[Path] = ()) -> Header:
    """Reads the header of one NF. HeaderError if it cannot be read, or declares what cannot be reasoned about."""
    # Imported here because a warm run, which has the header in its cache, must not pay for it.
    from pycparser.c_parser import CParser, ParseError

    path = _existing(path)
    compiler = find_compiler()
    source = preprocess(path, include_dirs, compiler)
    try:
        ast = CParser().parse(source.text, filename=str(path))
    except ParseError as error:
        raise HeaderError(str(error), "correct the header, or keep what is not plain C11 in the .c file") from error
    declared = gather(ast)
    layouts = Layouts(declared)
    config = layouts.struct("nf_config")
    if config is None:
        remedy = "declare it with what nf_init can be told, or with one unused member"
        raise HeaderError(f"{path} declares no struct nf_config", remedy)
    named = constants(expand(path, include_dirs, compiler, source.macros), layouts)
    for name, (enumerator, _) in declared.enumerators.items():
        if _is_from(path, enumerator):
            named[name] = enumerator_value(name, layouts)
    return Header(
        config,
        layouts.struct("nf_state"),
        _state_objects(layouts),
        tuple(_entry(function, layouts) for function in declared.functions if _is_entry(function, path)),
        named,
        source.digest,
        source.files,
    )


def read_struct(path: Path, tag: str, include_dirs: Sequence[Path] = ()) -> Struct:
    """The layout of one struct of a header that is no NF's."""
    from pycparser.c_parser import CParser

    source = preprocess(_existing(path), include_dirs, find_compiler())
    found = Layouts(gather(CParser().parse(source.text, filename=str(path)))).struct(tag)
    if found is None:
        raise HeaderError(f"{path} declares no struct {tag}", "install pytest-vigor again")
    return found


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise HeaderError(f"{path} is not there", "give the NF's header in its mark, or put it beside the .c file")
    return path.resolve()


def _state_objects(layouts: Layouts) -> tuple[StateObject, ...]:
    from pycparser import c_ast

    state = layouts.struct("nf_state")
    if state is None:
        return ()
    found = []
    for member in layouts.declared.structs["nf_state"].decls:
        handle, types = member, {}
        if isinstance(getattr(member, "type", None), c_ast.Union):
            handle = typed_handle(member.type)
        if handle is None:
            continue
        if handle is not member:
            types = {each.name.removeprefix(f"{handle.name}_"): each.type.type for each in member.type.decls[1:]}
        pointer = layouts.resolve(getattr(handle, "type", None))
        field = state.field(getattr(handle, "name", None) or "")
        if field is None or not isinstance(pointer, c_ast.PtrDecl):
            continue
        target = layouts.resolve(pointer.type)
        if not isinstance(target, c_ast.Struct):
            continue
        key = layouts.place(types["key"]).type if "key" in types else None
        record = layouts.place(types["record"]).type if "record" in types else None
        if key is not None:
            _refuse_padding(key, field.name, where(member))
        found.append(StateObject(field.name, target.name, field.offset, key, record))
    return tuple(found)


def _refuse_padding(key: Type, name: str, place: str) -> None:
    holes = padding(key)
    if not holes:
        return
    start, end = holes[0]
    of = f"struct {key.name}" if isinstance(key, Struct) and key.name else f"the key of {name}"
    hole = f"byte {start} is" if end == start + 1 else f"bytes {start} to {end - 1} are"
    what = f"{place}: {name} is keyed by {of}, whose {hole} padding, which nobody initialises"
    raise HeaderError(what, "order its members by size, add members for the gaps, or mark it __attribute__((packed))")


def _is_from(path: Path, node: Any) -> bool:
    return node.coord is not None and node.coord.file == str(path)


def _is_entry(function: Any, path: Path) -> bool:
    own = _is_from(path, function) and function.name not in _NF_FUNCTIONS
    # What the header defines is compiled into the NF and is no way in from outside.
    return own and "static" not in function.storage and "inline" not in function.funcspec


def _entry(function: Any, layouts: Layouts) -> Entry:
    from pycparser import c_ast

    parameters = function.type.args.params if function.type.args is not None else []
    match [layouts.resolve(getattr(parameter, "type", parameter)) for parameter in parameters]:
        case [] | [c_ast.IdentifierType(names=["void"])]:
            return Entry(function.name, None)
        case [c_ast.PtrDecl() as pointer]:
            target = layouts.resolve(pointer.type)
            if isinstance(target, c_ast.Struct):
                argument = layouts.place(target).type
                if isinstance(argument, Struct):
                    return Entry(function.name, argument)
    what = f"{where(function)}: {function.name}, a way into the NF, does not take one pointer to a struct"
    raise HeaderError(what, "give it one such parameter, or declare it in the .c file if only the NF calls it")
