"""What the documentation site is made of besides its pages: the reference of libVig, from its headers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LIBVIG = Path(__file__).resolve().parent.parent / "libvig"
HEADERS = (
    "nf.h", "typed.h", "flow_table/flow_table.h", "map/map.h", "vector/vector.h", "index_pool/index_pool.h",
    "lpm/lpm.h", "consistent_hash/consistent_hash.h", "net/net.h",
)  # fmt: skip
PLACE = "<!-- the reference of libVig -->"
_COMMENT = r"/\*(?P<comment>(?:(?!\*/).)*)\*/\n"
_HEAD = re.compile(r"\s*" + _COMMENT, re.DOTALL)
_DECLARED = re.compile(
    _COMMENT
    + r"(?P<code>VIGOR_API [^;]+;|VIGOR_INLINE [^{]+|#define \w+\([^)]*\)|#define \w+ [^\n]+"
    + r"|struct \w+ \{[^}]+\}[^;]*;)",
    re.DOTALL,
)
_NAMED = re.compile(r"^```(\w+) ([\w/.]+)$", re.MULTILINE)  # a block that stands for a file


def libvig() -> str:
    """Every documented declaration of libVig's public headers."""
    out = []
    for name in HEADERS:
        text = (LIBVIG / name).read_text()
        head = _HEAD.match(text)
        out.append(f"## {name}\n\n{_prose(head['comment']) if head else ''}\n")
        for found in _DECLARED.finditer(text, head.end() if head else 0):
            declared = found["code"].removeprefix("VIGOR_API ").removeprefix("VIGOR_INLINE ").strip()
            code = re.sub(r"\n +", "\n    ", declared)
            out.append(f"```c\n{code}\n```\n\n{_prose(found['comment'])}\n")
    return "\n".join(out)


def _prose(comment: str) -> str:
    lines = [line.strip().removeprefix("*").strip() for line in comment.strip().splitlines()]
    parts = "\n".join(lines).strip().split("`")  # every other one is code
    return "`".join(part if k % 2 else part.replace("<", "&lt;").replace("*", r"\*") for k, part in enumerate(parts))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """mkdocs asks for each page."""
    markdown = re.sub(r"^```sh fails$", "```sh", markdown, flags=re.MULTILINE)
    return _NAMED.sub(r'```\1 title="\2"', markdown).replace(PLACE, libvig())
