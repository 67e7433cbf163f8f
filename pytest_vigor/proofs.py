"""Proofs that need not be made again: an earlier run's, and those that another process makes meanwhile."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_vigor.ahead import Ahead, idle_processors
from pytest_vigor.check import Checker
from pytest_vigor.dependence import Dependence
from pytest_vigor.errors import VigorError
from pytest_vigor.items import arguments_ahead, arguments_of, network_function
from pytest_vigor.network_function import NetworkFunction
from pytest_vigor.store import Store
from pytest_vigor.surroundings import files_opened, names_the_world
from pytest_vigor.verdict import Proved, Verdict

KEPT = 4_096
Record = dict[str, Any]
Judged = tuple[Verdict, Record]


@dataclass(frozen=True, slots=True)
class _Others:
    """The processes that are at work on properties, and the places of these by their ids."""

    ahead: Ahead
    places: Mapping[str, int]


def _with_self(item: pytest.Function, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a property, with what the object that it is a method of has."""
    return {**arguments, "self": vars(item.instance) if item.cls is not None else {}}


@dataclass
class Proofs:
    """The proofs of a session."""

    checker: Checker
    dependence: Dependence
    judge: Callable[[pytest.Function, NetworkFunction, Mapping[str, Any]], Judged]
    workers: int
    _store: Store = field(init=False)
    _others: _Others | None = None
    _given: set[str] = field(default_factory=set)  #: ids of all items that others were given in this session

    def __post_init__(self) -> None:
        self._store = Store(self.checker.store.folder / "proofs", KEPT)
        self.checker.idle = self._idle

    @classmethod
    def of(
        cls, config: pytest.Config, checker: Checker,
        judge: Callable[[pytest.Function, NetworkFunction, Mapping[str, Any]], Judged],
    ) -> Proofs:  # fmt: skip
        """For a session. Where pytest runs in several processes, or stops for a debugger, it is left at that."""
        plugins = [each for each in config.pluginmanager.get_plugins() if inspect.ismodule(each)]
        single = not hasattr(config, "workerinput") and not config.getoption("usepdb") and not config.getoption("trace")
        return cls(checker, Dependence(plugins), judge, idle_processors() if single else 0)

    def proved(self, item: pytest.Function, nf: NetworkFunction) -> Judged:
        """What becomes of a property: as is known, or found out now."""
        arguments = arguments_of(item)
        key = self._key(item, nf, arguments)
        if not self._wait(item, nf):
            self._begin(item, nf, key)
        found = self._get(key)
        if found is None:
            return self._judged(item, nf, arguments, key)
        if item.nodeid in self._given:
            return found
        return found[0], {**found[1], "cached": True, "seconds": 0.0, "explore_seconds": 0.0}

    def close(self) -> None:
        """Ends other processes."""
        if self._others is not None:
            self._others.ahead.close()
            self._others = None

    def _idle(self) -> int:
        """How many processors have nothing to do, as far as this session goes."""
        return self.workers if self._others is None or self._others.ahead.done() else 0

    def _wait(self, item: pytest.Function, nf: NetworkFunction) -> bool:
        """Waits for whoever is at work on a property; whether it is one of theirs."""
        if self._others is None or item.nodeid not in self._others.places:
            return False
        work = self.checker.work
        work.begin(f"judging {item.name} of {nf.name} in another process")
        self._others.ahead.reach(self._others.places[item.nodeid], work.check)
        work.end()
        return True

    def _judged(
        self, item: pytest.Function, nf: NetworkFunction, arguments: Mapping[str, Any], key: str | None
    ) -> Judged:
        self.checker.explore(nf)
        with files_opened() as opened:
            verdict, record = self.judge(item, nf, arguments)
        if isinstance(verdict, Proved) and key is not None and not opened:
            self._store.put(key, {"paths": verdict.paths, "assumptions": verdict.assumptions, "record": record})
        return verdict, record

    def data(self, item: pytest.Function, arguments: Mapping[str, Any]) -> str | None:
        """A digest of the data that a property has from its module, its class and its arguments, as it is now."""
        return self.dependence.data(item.module.__name__, _with_self(item, arguments))

    def _key(self, item: pytest.Function, nf: NetworkFunction, arguments: Mapping[str, Any]) -> str | None:
        if names_the_world(item.obj):
            return None
        digest = self.dependence.digest(item.module.__name__, item.nodeid, _with_self(item, arguments))
        return None if digest is None else self._store.key(self.checker.identified(nf)[1], nf.name, digest)

    def _get(self, key: str | None) -> Judged | None:
        kept = self._store.get(key) if key is not None else None
        if kept is None:
            return None
        try:
            verdict = Proved(int(kept["paths"]), tuple(kept["assumptions"]))
            return verdict, dict(kept["record"])
        except (KeyError, TypeError, ValueError):
            return None

    def _begin(self, item: pytest.Function, nf: NetworkFunction, key: str | None) -> None:
        """Has other processes begin with the last properties, if they have nothing else to do and this one is to be
        proved."""
        if self.workers <= 0 or (self._others is not None and not self._others.ahead.done()):
            return
        self.close()
        if self._get(key) is not None:
            return
        jobs: list[Callable[[], object]] = []
        places: dict[str, int] = {}
        about: set[NetworkFunction] = set()
        for other, its, arguments, later in self._to_prove_after(item):
            places[other.nodeid] = len(jobs)
            jobs.append(lambda o=other, n=its, a=arguments, k=later: self._judged(o, n, a, k))  # type: ignore[misc]
            about.add(its)
        # Who goes on with the same network function had better have explored it before.
        if jobs and (about != {nf} or self.checker.explore(nf).given_up is None):
            work = self.checker.work
            tell, work.tell, self.checker.only_proofs = work.tell, None, True  # for the others
            self._others = _Others(Ahead(jobs, self.workers), places)
            work.tell, self.checker.only_proofs = tell, False
            self._given.update(places)

    def _to_prove_after(
        self, item: pytest.Function
    ) -> Iterator[tuple[pytest.Function, NetworkFunction, dict[str, Any], str]]:
        """Properties beside this one that come later, can be run without fixtures, and are not proved yet. What others
        were given once and did not prove is not for them to prove."""
        items = item.session.items
        for other in items[items.index(item) + 1 :]:
            if not isinstance(other, pytest.Function) or "step" not in other.fixturenames:
                continue
            if other.nodeid in self._given:
                continue
            arguments = arguments_ahead(other)
            if arguments is None or other.path.parent != item.path.parent:
                continue
            with suppress(VigorError):  # which it says itself when it is run
                nf = network_function(other)
                key = self._key(other, nf, arguments)
                if key is not None and self._get(key) is None:
                    yield other, nf, arguments, key
