"""From parsed C declarations to layouts, by the rules of the x86-64 System V ABI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pytest_vigor.errors import HeaderError
from pytest_vigor.headers.preprocess import PACKED
from pytest_vigor.layout import POINTER_BYTES, Array, Bytes, Field, Integer, Pointer, Struct, Type

BIG_ENDIAN_NAMES = frozenset(
    f"{prefix}be{bits}{suffix}"
    for prefix, suffix in (("net_", ""), ("", ""), ("rte_", "_t"), ("__", ""))
    for bits in (16, 32, 64)
)
_PLAIN = {
    "_Bool": Integer(1, boolean=True),
    "char": Integer(1, signed=True),
    "signed char": Integer(1, signed=True),
    "unsigned char": Integer(1),
    "short": Integer(2, signed=True),
    "unsigned short": Integer(2),
    "int": Integer(4, signed=True),
    "unsigned int": Integer(4),
    "long": Integer(8, signed=True),
    "unsigned long": Integer(8),
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A type and the alignment that it asks for."""

    type: Type
    alignment: int


@dataclass(frozen=True, slots=True)
class Declared:
    """What a translation unit declares, by name; the values are pycparser's nodes."""

    typedefs: dict[str, Any]
    structs: dict[str, Any]
    enums: dict[str, Any]
    enumerators: dict[str, Any]
    functions: tuple[Any, ...]


def gather(ast: Any) -> Declared:
    """All declarations, those nested in others included: C gives every tag the whole file."""
    from pycparser import c_ast

    declared = Declared({}, {}, {}, {}, tuple(node for node in ast.ext if _is_function(node, c_ast)))
    waiting = list(ast.ext)[::-1]
    while waiting:
        node = waiting.pop()
        match node:
            case c_ast.Typedef():
                declared.typedefs[node.name] = node.type
            case c_ast.Struct(name=str(name)) if node.decls is not None:
                declared.structs[name] = node
            case c_ast.Enum(name=str(name)) if node.values is not None:
                declared.enums[name] = node
            case c_ast.EnumeratorList():
                previous = None
                for enumerator in node.enumerators:
                    declared.enumerators[enumerator.name] = (enumerator, previous)
                    previous = enumerator.name
        waiting.extend(child for _, child in reversed(node.children()))
    return declared


def _is_function(node: Any, c_ast: Any) -> bool:
    return isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl)


class Layouts:
    """Lays out the types of one translation unit."""

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.known: dict[str, Placed | None] = {}

    def struct(self, tag: str) -> Struct | None:
        """The struct with that tag, or None if its members are not declared."""
        if tag not in self.declared.structs:
            return None
        placed = self._struct(self.declared.structs[tag], tag)
        assert isinstance(placed.type, Struct)
        return placed.type

    def place(self, node: Any, name: str = "") -> Placed:
        """The layout of a pycparser type; `name` is the typedef it comes from."""
        from pycparser import c_ast

        match node:
            case c_ast.TypeDecl() | c_ast.Typename():
                return self.place(node.type, name)
            case c_ast.IdentifierType():
                return self._named(node)
            case c_ast.PtrDecl():
                return Placed(Pointer(self.spell(node.type)), POINTER_BYTES)
            case c_ast.ArrayDecl():
                return self._array(node)
            case c_ast.Struct():
                if node.decls is None and node.name not in self.declared.structs:
                    what = f"{where(node)}: struct {node.name} is declared without its members"
                    raise HeaderError(what, "include the header that declares them, or hold it by pointer")
                return self._struct(self.declared.structs.get(node.name, node), node.name or name)
            case c_ast.Enum():
                return Placed(self._enum(node), 4)
            case c_ast.Union():
                remedy = "write one member for each meaning; only libVig's typed.h uses unions, to name types"
                raise HeaderError(f"{where(node)}: nothing says which member of a union holds", remedy)
        raise HeaderError(f"{where(node)}: `{type(node).__name__}` has no layout", "use integers, arrays and structs")

    def spell(self, node: Any) -> str:
        """A type in C's words, typedefs of structs resolved: "struct map", "uint8_t", "void"."""
        from pycparser import c_ast

        match node:
            case c_ast.TypeDecl() | c_ast.Typename():
                return self.spell(node.type)
            case c_ast.PtrDecl():
                return f"{self.spell(node.type)} *"
            case c_ast.Struct() | c_ast.Union() | c_ast.Enum():
                return f"{type(node).__name__.lower()} {node.name or ''}".strip()
            case c_ast.IdentifierType(names=[name]) if name in self.declared.typedefs:
                resolved = self.spell(self.declared.typedefs[name])
                return resolved if resolved.startswith("struct ") else str(name)
            case c_ast.IdentifierType():
                return " ".join(node.names)
            case c_ast.ArrayDecl():
                return f"{self.spell(node.type)} []"
            case c_ast.FuncDecl():
                return "function"
        return "?"

    def resolve(self, node: Any) -> Any:
        """The type behind typedefs."""
        from pycparser import c_ast

        while True:
            match node:
                case c_ast.TypeDecl() | c_ast.Typename():
                    node = node.type
                case c_ast.IdentifierType(names=[name]) if name in self.declared.typedefs:
                    node = self.declared.typedefs[name]
                case _:
                    return node

    def _named(self, node: Any) -> Placed:
        if len(node.names) == 1 and node.names[0] in self.declared.typedefs:
            name = node.names[0]
            placed = self.place(self.declared.typedefs[name], name)
            if name in BIG_ENDIAN_NAMES and isinstance(placed.type, Integer):
                return replace(placed, type=replace(placed.type, big_endian=True))
            return placed
        plain = _PLAIN.get(_canonical(node.names))
        if plain is None:
            spelled = " ".join(node.names)
            raise HeaderError(f"{where(node)}: the type {spelled} is no integer", "use integers, arrays and structs")
        return Placed(plain, plain.size_bytes)

    def _array(self, node: Any) -> Placed:
        element = self.place(node.type)
        if node.dim is None:
            raise HeaderError(f"{where(node)}: an array without a length has no layout", "give it a length")
        from pytest_vigor.headers.constants import evaluate

        count = evaluate(node.dim, self)
        if count < 1:
            raise HeaderError(f"{where(node)}: an array of {count} elements has no layout", "give it a length above 0")
        if element.type == Integer(1):
            return Placed(Bytes(count), 1)
        return Placed(Array(element.type, count), element.alignment)

    def _enum(self, node: Any) -> Integer:
        from pytest_vigor.headers.constants import enumerator_value

        node = self.declared.enums.get(node.name, node)
        if node.values is None:
            raise HeaderError(f"{where(node)}: enum {node.name} is declared without its values", "declare them here")
        values = [enumerator_value(enumerator.name, self) for enumerator in node.values.enumerators]
        if any(not -(2**31) <= value < 2**32 for value in values):
            raise HeaderError(f"{where(node)}: an enum whose values do not fit in an int", "use #define instead")
        return Integer(4, signed=any(value < 0 for value in values))

    def _struct(self, node: Any, name: str | None) -> Placed:
        key = node.name or f"{node.coord}"
        if key not in self.known:
            self.known[key] = None
            self.known[key] = self._lay_out(node, name or "")
        placed = self.known[key]
        if placed is None:
            raise HeaderError(f"{where(node)}: struct {name} contains itself", "hold the inner one by pointer")
        return placed

    def _lay_out(self, node: Any, name: str) -> Placed:
        from pycparser import c_ast

        members = [member for member in node.decls or () if isinstance(member, c_ast.Decl)]
        packed = bool(members) and members[0].name == PACKED
        if packed:
            members = members[1:]
        fields: list[Field] = []
        end, alignment = 0, 1
        for member in members:
            if member.bitsize is not None:
                what = f"{where(member)}: {member.name or 'a member'} is a bit-field, whose place C leaves open"
                raise HeaderError(what, "use a whole integer and masks")
            inner = self._member(member)
            if inner is None:
                continue
            wanted = 1 if packed else inner.alignment
            offset = -(-end // wanted) * wanted
            if member.name:
                fields.append(Field(member.name, offset, inner.type))
            elif isinstance(inner.type, Struct):
                fields += [replace(field, offset=offset + field.offset) for field in inner.type.fields]
            else:
                fields.append(self._handle_field(member, offset))
            end, alignment = offset + inner.type.size_bytes, max(alignment, wanted)
        if not fields:
            raise HeaderError(f"{where(node)}: struct {name} has no members", "give it one; C has no empty structs")
        return Placed(Struct(name, -(-end // alignment) * alignment, tuple(fields)), alignment)

    def _member(self, member: Any) -> Placed | None:
        from pycparser import c_ast

        if isinstance(member.type, c_ast.Struct) and not member.name:
            # `struct x {...};` inside a struct declares a tag; without a tag it declares members.
            return None if member.type.name else self.place(member.type)
        if isinstance(member.type, c_ast.Union) and not member.name and typed_handle(member.type) is not None:
            return Placed(Pointer("void"), POINTER_BYTES)
        return self.place(member.type)

    def _handle_field(self, member: Any, offset: int) -> Field:
        handle = typed_handle(member.type)
        if handle is None:
            raise HeaderError(f"{where(member)}: a member without a name", "give it a name")
        return Field(handle.name, offset, self.place(handle.type).type)


def typed_handle(union: Any) -> Any | None:
    """The handle in a union made by typed.h: a pointer `x`, all other members being pointers `x_key` or `x_record`."""
    from pycparser import c_ast

    members = union.decls or ()
    if not members or any(not isinstance(member.type, c_ast.PtrDecl) for member in members):
        return None
    handle = members[0]
    allowed = (f"{handle.name}_key", f"{handle.name}_record")
    return handle if all(member.name in allowed for member in members[1:]) else None


def where(node: Any) -> str:
    """The file and line of a node."""
    coord = getattr(node, "coord", None)
    return f"{coord.file}:{coord.line}" if coord is not None else "the header"


def _canonical(names: list[str]) -> str:
    words = [word for word in names if word not in ("int", "signed")]
    if words in ([], ["unsigned"]):
        return "unsigned int" if words else "int"
    if words == ["char"] and "signed" in names:
        return "signed char"
    if words.count("long") == 2:
        words.remove("long")
    return " ".join(sorted(words, key=lambda word: word != "unsigned"))
