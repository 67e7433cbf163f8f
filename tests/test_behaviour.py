"""A Behaviour comes back from JSON as it went in: every path, event and term."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from expressions import Environment, Expressions, environment, leaf

from pytest_vigor import build, contract, term as t
from pytest_vigor.behaviour import (
    Assume,
    Behaviour,
    Called,
    Event,
    MutableScalar,
    Node,
    Oblige,
    Path as Line,
    Structure,
    dump,
    load,
)
from pytest_vigor.binary import load as load_binary
from pytest_vigor.explore.explorer import explore
from pytest_vigor.frame import Write
from pytest_vigor.headers import read_header

ROOT = Path(__file__).parent.parent


def through_json(behaviour: Behaviour) -> Behaviour:
    return load(json.loads(json.dumps(dump(behaviour), separators=(",", ":"))))


def flat(behaviour: Behaviour) -> object:
    """Everything that a Behaviour says, as nested tuples."""
    lines = {
        entry: tuple(
            (tuple(each.events()), each.ending, each.value, each.writes, each.scalars, each.structures, each.blocks,
             each.reason, each.kind, each.where)
            for each in paths
        )
        for entry, paths in behaviour.paths.items()
    }  # fmt: skip
    return (behaviour.structures, behaviour.scalars, lines, behaviour.trivial_obligations, behaviour.queries,
            behaviour.cpu_seconds, behaviour.notes)  # fmt: skip


def chain(*events: Event) -> Node | None:
    node: Node | None = None
    for event in events:
        node = Node(event, node, node.depth + 1 if node else 1)
    return node


def behaviour(paths: dict[str, tuple[Line, ...]]) -> Behaviour:
    table = Structure("table", "flow_table", (("key_bytes", 6), ("capacity", t.var("config.capacity", 32))))
    return Behaviour((table,), (MutableScalar("counter", 64),), paths, 3, 17, 0.25, ("a note",))


def test_every_kind_of_event_and_value_survives() -> None:
    device, key = t.var("device", 16), t.app("packet", 8, (16, t.add(16, t.var("v16_0", 16), 3)))
    record = t.concat([(8, key), (8, t.undefined("padding", 8))])
    shared = chain(Assume(t.ult(16, device, 4), 0x401000), Oblige(False, "memory", "in bounds", 0x401004))
    assert shared is not None
    lent = t.var("call0.out_index", 32), record
    arguments = (("vector", "table"), ("record", lent), ("mask", (1 << 64) - 1), ("key", key))
    call = Called(0, "vector_give_back", arguments, (True, False), (("result", "call0.result", 8),), 0x401008)
    last = Node(call, shared, 3)
    paths = (
        Line(last, "returned", t.zext(device, 16, 32), (Write(0, 6, (1 << 48) - 1), Write(device, 1, key)),
             (("counter", t.add(64, t.var("state.counter", 64), 1)),), (), (0x401000, 0x401008)),
        Line(shared, "failed", where=0x401004),
        Line(None, "stuck", reason="the NF calls exit, which has no contract", kind="contract", where=7),
    )  # fmt: skip
    made = behaviour({"nf_init": (Line(None, "returned", 1, structures=("table",)),), "nf_process": paths})
    back = through_json(made)
    assert flat(back) == flat(made)
    assert back.recorded_obligations == made.recorded_obligations
    assert back.accepted[0].structures == ("table",)
    assert back.paths["nf_process"][1].last is not None
    assert back.paths["nf_process"][0].last.before is back.paths["nf_process"][1].last  # type: ignore[union-attr]


def test_terms_mean_the_same_afterwards() -> None:
    chance = Random(12)
    source = Expressions(chance)
    made = [source.any(chance.randrange(1, 6)) for _ in range(300)]
    lines = tuple(Line(None, "returned", value) for value, _ in made)
    back = through_json(behaviour({"nf_init": lines}))
    for line, (_, meaning) in zip(back.paths["nf_init"], made, strict=True):
        given: Environment = environment(chance)
        got = t.evaluate(line.value, leaf(given), {})
        assert got == meaning(given) and type(got) is type(meaning(given))


def test_numbers_too_large_for_other_readers_are_written_as_text() -> None:
    line = Line(None, "returned", t.mul(64, t.add(64, t.var("v64_0", 64), (1 << 63) + 1), t.var("v64_1", 64)))

    def numbers(value: object) -> list[int]:
        if isinstance(value, dict):
            return numbers(list(value.values()))
        if isinstance(value, list):
            return [n for each in value for n in numbers(each)]
        return [value] if isinstance(value, int) else []

    stored = dump(behaviour({"nf_init": (line,)}))
    assert max(numbers(json.loads(json.dumps(stored)))) < 1 << 53
    assert through_json(behaviour({"nf_init": (line,)})).paths["nf_init"][0].value is line.value


def explored(name: str, out: Path) -> Behaviour:
    binary = load_binary(build.build_nf([ROOT / "nfs" / name / f"{name}.c"], out / f"{name}.so"))
    header = read_header(ROOT / "nfs" / name / f"{name}.h", [build.libvig_root()])
    contracts = contract.collect([contract.module_at(path) for path in build.contract_files()])
    return explore(binary, header, contracts)


@pytest.mark.parametrize("name", ["nop", "bridge"])
def test_an_explored_network_function_comes_back_the_same(name: str, tmp_path: Path) -> None:
    found = explored(name, tmp_path)
    stored = dump(found)
    back = through_json(found)
    assert flat(back) == flat(found)
    assert dump(back) == stored
    assert len(json.dumps(stored)) < 2_000_000


def test_exploring_twice_finds_the_same(tmp_path: Path) -> None:
    one, two = dump(explored("nop", tmp_path)), dump(explored("nop", tmp_path))
    del one["cpu_seconds"], two["cpu_seconds"]
    assert one == two
