"""Variants of libVig that are wrong on purpose, each by one change to its C code, and of the contracts, each by one
change to their text. Whatever checks the library or the contracts has to notice every one."""

from __future__ import annotations

import ast
import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_vigor.build import libvig_root


@dataclass(frozen=True, slots=True)
class Wrong:
    """A change to one file: ``old``, which occurs there once, becomes ``new``; it shows in ``shown_by``."""

    name: str
    file: str
    old: str
    new: str
    shown_by: tuple[str, ...]

    def copy_to(self, folder: Path) -> Path:
        """A copy of libVig with this change."""
        root = folder / "libvig"
        shutil.copytree(libvig_root(), root, ignore=shutil.ignore_patterns("*.so", "__pycache__", ".vigor"))
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has {text.count(self.old)} times {self.old!r}")
        path.write_text(text.replace(self.old, self.new))
        return root


PROBE, AGES = "map/probe.h", "index_pool/ages.h"
TABLES = ("map", "flow_table")
POOLS = ("index_pool", "flow_table")

WRONG = (
    Wrong("search_stops_at_another_key", PROBE, "if (found == PROBE_TAG_UNUSED) {", "if (found != tag) {", TABLES),
    Wrong(
        "search_stops_at_the_last_slot",
        PROBE,
        "if (found == PROBE_TAG_UNUSED) {",
        "if (found == PROBE_TAG_UNUSED || slot == probe->mask) {",
        TABLES,
    ),
    Wrong(
        "search_believes_the_tag",
        PROBE,
        "found == tag && probe_keys_equal(key, probe_key(probe, where, slot), probe->key_bytes)",
        "found == tag",
        TABLES,
    ),
    Wrong("long_keys_differ_in_their_end_only", PROBE, "difference = probe_load64(a) ^", "difference = 0 &", TABLES),
    Wrong("long_keys_differ_in_their_start_only", PROBE, "probe_load64(a + last) ^", "0 &", TABLES),
    Wrong("erasing_moves_nothing_up", PROBE, "if (distance_from_start >= distance_from_gap) {", "if (0) {", TABLES),
    Wrong(
        "erasing_moves_too_little_up",
        PROBE,
        "distance_from_start >= distance_from_gap",
        "distance_from_start > distance_from_gap",
        TABLES,
    ),
    Wrong("erasing_moves_everything_up", PROBE, "if (distance_from_start >= distance_from_gap) {", "if (1) {", TABLES),
    Wrong("erasing_forgets_the_wrap", PROBE, "(slot - tag) & probe->mask", "slot - (tag & probe->mask)", TABLES),
    Wrong("too_few_slots", PROBE, "while (slots < 2 * capacity) {", "while (slots < capacity) {", TABLES),
    Wrong(
        "map_forgets_the_last_key_byte",
        "map/map.c",
        "map->probe.key_bytes = key_bytes;",
        "map->probe.key_bytes = key_bytes > 1 ? key_bytes - 1 : 1;",
        ("map",),
    ),
    Wrong("map_is_full_too_early", "map/map.c", "size == map->capacity", "size + 1 == map->capacity", ("map",)),
    Wrong("map_is_full_too_late", "map/map.c", "size == map->capacity", "size > map->capacity", ("map",)),
    Wrong(
        "map_put_keeps_the_old_value",
        "map/map.c",
        "    probe_slot(&map->probe, slot)->value = value;",
        "    probe_slot(&map->probe, slot)->value |= value;",
        ("map",),
    ),
    Wrong("map_erase_does_not_count", "map/map.c", "map->size--;", "", ("map",)),
    Wrong("ageing_includes_the_time", AGES, "->age < time ?", "->age <= time ?", POOLS),
    Wrong("released_index_keeps_its_age", AGES, "    ages_node(ages, index)->age = AGES_UNUSED;", "", POOLS),
    Wrong(
        "unlinking_goes_one_way",
        AGES,
        "    ages_node(ages, node->newer)->older = node->older;",
        "",
        POOLS,
    ),
    Wrong(
        "unused_ring_has_a_cycle",
        AGES,
        "ages_link(ages, index - 1, ages_unused_end(ages));",
        "ages_link(ages, (index - 1) / 2, ages_unused_end(ages));",
        POOLS,
    ),
    Wrong(
        "used_index_is_handed_out",
        "index_pool/index_pool.c",
        "const uint32_t index = ages_unused(&pool->ages);",
        "const uint32_t index = ages_is_used(&pool->ages, 3) ? 3 : ages_unused(&pool->ages);",
        ("index_pool",),
    ),
    Wrong(
        "refused_restore_beyond_the_end", "index_pool/index_pool.c", "index >= pool", "index > pool", ("index_pool",)
    ),
    Wrong(
        "something_is_written_on_false",
        "index_pool/index_pool.c",
        "    if (!ages_is_used(&pool->ages, index)) {",
        "    *out_age = AGES_UNUSED;\n    if (!ages_is_used(&pool->ages, index)) {",
        ("index_pool",),
    ),
    Wrong("expiring_stops_after_one", "index_pool/index_pool.c", "expired++;", "return 1;", ("index_pool",)),
    Wrong("expiring_miscounts", "flow_table/flow_table.c", "        expired++;", "", ("flow_table",)),
    Wrong(
        "refresh_does_not_move",
        "flow_table/flow_table.c",
        "    ages_renew(&table->ages, index, now);",
        "    ages_node(&table->ages, index)->age = now;",
        ("flow_table",),
    ),
    Wrong(
        "find_and_refresh_only_finds",
        "flow_table/flow_table.c",
        "    ages_renew(&table->ages, *out_index, now);",
        "",
        ("flow_table",),
    ),
    Wrong(
        "erase_leaves_the_key",
        "flow_table/flow_table.c",
        "    probe_remove(&table->probe, PROBE_KEYS_BY_VALUE, slot);",
        "",
        ("flow_table",),
    ),
    Wrong(
        "erase_takes_the_first_with_that_tag",
        "flow_table/flow_table.c",
        "probe_slot(&table->probe, slot)->value != index || ",
        "",
        ("flow_table",),
    ),
    Wrong(
        "records_overlap",
        "vector/vector.c",
        "const size_t stride_bytes = block_stride(record_bytes);",
        "const size_t stride_bytes = record_bytes - (record_bytes > 1);",
        ("vector",),
    ),
    Wrong("records_are_not_zero", "block.h", "calloc(1, padded_bytes)", "malloc(padded_bytes)", ("vector",)),
    Wrong(
        "checksum_drops_the_second_carry",
        "net/net.h",
        "    sum = (sum & 0xFFFF) + (sum >> 16);\n    return (net_be16) ~sum;",
        "    return (net_be16) ~sum;",
        ("net",),
    ),
    Wrong("checksum_adds_the_old_value", "net/net.h", "(uint16_t) ~old_value", "old_value", ("net",)),
    Wrong(
        "checksum_of_half_the_value",
        "net/net.h",
        "(net_be16) (old_value >> 16), (net_be16) (new_value >> 16)",
        "(net_be16) old_value, (net_be16) (new_value >> 16)",
        ("net",),
    ),
)

LPM = "lpm/lpm.c"
#: Those of a structure whose public functions are not proved.
WRONG_BY_USE = tuple(
    Wrong(name, file, old, new, ("lpm",))
    for name, file, old, new in (
        ("removing_leaves_nothing", LPM, "lpm_next_shorter(lpm, prefix, length));", "0);"),
        ("adding_overrides_longer_ones", "lpm/steps.h", "LPM_LENGTH_SHIFT <= length + 1", "LPM_LENGTH_SHIFT <= 33"),
        ("covering_misses_the_last", LPM, "(32 - length), length, entry);", "(32 - length) >> 1, length, entry);"),
        ("splitting_forgets_what_was_there", LPM, "LPM_ANY_LENGTH, found);", "LPM_ANY_LENGTH, 0);"),
        ("groups_are_given_up_too_early", LPM, "if (!lpm_any_is_longer(lpm->entries, first)) {", "if (true) {"),
        ("groups_are_never_given_up", LPM, "if (!lpm_any_is_longer(lpm->entries, first)) {", "if (false) {"),
        ("next_shorter_is_one_too_short", LPM, "        length--;\n", "        length -= length > 1 ? 2 : 1;\n"),
        ("prefixes_with_more_bits_are_taken", LPM, "(prefix & ~lpm_mask(length)) != 0 || ", ""),
    )
)


# ---- contracts


def changed_contracts(source: str) -> Iterator[tuple[str, str]]:
    """Every contract module that differs from a given one by one small change: what is changed, and the text."""
    tree = ast.parse(source)
    sites = [(number, change) for number, node in enumerate(ast.walk(tree)) for change in _changes(node)]
    for number, (what, _) in sites:
        changed = copy.deepcopy(tree)
        node = next(node for i, node in enumerate(ast.walk(changed)) if i == number)
        before = ast.unparse(node).splitlines()[0]
        line = getattr(node, "lineno", 0)
        dict(_changes(node))[what]()
        yield f"line {line}: {what}: {before}", ast.unparse(changed)


def _changes(node: ast.AST) -> list[tuple[str, Callable[[], Any]]]:
    """What can be changed about a node itself."""
    changes: list[tuple[str, Callable[[], Any]]] = []

    def add(what: str, change: Callable[..., Any], *arguments: Any) -> None:
        changes.append((what, lambda: change(*arguments)))

    match node:
        case ast.If(test=test) | ast.Lambda(body=test):
            field = "test" if isinstance(node, ast.If) else "body"
            add("negated", setattr, node, field, ast.UnaryOp(ast.Not(), test))
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() as op]):
            other = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE}[type(op)]
            add("bound moved", setattr, node, "ops", [other()])
        case ast.Compare(ops=[ast.Eq()]):
            add("negated", setattr, node, "ops", [ast.NotEq()])
        case ast.BoolOp(values=values):
            for place in range(len(values)):
                add(f"without part {place}", values.pop, place)
        case ast.Call(func=ast.Attribute(attr="requires" | "forbids" as name), args=[condition, _]):
            add("dropped", setattr, node, "args", [ast.Constant(name == "requires"), node.args[1]])
            add("opposite", setattr, node, "args", [ast.UnaryOp(ast.Not(), condition), node.args[1]])
        case ast.Call(func=ast.Name("Outcome"), args=[ast.Constant(bool(value))]):
            add("other result", setattr, node, "args", [ast.Constant(not value)])
        case ast.Call(func=ast.Name("Outcome"), args=[result]):
            if not isinstance(result, ast.Constant) and "call.new" not in ast.unparse(result):
                add("other result", setattr, node, "args", [ast.BinOp(result, ast.Add(), ast.Constant(1))])
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Outcome":
        for place, keyword in enumerate(node.keywords):
            add(f"without {keyword.arg}", node.keywords.pop, place)
    return changes
