"""What is kept is found again under the same circumstances only, and is whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from pytest_vigor import store
from pytest_vigor.store import Store


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(tmp_path / "vigor")


def names(kept: Store) -> set[str]:
    return {path.name for path in kept.folder.iterdir()}


def test_what_was_put_is_got_back(kept: Store) -> None:
    kept.put("a", {"list": [1, "x", None, True], "text": "ü"})
    found = kept.get("a")
    assert found is not None
    assert (found["list"], found["text"]) == ([1, "x", None, True], "ü")
    assert kept.get("b") is None


def test_nothing_is_found_in_a_folder_that_is_not_there(kept: Store) -> None:
    assert kept.get("a") is None
    assert not kept.folder.exists()


def test_what_is_put_later_counts(kept: Store) -> None:
    kept.put("a", {"n": 1})
    kept.put("a", {"n": 2})
    found = kept.get("a")
    assert found is not None and found["n"] == 2
    assert names(kept) == {"a.json"}


def test_a_key_depends_on_each_digest_and_its_place(kept: Store) -> None:
    keys = [kept.key(*digests) for digests in (("a", "b"), ("b", "a"), ("a",), ("ab",), ("a", "b", ""))]
    assert len(set(keys)) == len(keys)
    assert kept.key("a", "b") == keys[0]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'"a"', b'{"key": "b"}', b"{}", b"\xff\xfe", b'{"key": "a"']
)
def test_what_is_damaged_is_not_there(kept: Store, content: bytes) -> None:
    kept.put("a", {"n": 1})
    (kept.folder / "a.json").write_bytes(content)
    assert kept.get("a") is None
    kept.put("a", {"n": 2})
    assert kept.get("a") is not None


def test_a_file_under_another_name_is_not_believed(kept: Store) -> None:
    kept.put("a", {"n": 1})
    shutil.copy(kept.folder / "a.json", kept.folder / "b.json")
    assert kept.get("b") is None


def test_a_failure_on_the_way_leaves_what_was_there(kept: Store) -> None:
    kept.put("a", {"n": 1})
    with pytest.raises(TypeError):
        kept.put("a", {"n": 2, "no JSON": object()})
    found = kept.get("a")
    assert found is not None and found["n"] == 1
    assert names(kept) == {"a.json"}


def test_only_the_latest_are_kept(kept: Store) -> None:
    most = kept.most
    for number in range(most + 3):
        kept.put(f"k{number}", {"n": number})
        os.utime(kept.folder / f"k{number}.json", (number, number))
    kept.put("last", {})
    left = {path.stem for path in kept.folder.glob("*.json")}
    assert len(left) == most and "last" in left and "k0" not in left and f"k{most + 2}" in left


def test_one_at_a_time_holds_a_lock(kept: Store) -> None:
    from filelock import Timeout

    with kept.lock("a"):
        with pytest.raises(Timeout):
            kept.lock("a").acquire(timeout=0.05)
        with kept.lock("b"):
            pass
    start = time.monotonic()
    with kept.lock("a"):
        assert time.monotonic() - start < 5


def test_this_tools_own_text_is_part_of_every_key(
    kept: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources"
    (sources / "inner").mkdir(parents=True)
    (sources / "inner" / "part.py").write_text("x = 1\n")
    monkeypatch.setattr(store, "_SOURCES", sources)

    def key() -> str:
        store.tool_digest.cache_clear()
        return kept.key("a")

    try:
        first = key()
        assert key() == first
        (sources / "inner" / "part.py").write_text("x = 2\n")
        assert key() != first
        monkeypatch.setattr(store, "_TOOLS", ("z3-solver", "pyvex"))
        (sources / "inner" / "part.py").write_text("x = 1\n")
        assert key() != first
    finally:
        store.tool_digest.cache_clear()


def test_the_file_is_plain_json(kept: Store) -> None:
    kept.put("a", {"n": 1})
    assert json.loads((kept.folder / "a.json").read_text()) == {"key": "a", "n": 1}
