"""C functions made up from a seed: the idioms of packet processing, in random combinations.

Each takes three numbers and a pointer to 256 bytes and returns a number. There is no undefined behaviour in them
(they are compiled with -fwrapv; shifts are masked and divisors are not zero), so that all compilers agree.
"""

from __future__ import annotations

import random

_TYPES = ("uint8_t", "uint16_t", "uint32_t", "uint64_t", "int8_t", "int16_t", "int32_t", "int64_t")
_DIVISORS = (
    2, 3, 5, 6, 7, 9, 10, 12, 14, 25, 60, 64, 100, 125, 255, 641, 1000, 1500, 4096, 65535, 65537, 1_000_000,
    1_000_000_000,
)
_LEAVES = 4  # how many functions others call: few and not each other, or running times would multiply
_PRELUDE = """
#include <stdint.h>
#include <stddef.h>
typedef unsigned __int128 wide;
int __popcountdi2(int64_t signed_x) {
  uint64_t x = (uint64_t)signed_x;
  x -= x >> 1 & 0x5555555555555555;
  x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
  return (int)(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56);
}
struct pair { uint64_t a, b; };
struct key { uint32_t src, dst; uint16_t sport, dport; uint8_t proto, pad[3]; };
void *memcpy(void *to, const void *from, size_t n) {
  for (size_t i = 0; i < n; i++) ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
  return to;
}
void *memset(void *to, int value, size_t n) {
  for (size_t i = 0; i < n; i++) ((volatile uint8_t *)to)[i] = (uint8_t)value;
  return to;
}
int memcmp(const void *a, const void *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    int d = ((const volatile uint8_t *)a)[i] - ((const uint8_t *)b)[i];
    if (d) return d;
  }
  return 0;
}
"""


class _Function:
    def __init__(self, number: int, chance: random.Random) -> None:
        self.number, self.chance = number, chance
        self.locals: list[str] = ["a", "b", "c"]
        self.lines: list[str] = []
        self.loops = 0

    # ---- expressions

    def value(self, depth: int) -> str:
        pick = self.chance.random()
        if depth <= 0 or pick < 0.12:
            return self.leaf()
        a, b = self.value(depth - 1), self.value(depth - 1)
        kind = self.chance.choice(_TYPES)
        unsigned = self.chance.choice(_TYPES[:4])
        bits = int("".join(filter(str.isdigit, kind)))
        constant, amount = self.chance.getrandbits(32), self.chance.randrange(1, bits)
        small, casted, other = f"(({kind})({a}))", f"({unsigned})({a})", f"({unsigned})({b})"
        return self.chance.choice((
            f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"({a} & {b})", f"({a} | {b})", f"({a} ^ {b})", f"(~{a})",
            f"(-{a})", f"({small} + ({kind})({b}))", f"(({kind})({a} - {b}))", f"({small} * {constant % 309 - 9})",
            f"({small} << ({b} & {bits - 1}))", f"({small} >> ({b} & {bits - 1}))", f"({small} >> {amount})",
            f"(({casted}) << {amount & 7})", f"({casted} / {self.divisor(unsigned)})",
            f"({casted} % {self.divisor(unsigned)})", f"({small} / {self.divisor(kind)})",
            f"({small} % {self.divisor(kind)})", f"({casted} / ({other} | 1))", f"({casted} % ({other} | 1))",
            f"({small} / ((({kind})({b}) & 63) + 1))", f"({small} % ((({kind})({b}) & 31) + 2))",
            f"({self.condition(depth - 1)} ? {a} : {b})", f"((uint64_t)({self.condition(depth - 1)}))",
            f"__builtin_bswap16((uint16_t)({a}))", f"__builtin_bswap32((uint32_t)({a}))", f"__builtin_bswap64({a})",
            f"(uint64_t)__builtin_popcountll({a})", f"(uint64_t)__builtin_ctzll(({a}) | 1ull << 63)",
            f"(uint64_t)__builtin_clzll(({a}) | 1)", f"(({constant:#x}u >> ({a} & 31)) & 1)",
            f"rotl32((uint32_t)({a}), (int)({b} & 31))", f"rotl32((uint32_t)({a}), {constant % 31 + 1})",
            f"(uint64_t)((wide){a} * {b} >> 64)", f"(uint64_t)((wide){a} * {b} >> {constant % 128})",
            f"fold((uint32_t)({a}), (uint16_t)({b}))", f"({a} < {b} ? {a} : {b})",
            f"((int64_t){a} > (int64_t){b} ? {a} : {b})", f"load32(p + ({a} & 127))", f"load16be(p + ({a} & 127))",
            f"p[{a} & 255]", f"({a} - {b} > {a} ? 0 : {a} - {b})",
        ))

    def divisor(self, kind: str) -> int:
        limit = 1 << int("".join(filter(str.isdigit, kind))) - (0 if kind[0] == "u" else 1)
        return self.chance.choice([d for d in _DIVISORS if d < limit])

    def leaf(self) -> str:
        if self.chance.random() < 0.25:
            numbers = 0, 1, 7, 0xFF, 0xFFFF, self.chance.getrandbits(16), self.chance.getrandbits(33)
            return f"{self.chance.choice(numbers):#x}ull"
        return f"(uint64_t){self.chance.choice(self.locals)}"

    def condition(self, depth: int) -> str:
        kind, sign = self.chance.choice(_TYPES), self.chance.choice(("<", "<=", ">", ">=", "==", "!="))
        a, b = self.value(depth), self.value(depth)
        compared = f"({kind})({a}) {sign} ({kind})({b})"
        return self.chance.choice((
            compared, compared, f"({kind})({a}) {sign} {self.chance.choice((0, 1, 5, 100))}", f"({kind})({a}) {sign} 0",
            f"(({a}) & {1 << self.chance.randrange(40):#x}ull) != 0", f"{compared} && ({a} & 1)",
            f"{compared} || ({b} & 2)",
        ))

    # ---- statements

    def local(self, value: str) -> None:
        name = f"v{len(self.locals)}"
        self.lines.append(f"{self.chance.choice(_TYPES)} {name} = {value};")
        self.locals.append(name)

    def block(self, depth: int) -> None:
        kept = len(self.locals)
        self.lines.append("{")
        for _ in range(self.chance.randrange(1, 4)):
            self.statement(depth)
        self.lines.append("}")
        del self.locals[kept:]

    def loop(self, count: str) -> str:
        self.loops += 1
        return f"for (unsigned i{self.loops} = 0; i{self.loops} < {count}; i{self.loops}++)"

    def statement(self, depth: int) -> None:
        pick, chance = self.chance.randrange(13), self.chance
        if pick < 4 or depth <= 0:
            self.local(self.value(3))
        elif pick == 4:
            sign = chance.choice(("+=", "-=", "^=", "*=", "|=", "="))
            self.lines.append(f"{chance.choice(self.locals)} {sign} {self.value(2)};")
        elif pick == 5:
            self.lines.append(f"if ({self.condition(2)})")
            self.block(depth - 1)
            if chance.random() < 0.6:
                self.lines.append("else")
                self.block(depth - 1)
        elif pick == 6:
            self.lines.append(self.loop(f"({self.leaf()} & 7)"))
            self.block(depth - 1)
        elif pick == 7:
            cases = sorted(chance.sample(range(12), 5))
            self.lines.append(f"switch ({self.value(2)} % 13) {{")
            for case in cases:
                self.lines.append(f"case {case}:")
                self.block(depth - 1)
                if chance.random() < 0.8:
                    self.lines.append("break;")
            self.lines.append("default: c ^= 5; }")
        elif pick == 8:
            to, source = chance.sample(range(8), 2)
            self.lines.append(f"((struct pair *)p)[{to}] = ((struct pair *)p)[{source}];")
        elif pick == 9:
            self.lines.append(f"p[{self.value(1)} & 255] = (uint8_t){self.value(2)};")
        elif pick == 10:
            self.over_array()
        elif pick == 11:
            self.copy()
        elif self.number >= _LEAVES:
            self.local(f"f{chance.randrange(_LEAVES)}({self.leaf()}, {self.leaf()}, {self.leaf()}, p)")
        else:
            self.local(self.value(2))

    def over_array(self) -> None:
        """A loop that compilers turn into vector instructions."""
        chance = self.chance
        shapes = ("uint8_t", 64), ("uint16_t", 32), ("uint32_t", 16), ("uint64_t", 8), ("int16_t", 32), ("int8_t", 64)
        kind, size = chance.choice(shapes)
        loop, i = self.loop(str(size)), f"i{self.loops}"
        one, other = f"(({kind} *)p)[{i}]", f"(({kind} *)(p + 128))[{i}]"
        self.lines.append(loop + " " + chance.choice((
            f"{one} = {other};", f"{one} ^= {other};", f"{one} += {other};",
            f"{one} = {one} > {other} ? {one} : {other};",
            f"{one} = {one} * {chance.randrange(2, 99)} - {other};", f"a += {one};", f"a += {one} == {other};",
            f"{one} = {other} >> {chance.randrange(7)};", f"if ({one} < {other}) {other} = {one};",
            f"b += {one} * {other};", f"a ^= {one};", f"{one} = ({kind}){chance.choice(self.locals)};",
        )))

    def copy(self) -> None:
        chance, key = self.chance, f"k{len(self.lines)}"
        self.lines.append(chance.choice((
            f"struct key {key} = {{(uint32_t)a, (uint32_t)b, (uint16_t)c, 80, 6, {{0, 0, 0}}}}; "
            f"*(struct key *)(p + 32) = {key};",
            f"{{ uint64_t t; memcpy(&t, p + {chance.randrange(200)}, 8); c ^= t; }}",
            f"memcpy(p + {chance.randrange(60)}, p + 128, {chance.choice((6, 14, 16, 20, 32, 40))});",
            f"memset(p + {chance.randrange(60)}, (int)a, {chance.choice((3, 8, 16, 33))});",
            f"if (memcmp(p, p + 64, {chance.choice((4, 6, 16))}) == 0) b ^= 9;",
        )))

    def text(self) -> str:
        for _ in range(self.chance.randrange(3, 7)):
            self.statement(2)
        result = " ^ ".join(f"(uint64_t){name}" for name in self.locals)
        body = "\n  ".join(self.lines)
        head = f"__attribute__((noinline)) uint64_t f{self.number}(uint64_t a, uint64_t b, uint64_t c, uint8_t *p)"
        return f"{head} {{\n  {body}\n  return {result};\n}}\n"


_IDIOMS = """
static inline uint32_t rotl32(uint32_t x, int n) { return x << n | x >> (-n & 31); }
static inline uint16_t fold(uint32_t sum, uint16_t more) {
  sum = (sum & 0xffff) + (sum >> 16) + more;
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~((sum & 0xffff) + (sum >> 16));
}
static inline uint32_t load32(const uint8_t *p) { uint32_t x; __builtin_memcpy(&x, p, 4); return x; }
static inline uint16_t load16be(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
"""


def program(seed: int, functions: int) -> str:
    """A C file with the functions ``f0`` to ``f{functions - 1}``; some call the first few."""
    chance = random.Random(seed)
    return _PRELUDE + _IDIOMS + "\n".join(_Function(n, chance).text() for n in range(functions))
