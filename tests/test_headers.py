"""Reading C headers: the layouts are the compiler's own, and what cannot be reasoned about is refused by name."""

import json
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_vigor.build import libvig_root
from pytest_vigor.compiler import find_compiler
from pytest_vigor.errors import HeaderError, LayoutError
from pytest_vigor.headers import Entry, Header, StateObject, header_digest, read_header
from pytest_vigor.layout import (
    Array,
    Bytes,
    Field,
    Integer,
    Pointer,
    Struct,
    Type,
    collapse,
    from_json,
    padding,
    scalars,
)

NFS = Path(__file__).parent.parent / "nfs"

CONFIG = "struct nf_config { int unused; };\n"

# Each struct exercises a rule of the ABI.
LAYOUTS = """
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>

typedef uint32_t be32;
enum small { SMALL_A, SMALL_B = 7, SMALL_C };
enum { negative_one = -1 };
typedef struct { uint8_t a; uint64_t b; } anonymous_t;
struct plain { char a; short b; int c; long d; signed char e; unsigned long long f; bool g; };
struct __attribute__((packed)) before { uint8_t a; uint32_t b; uint16_t c; };
struct after { uint8_t a; uint32_t b; uint64_t c; } __attribute__((__packed__, may_alias));
typedef struct { uint8_t a; uint32_t b; } __attribute__((aligned_is_not_this, packed)) packed_t;
struct outer { uint8_t a; struct before b; struct plain c; packed_t d; anonymous_t e; uint16_t f; };
struct packed_outer { uint8_t a; struct plain b; struct { uint16_t c, d; } e; } __attribute__((packed));
struct arrays { uint8_t a[6]; uint16_t b[3]; uint8_t c[2][6]; struct before d[SMALL_B]; char e[sizeof(struct plain)]; };
struct nested { uint8_t a; struct inner { uint32_t b; uint8_t c; } d; struct { uint64_t e; uint8_t f; }; uint8_t g; };
struct pointers { uint8_t a; const struct plain *b; void *c; int (*d)(void); enum small e; be32 *f; };
struct integers { unsigned a; long unsigned int b; short int c; size_t d; intptr_t e; be32 f; long long int g; };
struct nf_config {
    struct plain a; struct before b; struct after c; packed_t d; struct outer e; struct packed_outer f;
    struct arrays g; struct nested h; struct pointers i; struct integers j; anonymous_t k;
};
"""


def read(tmp_path: Path, text: str) -> Header:
    path = tmp_path / "own.h"
    path.write_text(text)
    return read_header(path, [libvig_root()])


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(HeaderError) as caught:
        read(tmp_path, text)
    assert "\n" not in caught.value.remedy
    return str(caught.value).replace(f"{tmp_path}/", "")


def members(of: Type, path: str, offset: int) -> Iterator[tuple[str, int, int]]:
    """Every member at any depth, as C writes it, with its offset and size."""
    if isinstance(of, Struct):
        for field in of.fields:
            inner = f"{path}.{field.name}" if path else field.name
            yield inner, offset + field.offset, field.type.size_bytes
            yield from members(field.type, inner, offset + field.offset)
    elif isinstance(of, Array):
        for index in range(of.count):
            yield f"{path}[{index}]", offset + index * of.element.size_bytes, of.element.size_bytes
            yield from members(of.element, f"{path}[{index}]", offset + index * of.element.size_bytes)


def test_layouts_are_those_of_the_compiler(tmp_path: Path) -> None:
    config = read(tmp_path, LAYOUTS).config
    expected = list(members(config, "", 0))
    assert len(expected) > 100
    lines = [f'printf("%zu %zu\\n", offsetof(struct nf_config, {name}), sizeof(c.{name}));' for name, _, _ in expected]
    program = tmp_path / "layout.c"
    program.write_text(
        '#include <stdio.h>\n#include "own.h"\nint main(void) { struct nf_config c; '
        + "\n".join(lines)
        + '\nprintf("%zu 0\\n", sizeof(c)); }\n'
    )
    subprocess.run([*find_compiler().command, "-w", str(program), "-o", str(tmp_path / "layout")], check=True)
    printed = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[:-1] == [f"{offset} {size_bytes}" for _, offset, size_bytes in expected]
    assert printed[-1] == f"{config.size_bytes} 0"


def test_integers_carry_sign_and_byte_order(tmp_path: Path) -> None:
    text = """
    #include <stdint.h>
    typedef uint16_t net_be16; typedef uint32_t rte_be32_t; typedef rte_be32_t address;
    struct nf_config { int8_t a; uint64_t b; char c; _Bool d; net_be16 e; rte_be32_t f; address g; };
    """
    assert [field.type for field in read(tmp_path, text).config.fields] == [
        Integer(1, signed=True),
        Integer(8),
        Integer(1, signed=True),
        Integer(1, boolean=True),
        Integer(2, big_endian=True),
        Integer(4, big_endian=True),
        Integer(4, big_endian=True),
    ]


def test_byte_arrays_are_addresses(tmp_path: Path) -> None:
    text = """
    struct mac { unsigned char bytes[6]; };
    struct nf_config { struct mac macs[2]; unsigned char one; signed char text[4]; };
    """
    macs, one, letters = (field.type for field in read(tmp_path, text).config.fields)
    assert isinstance(macs, Array)
    assert collapse(macs.element) == Bytes(6)
    assert one == Integer(1)
    assert letters == Array(Integer(1, signed=True), 4)


def test_enum_is_unsigned_unless_a_value_is_negative(tmp_path: Path) -> None:
    text = "enum a { A }; enum b { B = -1 }; struct nf_config { enum a a; enum b b; };"
    assert [field.type for field in read(tmp_path, text).config.fields] == [Integer(4), Integer(4, signed=True)]


def test_bridge_header() -> None:
    header = read_header(NFS / "bridge" / "bridge.h", [libvig_root()])
    mac = Struct("net_mac", 6, (Field("bytes", 0, Bytes(6)),))
    key = Struct("bridge_static_key", 8, (Field("address", 0, mac), Field("device", 6, Integer(2))))
    port = Struct("bridge_port", 2, (Field("device", 0, Integer(2)),))
    assert [each.path for each in scalars(header.config)] == ["expiration_ns", "capacity", "static_capacity"]
    assert header.state_objects == (
        StateObject("stations", "flow_table", 0, mac, None),
        StateObject("ports", "vector", 8, None, port),
        StateObject("static_entries", "map", 16, key, None),
    )
    assert header.state is not None
    assert header.state.field("stations") == Field("stations", 0, Pointer("struct flow_table"))
    assert [each.path for each in scalars(header.state)] == ["expiration_ns", "device_count"]
    argument = Struct("bridge_static", 10, (*key.fields, Field("output", 8, Integer(2))))
    assert header.entries == (Entry("bridge_add_static", argument),)
    assert header.constants["BRIDGE_FILTER"] == 0xFFFF
    assert header.constants["BRIDGE_EXPIRATION_NS_MAX"] == 10**15
    assert "BRIDGE_H" not in header.constants
    assert "NET_PROTOCOL_TCP" not in header.constants


def test_nop_header_needs_no_state() -> None:
    header = read_header(NFS / "nop" / "nop.h", [libvig_root()])
    assert (header.state, header.state_objects, header.entries) == (None, (), ())


def test_header_survives_json() -> None:
    header = read_header(NFS / "bridge" / "bridge.h", [libvig_root()])
    assert Header.from_json(json.loads(json.dumps(header.to_json()))) == header


@pytest.mark.parametrize("data", [{}, {"kind": "float"}, {"kind": "bytes"}])
def test_json_of_no_type_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(LayoutError, match="run pytest with --cache-clear"):
        from_json(data)


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(HeaderError("own.h", "correct it", "a line\nanother")))
    assert isinstance(error, HeaderError)
    assert (str(error), error.remedy) == ("own.h: correct it\na line\nanother", "correct it")


def test_objects_without_types_and_of_unknown_kinds(tmp_path: Path) -> None:
    text = """
    #include "typed.h"
    struct sketch; typedef struct sketch sketch_t;
    struct nf_state { INDEX_POOL(indices); sketch_t *counts; unsigned char *raw; struct { struct map *inner; } more; };
    """
    assert read(tmp_path, CONFIG + text).state_objects == (
        StateObject("indices", "index_pool", 0, None, None),
        StateObject("counts", "sketch", 8, None, None),
    )


def test_entries_are_the_functions_of_the_own_header(tmp_path: Path) -> None:
    (tmp_path / "other.h").write_text("void elsewhere(int x, int y);\n")
    text = """
    #include "nf.h"
    #include "other.h"
    struct route { uint32_t prefix; };
    typedef const struct route *route_pointer;
    bool add(const struct route *route);
    void clear(void);
    VIGOR_API bool also(route_pointer route);
    static inline int inner(int x) { return x + 1; }
    """
    route = Struct("route", 4, (Field("prefix", 0, Integer(4)),))
    expected = (Entry("add", route), Entry("clear", None), Entry("also", route))
    assert read(tmp_path, CONFIG + text).entries == expected


def test_constants_have_the_values_that_c_gives_them(tmp_path: Path) -> None:
    expressions = {
        "DECIMAL": ("42", 42),
        "OCTAL": ("0x10 + 010", 24),
        "SUFFIX": ("1ull << 40", 1 << 40),
        "NEGATIVE": ("(-7)", -7),
        "ROUNDED": ("-7 / 2 * 10 + -7 % 2", -31),
        "ALL_ONES": ("~0u", 0xFFFFFFFF),
        "WRAPPED": ("(uint8_t) 300", 44),
        "SIGNED": ("(int8_t) 200", -56),
        "COMPARED": ("-1 < 0u ? 5 : 6", 6),
        "LOGIC": ("(1 && 0) || !0", 1),
        "LETTER": ("'a'", 97),
        "NEWLINE": ("'\\n'", 10),
        "SIZE": ("sizeof(struct nf_config) * 2", 8),
        "CHAIN": ("FUNCTION(DECIMAL)", 43),
        "COUNT": ("ENUMERATOR + 1", 10),
        "ORDER": ("SECOND", 5),
        "TIME": ("(vigor_time_t) 1000", 1000),
        "LIMIT": ("UINT16_MAX", 65535),
    }
    defines = "".join(f"#define {name} {text}\n" for name, (text, _) in expressions.items())
    text = """
    #include "nf.h"
    #define FUNCTION(x) ((x) + 1)
    #define EMPTY
    #define TEXT "a string"
    #define TYPE struct nf_config
    #define BROKEN (1 +
    #define DIVISION 1 / 0
    #define GONE 3
    #undef GONE
    enum { ENUMERATOR = 9, FIRST = 4, SECOND };
    """
    found = read(tmp_path, CONFIG + text + defines).constants
    expected = {name: value for name, (_, value) in expressions.items()}
    assert found == expected | {"ENUMERATOR": 9, "FIRST": 4, "SECOND": 5}


def test_compiler_agrees_on_the_constants(tmp_path: Path) -> None:
    """The same expressions as compile-time assertions."""
    program = tmp_path / "constants.c"
    program.write_text(
        '#include <stdint.h>\n#include "own.h"\n#define IS(e, v) _Static_assert((e) == (v), #e);\n'
        "IS(-7 / 2 * 10 + -7 % 2, -31) IS(~0u, 0xFFFFFFFF) IS((uint8_t) 300, 44) IS(-1 < 0u ? 5 : 6, 6)\n"
        "IS((int8_t) 200, -56) IS(0x10 + 010, 24)\n"
    )
    (tmp_path / "own.h").write_text(CONFIG)
    subprocess.run([*find_compiler().command, "-w", "-c", str(program), "-o", "/dev/null"], check=True)


def test_digest_changes_with_what_is_included(tmp_path: Path) -> None:
    (tmp_path / "other.h").write_text("#define A 1\n")
    header = read(tmp_path, f'#include "other.h"\n{CONFIG}')
    assert header_digest(tmp_path / "own.h", [libvig_root()]) == header.text_digest
    assert header.files[:2] == (f"{tmp_path}/own.h", f"{tmp_path}/other.h")
    (tmp_path / "other.h").write_text("#define A 2\n")
    assert header_digest(tmp_path / "own.h", [libvig_root()]) != header.text_digest


def test_what_is_not_plain_c_does_not_get_in_the_way(tmp_path: Path) -> None:
    text = """
    #pragma once
    #include <string.h>
    #include <assert.h>
    static_assert(sizeof(int) == 4, "a string with ; and )");
    extern int renamed(void) __asm__("other_name");
    __extension__ typedef unsigned long long big;
    static __inline__ __attribute__((always_inline)) int inner(void *restrict x)
    {
        struct { int y; } z = { ({ int w = 1; w; }) };
        __asm__ volatile ("nop" ::: "memory");
        return z.y + '}' + "{"[0];
    }
    struct nf_config { big count; _Static_assert(1, ""); } __attribute__((may_alias));
    _Noreturn void stop(void);
    """
    text = text.replace("extern int renamed(void)", "static int renamed(void)").replace("_Noreturn void", "static void")
    assert read(tmp_path, text).config == Struct("nf_config", 8, (Field("count", 0, Integer(8)),))


REFUSED = {
    "padding in a key": (
        '#include "typed.h"\nstruct key { char a; int b; };\nstruct nf_state { FLOW_TABLE(flows, struct key); };',
        "own.h:4: flows is keyed by struct key, whose bytes 1 to 3 are padding, which nobody initialises: "
        "order its members by size, add members for the gaps, or mark it __attribute__((packed))",
    ),
    "padding inside a key's member": (
        '#include "typed.h"\nstruct in { int a; char b; }; struct key { int c; struct in d[2]; int e; };\n'
        "struct nf_state { MAP(table, struct key); };",
        "own.h:4: table is keyed by struct key, whose bytes 9 to 11 are padding",
    ),
    "one byte of padding": (
        '#include "typed.h"\nstruct key { short b; char a; };\nstruct nf_state { MAP(table, struct key); };',
        "whose byte 3 is padding",
    ),
    "bit-field": ("struct nf_state { int flags : 3; };", "own.h:2: flags is a bit-field, whose place C leaves open"),
    "union": (
        "struct nf_state { union { int a; long b; } u; };",
        "own.h:2: nothing says which member of a union holds",
    ),
    "floating point": ("struct nf_state { double rate; };", "own.h:2: the type double is no integer"),
    "incomplete struct": (
        "struct other; struct nf_state { struct other other; };",
        "own.h:2: struct other is declared without its members",
    ),
    "struct in itself": ("struct nf_state { struct nf_state inner; };", "struct nf_state contains itself"),
    "flexible array": ("struct nf_state { int a; int b[]; };", "own.h:2: an array without a length has no layout"),
    "empty array": ("struct nf_state { int b[0]; };", "own.h:2: an array of 0 elements has no layout"),
    "empty struct": ("struct nf_state { };", "struct nf_state has no members"),
    "incomplete enum": ("struct nf_state { enum e e; };", "own.h:2: enum e is declared without its values"),
    "pragma pack": ("#pragma pack(1)\nstruct nf_state { int a; };", "own.h:2: `#pragma pack(1)` is not understood"),
    "aligned struct": (
        "struct nf_state { int a; } __attribute__((packed, aligned(64)));",
        "own.h:2: the attribute aligned here is not understood",
    ),
    "packed member": (
        "struct nf_state { char c;\n int a __attribute__((packed)); };",
        "own.h:3: the attribute packed here is not understood",
    ),
    "packed enum": ("enum e { A } __attribute__((packed));", "own.h:2: the attribute packed here is not understood"),
    "alignment": ("struct nf_state { _Alignas(64) int a; };", "own.h:2: an alignment of its own is not understood"),
    "syntax": ("\nstruct nf_state { int a };\nint b", "own.h:"),
    "two arguments": (
        "int add(int a, int b);",
        "own.h:2: add, a way into the NF, does not take one pointer to a struct: give it one such parameter, "
        "or declare it in the .c file if only the NF calls it",
    ),
    "pointer to a number": ("int add(int *a);", "own.h:2: add, a way into the NF, does not take one pointer"),
    "missing include": ('#include "gone.h"', "own.h:2:10: fatal error: "),
    "system header": ("#include <stdio.h>", "include stdio.h in the .c file instead"),
    "error directive": ('#error "not for you"', "own.h:2:2: error: "),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refusal_names_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, CONFIG + text)


def test_missing_configuration_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "int x;").startswith("own.h declares no struct nf_config: ")


def test_missing_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(HeaderError, match=r"own\.h is not there"):
        read_header(tmp_path / "own.h")


def test_padding_is_allowed_outside_keys(tmp_path: Path) -> None:
    text = '#include "typed.h"\nstruct record { char a; int b; };\nstruct nf_state { VECTOR(all, struct record); };'
    (vector,) = read(tmp_path, CONFIG + text).state_objects
    assert vector.record is not None
    assert padding(vector.record) == ((1, 4),)


def test_error_in_a_later_include_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "other.h").write_text("\n\nstruct broken { int a b; };\n")
    assert refusal(tmp_path, f'#include "other.h"\n{CONFIG}').startswith("other.h:3:")
