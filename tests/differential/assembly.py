"""Instructions to try one by one: every integer instruction that compilers emit up to x86-64-v3, and the conditions.

Memory operands go through ``rsi`` (source) and ``rdi`` (destination), which point into scratch memory; ``rcx`` holds
an amount or an index and is random too.
"""

from __future__ import annotations

from collections.abc import Iterator

from .trials import CONDITIONS, undefined_flags

_WIDTHS = (("b", "al", "bl", "cl"), ("w", "ax", "bx", "r9w"), ("l", "eax", "ebx", "r9d"), ("q", "rax", "rbx", "r9"))
_MEMORY = {"b": "byte ptr", "w": "word ptr", "l": "dword ptr", "q": "qword ptr"}
_IMMEDIATES = {
    "b": (0, 1, 127, -128, -1), "w": (0, 1, 0x1234, -1), "l": (0, 1, 0x12345678, -1), "q": (0, 1, 0x12345678, -1),
}

_FLAG_WRITERS_2 = ("add", "sub", "cmp", "and", "or", "xor", "test", "adc", "sbb")
_FLAG_WRITERS_1 = ("inc", "dec", "neg", "not")
_SHIFTS = ("shl", "shr", "sar", "rol", "ror")

_INTEGER_SINGLES = """
bswap rax
cbw
cwde
cdqe
cwd
cdq
cqo
movsxd rax, ebx
leave
push 5
push qword ptr [rsi]
pop qword ptr [rdi]
nop
endbr64
clc
stc
cmc
lahf
sahf
xchg ah, bl
mov ah, bh
add ah, bl
mov bh, byte ptr [rsi]
movzx eax, bh
mov eax, dword ptr [rsi]; mov ah, 5; mov ebx, eax
rcr rax, 1
rcr eax, 1
rcl rax, 1
rcl ebx, 1
cld
mfence
lfence
sfence
pause
prefetcht0 [rsi]
rol ax, 8
ror bx, 8
mulx rax, rbx, rcx
mulx eax, ebx, ecx
"""

_SSE_SINGLES = """
movhlps xmm0, xmm1
movlhps xmm0, xmm1
movq xmm0, xmm1
movq xmm0, rax
movq rax, xmm0
movd xmm0, eax
movd eax, xmm0
movq xmm0, qword ptr [rsi]
movq qword ptr [rdi], xmm0
movd xmm0, dword ptr [rsi]
movd dword ptr [rdi], xmm0
movss xmm0, xmm1
movsd xmm0, xmm1
movss xmm0, dword ptr [rsi]
movsd xmm0, qword ptr [rsi]
movss dword ptr [rdi], xmm0
movsd qword ptr [rdi], xmm0
movddup xmm0, xmm1
movsldup xmm0, xmm1
movshdup xmm0, xmm1
pmovmskb eax, xmm0
movmskps eax, xmm0
movmskpd eax, xmm0
ptest xmm0, xmm1
ptest xmm0, xmm0
pcmpeqd xmm0, xmm0
pextrw eax, xmm0, 3
pextrb eax, xmm0, 9
pextrd eax, xmm0, 2
pextrq rax, xmm0, 1
pextrb byte ptr [rdi], xmm0, 1
pextrw word ptr [rdi], xmm0, 5
pextrd dword ptr [rdi], xmm0, 3
pinsrb xmm0, eax, 7
pinsrw xmm0, eax, 2
pinsrd xmm0, eax, 1
pinsrq xmm0, rax, 1
pinsrb xmm0, byte ptr [rsi], 3
pinsrw xmm0, word ptr [rsi], 6
pinsrd xmm0, dword ptr [rsi], 2
pinsrq xmm0, qword ptr [rsi], 0
extractps eax, xmm0, 2
phminposuw xmm0, xmm1
mpsadbw xmm0, xmm1, 3
pxor xmm0, xmm0
xorps xmm0, xmm0
"""

_AVX_SINGLES = """
vbroadcastss ymm0, xmm1
vbroadcastsd ymm0, xmm1
vbroadcastss ymm0, dword ptr [rsi]
vbroadcasti128 ymm0, xmmword ptr [rsi]
vbroadcastf128 ymm0, xmmword ptr [rsi]
vpmovmskb eax, ymm0
vmovmskps eax, ymm0
vmovmskpd eax, ymm0
vpermq ymm0, ymm1, 0x4e
vpermq ymm0, ymm1, 0xd8
vpermpd ymm0, ymm1, 0x1b
vpermd ymm0, ymm1, ymm2
vpermps ymm0, ymm1, ymm2
vzeroupper
vzeroall
vmovq xmm0, rax
vmovd xmm0, eax
vmovq rax, xmm0
vmovd eax, xmm0
vmovq xmm0, qword ptr [rsi]
vmovq qword ptr [rdi], xmm0
vmovd dword ptr [rdi], xmm0
vmovss xmm0, xmm1, xmm2
vmovsd xmm0, xmm1, xmm2
vmovhps xmm0, xmm1, qword ptr [rsi]
vmovlps xmm0, xmm1, qword ptr [rsi]
vmovhps qword ptr [rdi], xmm0
vmovlhps xmm0, xmm1, xmm2
vmovhlps xmm0, xmm1, xmm2
vmovddup ymm0, ymm1
vpextrb eax, xmm0, 5
vpextrw eax, xmm0, 5
vpextrd eax, xmm0, 1
vpextrq rax, xmm0, 1
vpinsrb xmm0, xmm1, eax, 3
vpinsrw xmm0, xmm1, eax, 3
vpinsrd xmm0, xmm1, eax, 3
vpinsrq xmm0, xmm1, rax, 1
vmpsadbw ymm0, ymm1, ymm2, 5
vlddqu ymm0, [rsi+5]
vmovntdq [rdi], ymm1
vpblendd ymm0, ymm1, ymm2, 0xa5
vpblendd xmm0, xmm1, xmm2, 5
vpermilps ymm0, ymm1, 0x1b
vpermilpd ymm0, ymm1, 5
vpermilps ymm0, ymm1, ymm2
vpgatherdd ymm0, [rsi+ymm4*1], ymm2
"""


def _integer() -> Iterator[str]:
    yield from ("ud2", "bsr rax, rbx; bsf rcx, rbx; mov eax, 0; mov ecx, 0")
    for letter, a, b, c in _WIDTHS:
        pointer = _MEMORY[letter]
        for name in _FLAG_WRITERS_2:
            yield f"{name} {a}, {b}"
            yield f"{name} {pointer} [rdi+16], {a}"
            if name != "test":
                yield f"{name} {a}, {pointer} [rsi-8]"
            for number in _IMMEDIATES[letter]:
                yield f"{name} {a}, {number}"
                yield f"{name} {pointer} [rdi], {number}"
        for name in _FLAG_WRITERS_1:
            yield f"{name} {a}"
            yield f"{name} {pointer} [rdi+8]"
        for name in _SHIFTS:
            for amount in (1, 2, 3, 7, 15, 31, 63):
                yield f"{name} {a}, {amount}"
            yield f"{name} {a}, cl"
            yield f"{name} {pointer} [rdi], cl"
        for name in ("mul", "imul", "div", "idiv"):
            yield f"{name} {b}"
            yield f"{name} {pointer} [rsi]"
        yield f"mov {a}, {b}"
        yield f"mov {a}, {pointer} [rsi+r10*4]"
        yield f"mov {pointer} [rdi+r10*8+3], {a}"
        yield f"xchg {a}, {b}"
        yield f"xchg {pointer} [rdi], {a}"
        yield f"xadd {b}, {a}"
        yield f"lock xadd {pointer} [rdi], {a}"
        # Upper half clear: the machine leaves eax alone if equal, VEX writes it, which clears the upper half of rax.
        clear = "mov eax, eax; " if letter == "l" else ""
        yield f"{clear}cmpxchg {b}, {c}"
        yield f"{clear}lock cmpxchg {pointer} [rdi], {c}"
        yield f"lock add {pointer} [rdi], {c}"
        yield f"lock dec {pointer} [rdi]"
        if letter != "b":
            yield f"imul {a}, {b}"
            yield f"imul {a}, {pointer} [rsi]"
            yield f"imul {a}, {b}, 100"
            yield f"imul {a}, {b}, -3"
            for name in ("bsf", "bsr"):  # undefined for zero
                yield f"or {b}, 16; {name} {a}, {b}"
            for name in ("popcnt", "lzcnt", "tzcnt"):
                yield f"{name} {a}, {b}"
                yield f"{name} {a}, {pointer} [rsi]"
            for name in ("bt", "bts", "btr", "btc"):
                yield f"{name} {a}, 5"
                yield f"{name} {a}, {c}"
                yield f"{name} {a}, {c}; setc bh"
                yield f"{name} {a}, {c}; inc {c}; lea eax, [rax+1]; {name} {b}, {c}; sbb edx, edx"
                yield f"mov {c}, 5; {name} {a}, {c}; mov {c}, 64; {name} {b}, {c}; adc edx, 3; cmp edx, ecx"
                yield f"{name} {pointer} [rdi], 3"
            for name in ("shld", "shrd"):
                yield f"{name} {a}, {b}, 3"
                yield f"{name} {a}, {b}, 13"
                if letter != "w":  # by more than 16 it is undefined, and refused
                    yield f"{name} {a}, {b}, cl"
            yield f"movbe {a}, {pointer} [rsi]"
            yield f"movbe {pointer} [rdi], {a}"
            yield f"lea {a}, [rbx+rcx*4+77]"
            for condition in CONDITIONS:
                yield f"cmov{condition} {a}, {b}"
            yield f"push {a}; pop {c}" if letter in "wq" else f"bswap {a}"
    yield from _INTEGER_SINGLES.strip().splitlines()
    for wide, narrow in (("eax", "bl"), ("rax", "bl"), ("eax", "bx"), ("rax", "bx"), ("ax", "bl")):
        yield f"movzx {wide}, {narrow}"
        yield f"movsx {wide}, {narrow}"
    for narrow in ("byte ptr", "word ptr"):
        yield f"movzx eax, {narrow} [rsi+1]"
        yield f"movsx rax, {narrow} [rsi+1]"
    for letter in "bwdq":
        yield f"movs{letter}"
        yield f"stos{letter}"
        yield f"cmps{letter}"
        yield f"scas{letter}"
        for prefix in ("rep movs", "rep stos", "repe cmps", "repne scas"):
            yield f"and ecx, 15; {prefix}{letter}"
    for a, b, c, memory in (("eax", "ebx", "ecx", "dword ptr"), ("rax", "rbx", "rcx", "qword ptr")):
        for name in ("andn", "bextr", "bzhi", "sarx", "shlx", "shrx", "pdep", "pext"):
            yield f"{name} {a}, {b}, {c}"
        for name in ("blsi", "blsmsk", "blsr"):
            yield f"{name} {a}, {b}"
            yield f"{name} {a}, {memory} [rsi]"
        yield f"rorx {a}, {b}, 7"
        yield f"adcx {a}, {b}"
        yield f"adox {a}, {b}"
        for number in ("0x0ff0", "0x0f0f0f0f", "1"):
            yield f"mov {c}, {number}; pext {a}, {b}, {c}; pdep {b}, {a}, {c}"
    for source in ("bl", "bx", "ebx"):
        yield f"crc32 eax, {source}"
    yield "crc32 rax, rbx"
    yield "crc32 eax, dword ptr [rsi]"


def _conditions() -> Iterator[str]:
    """Each condition after each kind of operation, as a byte."""
    for letter, a, b, _ in _WIDTHS:
        writers = [f"{name} {a}, {b}" for name in _FLAG_WRITERS_2] + [f"cmp {a}, 1", f"sub {a}, -1"]
        writers += [f"{name} {a}" for name in ("inc", "dec", "neg")]
        writers += [f"{name} {a}, {n}" for name in ("shl", "shr", "sar") for n in (1, 5)]
        writers += [f"rol {a}, 1", f"ror {a}, 1", f"mul {b}", f"imul {b}"]
        if letter in "lq":
            writers += [f"{name} {a}, {b}" for name in ("blsr", "blsi", "blsmsk")]
            writers += [f"{name} {a}, {b}, {a}" for name in ("andn", "bzhi")]
        for writer in writers:
            undefined = 0 if writer.endswith(", 1") else undefined_flags([writer.split()[0]])
            defined = [c for c, looks_at in CONDITIONS.items() if not looks_at & undefined]
            sets = "; ".join(f"set{c} byte ptr [rdi+{i}]" for i, c in enumerate(defined))
            yield f"{writer}; {sets}"
            yield f"{writer}; jmp 1f; 1: nop; {sets}"  # in two blocks, so that VEX cannot simplify


_SSE_NAMES = """
paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw psubsb psubsw psubusb psubusw pand
pandn por pxor pcmpeqb pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq pmullw pmulld pmulhw pmulhuw
pmuludq pmuldq pmaddwd pmaddubsw pmulhrsw psadbw pavgb pavgw pmaxub pmaxsw pmaxsb pmaxsd pmaxuw pmaxud pminub
pminsw pminsb pminsd pminuw pminud packsswb packssdw packuswb packusdw punpcklbw punpcklwd punpckldq punpcklqdq
punpckhbw punpckhwd punpckhdq punpckhqdq pshufb psignb psignw psignd phaddw phaddd phsubw phsubd psllw pslld
psllq psrlw psrld psrlq psraw psrad andps andnps orps xorps andpd andnpd orpd xorpd unpcklps unpckhps unpcklpd
unpckhpd
"""
_SSE_2 = _SSE_NAMES.split()
_SSE_1 = ["pabsb", "pabsw", "pabsd"]
_SSE_WIDEN = [f"pmov{s}x{w}" for s in "sz" for w in ("bw", "bd", "bq", "wd", "wq", "dq")]
_SSE_IMMEDIATE = {
    "pshufd": (0, 0x1B, 0xB1, 0x4E), "pshuflw": (0x1B, 0xB1), "pshufhw": (0x1B, 0xB1), "palignr": (0, 4, 9, 16, 20),
    "shufps": (0x1B, 0x88, 0xDD), "shufpd": (0, 1, 2, 3), "pblendw": (0x55, 0xF0, 0x0F), "blendps": (5, 9),
    "blendpd": (1, 2), "insertps": (0x1D, 0x60),
}
_SSE_SHIFT = {
    "psllw": 16, "pslld": 32, "psllq": 64, "psrlw": 16, "psrld": 32, "psrlq": 64, "psraw": 16, "psrad": 32,
    "pslldq": 16, "psrldq": 16,
}


def _sse() -> Iterator[str]:
    for name in _SSE_2:
        yield f"{name} xmm0, xmm1"
        yield f"{name} xmm2, xmmword ptr [rsi]"
    for name in _SSE_1:
        yield f"{name} xmm0, xmm1"
    for name in _SSE_WIDEN:
        yield f"{name} xmm0, xmm1"
    for name, numbers in _SSE_IMMEDIATE.items():
        for number in numbers:
            yield f"{name} xmm0, xmm1, {number}"
    for name, limit in _SSE_SHIFT.items():
        for amount in (0, 1, limit // 2, limit - 1, limit, 200):
            yield f"{name} xmm0, {amount}"
    for name in ("pblendvb", "blendvps", "blendvpd"):
        yield f"{name} xmm3, xmm1, xmm0"
    for move in ("movdqa", "movdqu", "movaps", "movups", "movapd", "movupd"):
        yield f"{move} xmm0, xmm1"
        yield f"{move} xmm0, xmmword ptr [rsi+16]"
        yield f"{move} xmmword ptr [rdi+32], xmm0"
    yield "lddqu xmm0, [rsi+3]"
    yield "movntdq [rdi], xmm1"
    yield "movnti [rdi], rax"
    for low in ("movlps", "movhps", "movlpd", "movhpd"):
        yield f"{low} xmm0, qword ptr [rsi]"
        yield f"{low} qword ptr [rdi], xmm0"
    yield from _SSE_SINGLES.strip().splitlines()


_NOT_IN_AVX2 = {"phminposuw", "movlhps", "movhlps"}


def _avx() -> Iterator[str]:
    for name in _SSE_2:
        yield f"v{name} xmm0, xmm1, xmm2"
        last = "xmm2" if name in _SSE_SHIFT else "ymm2"
        yield f"v{name} ymm0, ymm1, {last}"
        yield f"v{name} ymm3, ymm1, {'xmm' if name in _SSE_SHIFT else 'ymm'}word ptr [rsi]"
    for name in _SSE_1:
        yield f"v{name} ymm0, ymm1"
        yield f"v{name} xmm0, xmm1"
    for name in _SSE_WIDEN:
        yield f"v{name} ymm0, xmm1"
        yield f"v{name} xmm0, xmm1"
    for name, numbers in _SSE_IMMEDIATE.items():
        for number in numbers:
            if name in ("pshufd", "pshuflw", "pshufhw"):
                yield f"v{name} ymm0, ymm1, {number}"
            elif name == "insertps":
                yield f"v{name} xmm0, xmm1, xmm2, {number}"
            else:
                yield f"v{name} ymm0, ymm1, ymm2, {number}"
                yield f"v{name} xmm0, xmm1, xmm2, {number}"
    for name, limit in _SSE_SHIFT.items():
        for amount in (0, 1, limit // 2, limit - 1, limit, 200):
            yield f"v{name} ymm0, ymm1, {amount}"
            yield f"v{name} xmm0, xmm1, {amount}"
    for name in ("vpblendvb", "vblendvps", "vblendvpd"):
        yield f"{name} ymm3, ymm1, ymm2, ymm0"
        yield f"{name} xmm3, xmm1, xmm2, xmm0"
    for name in ("vpsllvd", "vpsllvq", "vpsrlvd", "vpsrlvq", "vpsravd"):
        yield f"{name} ymm0, ymm1, ymm2"
        yield f"{name} xmm0, xmm1, xmm2"
    for register, size in (("xmm", "xmm"), ("ymm", "ymm")):
        for move in ("vmovdqa", "vmovdqu", "vmovaps", "vmovups"):
            yield f"{move} {register}0, {register}1"
            yield f"{move} {register}0, {size}word ptr [rsi+32]"
            yield f"{move} {size}word ptr [rdi+64], {register}0"
        for name, memory in (("b", "byte"), ("w", "word"), ("d", "dword"), ("q", "qword")):
            yield f"vpbroadcast{name} {register}0, xmm1"
            yield f"vpbroadcast{name} {register}0, {memory} ptr [rsi]"
        for name in ("vpmaskmovd", "vpmaskmovq", "vmaskmovps", "vmaskmovpd"):
            yield f"{name} {register}0, {register}1, [rsi]"
            yield f"{name} [rdi], {register}1, {register}0"
        yield f"vptest {register}0, {register}1"
    yield from _AVX_SINGLES.strip().splitlines()
    for name in ("vinserti128", "vinsertf128", "vperm2i128", "vperm2f128"):
        last = "xmm2" if "insert" in name else "ymm2"
        for number in (0, 1) if "insert" in name else (0x01, 0x20, 0x31, 0x13, 0x08, 0x80):
            yield f"{name} ymm0, ymm1, {last}, {number}"
    for name in ("vextracti128", "vextractf128"):
        yield f"{name} xmm0, ymm1, 0"
        yield f"{name} xmm0, ymm1, 1"
        yield f"{name} xmmword ptr [rdi], ymm1, 1"


def instructions(with_avx2: bool) -> list[str]:
    """Snippets of assembly (Intel syntax), mostly single instructions; no two alike."""
    every = [*_integer(), *_conditions(), *_sse()]
    if with_avx2:
        every += _avx()
    return list(dict.fromkeys(every))
