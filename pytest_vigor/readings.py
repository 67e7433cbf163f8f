"""The three readings of a property when pytest runs it: proved, tried, or replayed."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from pytest_vigor.errors import VigorError
from pytest_vigor.identity import asked_about_identity
from pytest_vigor.items import arguments_of, network_function
from pytest_vigor.network_function import NetworkFunction
from pytest_vigor.property.asserts import has_assert
from pytest_vigor.render import claim_of, failure
from pytest_vigor.surroundings import is_never_the_same
from pytest_vigor.verdict import Fuzzed, Proved, Refuted, Replayed, Unknown, Vacuous, Verdict

if TYPE_CHECKING:
    from pytest_vigor.check import Checker
    from pytest_vigor.proofs import Proofs
    from pytest_vigor.property.steps import Step
    from pytest_vigor.trial import Trials
    from pytest_vigor.work import Work

NO_CONFIGURATION = "nf_init accepts no configuration that fuzzing tried: run pytest with --vigor, which knows them all"


class NotProved(Exception):
    """A property that was not proved; the text is the whole report."""


def run(item: pytest.Function, is_proving: bool) -> None:
    """Runs a property; NotProved, or what pytest skips by, if it does not hold."""
    try:
        _run(item, is_proving)
    except Exception:  # and not Ctrl-C, after which is said what was being done
        work = work_of(item.config)
        if work is not None:
            work.end()
        raise


def _run(item: pytest.Function, is_proving: bool) -> None:
    nf = network_function(item)
    claim = claim_of(item.name, inspect.getdoc(item.obj))
    if item.config.getoption("vigor_replay") is not None:
        verdict, record = _replay(item, nf, _function(item, arguments_of(item)), claim)
    elif not is_proving:
        verdict, record = _fuzz(item, nf, _function(item, arguments_of(item)), claim)
    elif item.config.getoption("vigor_report") is not None:  # which shows more than is kept of a proof
        verdict, record = _prove(item, nf, arguments_of(item))
    else:
        verdict, record = _proofs(item.config).proved(item, nf)
    item.user_properties.append(("vigor", json.dumps(record)))
    if not isinstance(verdict, Proved | Fuzzed | Replayed):
        text = failure(claim, verdict, verbosity=item.config.get_verbosity())
        raise NotProved(text + _kept(item, nf, claim, verdict))
    if isinstance(verdict, Fuzzed) and not verdict.examples:
        pytest.skip(NO_CONFIGURATION)


def _function(item: pytest.Function, arguments: Mapping[str, Any]) -> Callable[[Step], object]:
    return lambda step: item.obj(step=step, **arguments)


_MARK = "leave cases out with assume(), or mark the property with pytest.mark.{}"
_ENDS: dict[type[BaseException], tuple[str, str]] = {
    pytest.skip.Exception: ("skip", _MARK.format("skip")),
    pytest.xfail.Exception: ("xfail", _MARK.format("xfail")),
    pytest.fail.Exception: ("fail", "use assert: what it says is shown with the packet for which it is false"),
}


def _claims(item: pytest.Function, arguments: Mapping[str, Any]) -> Callable[[Step], object]:
    """The property, for a proof: what ends a test would end all cases for what one of them is."""

    def claims(step: Step) -> object:
        try:
            return item.obj(step=step, **arguments)
        except tuple(_ENDS) as ended:
            name, remedy = next(_ENDS[each] for each in type(ended).__mro__ if each in _ENDS)
            raise VigorError(f"{item.name} ends with pytest.{name}({str(ended)!r}) in a proof", remedy) from ended

    return claims


_CHECKER: pytest.StashKey[Any] = pytest.StashKey()
TOLD: pytest.StashKey[str] = pytest.StashKey()


def _checker(config: pytest.Config) -> Checker:
    if _CHECKER not in config.stash:
        from pytest_vigor.check import Checker
        from pytest_vigor.store import Store
        from pytest_vigor.work import Work

        modules = [module for found in config.hook.pytest_vigor_contracts() for module in found]
        work = Work(_Teller(config), config.getoption("vigor_memory"))
        store = Store(_cache_folder(config))
        config.stash[_CHECKER] = Checker(store, config.getoption("vigor_cpu_seconds"), work, modules)
    return config.stash[_CHECKER]  # type: ignore[no-any-return]


_PROOFS: pytest.StashKey[Proofs] = pytest.StashKey()


def _proofs(config: pytest.Config) -> Proofs:
    if _PROOFS not in config.stash:
        from pytest_vigor.proofs import Proofs

        config.stash[_PROOFS] = Proofs.of(config, _checker(config), _prove)
    return config.stash[_PROOFS]


_TRIALS: pytest.StashKey[Any] = pytest.StashKey()


def _trials(config: pytest.Config) -> Trials:
    if _TRIALS not in config.stash:
        import random

        from hypothesis import settings

        from pytest_vigor.trial import Trials

        seed: int | None = 0 if settings().derandomize else random.SystemRandom().getrandbits(64)
        if config.getoption("--hypothesis-seed", None) is not None:
            seed = None  # Hypothesis has it
        modules = [module for found in config.hook.pytest_vigor_contracts() for module in found]
        config.stash[_TRIALS] = Trials(seed, modules)
    return config.stash[_TRIALS]  # type: ignore[no-any-return]


def close(config: pytest.Config) -> None:
    """Ends other processes, and leaves this one as it was."""
    if _TRIALS in config.stash:
        config.stash[_TRIALS].close()
    if _PROOFS in config.stash:
        config.stash[_PROOFS].close()
    if _CHECKER in config.stash:
        config.stash[_CHECKER].close()


def work_of(config: pytest.Config) -> Work | None:
    """What is being proved, if anything has been."""
    checker = config.stash.get(_CHECKER, None)
    return None if checker is None else checker.work


def _cache_folder(config: pytest.Config) -> Path:
    cache = getattr(config, "cache", None)
    if cache is not None:
        return Path(cache.mkdir("vigor"))
    import tempfile  # the cache plugin is off: nothing is kept

    return Path(tempfile.mkdtemp(prefix="vigor-"))


class _Teller:
    """Lines on the terminal about work that takes long."""

    def __init__(self, config: pytest.Config) -> None:
        self._capture = config.pluginmanager.getplugin("capturemanager")
        quiet = config.get_verbosity() < 0
        self._reporter = None if quiet else config.pluginmanager.getplugin("terminalreporter")

    def __call__(self, text: str) -> None:
        if self._reporter is not None and self._capture is not None:
            with self._capture.global_and_fixture_disabled():
                self._reporter.ensure_newline()
                self._reporter.write_line(text)


def _record(nf: NetworkFunction, verdict: Verdict, started: float) -> dict[str, Any]:
    """What is noted in each reading, of one that started then."""
    return {
        "nf": nf.name,
        "verdict": type(verdict).__name__,
        "confirmed": isinstance(verdict, Refuted) and verdict.counterexample.confirmed,
        "seconds": round(monotonic() - started, 3),
        "assumptions": list(verdict.assumptions) if isinstance(verdict, Proved) else [],
    }


def _prove(
    item: pytest.Function, nf: NetworkFunction, arguments: Mapping[str, Any]
) -> tuple[Verdict, dict[str, Any]]:
    claim, function = claim_of(item.name, inspect.getdoc(item.obj)), _claims(item, arguments)
    checker = _checker(item.config)
    explored = checker.explore(nf)
    started = monotonic()
    looked_at: set[int] = set()
    reach = bool(item.config.getoption("vigor_reach"))
    data = _proofs(item.config).data(item, arguments)
    verdict: Verdict = _unfit(item) or checker.verdict(nf, function, claim, item.name, looked_at, reach)
    if isinstance(verdict, Proved) and _proofs(item.config).data(item, arguments) != data:
        verdict = Unknown("the property changes data that it has from its module", "keep nothing between runs")
    if isinstance(verdict, Refuted):
        verdict = _reached(item, nf, function, claim, verdict)
    if isinstance(verdict, Vacuous) and not has_assert(item.obj):
        verdict = Vacuous("it has no assert", "assert what it claims: nobody looks at what a property returns")
    subject = explored.subject
    record = _record(nf, verdict, started) | {
        "paths": len(subject.behaviour.paths.get("nf_process", ())),
        "obligations": subject.behaviour.trivial_obligations + subject.behaviour.recorded_obligations,
        "explore_seconds": round(explored.seconds, 3),
        "cached": explored.cached,
        "invariants": [each.text for each in subject.invariants],
    }
    if item.config.getoption("vigor_report") is not None:
        from pytest_vigor.report.gather import told

        item.stash[TOLD] = told(item.nodeid, claim, verdict, record, looked_at, explored)
    return verdict, record


def _unfit(item: pytest.Function) -> Unknown | None:
    """Why a property would not say on symbols what it says natively, if that can be told from how it is written."""
    if sys.flags.optimize:
        return Unknown("Python leaves asserts out", "run it without -O, and without PYTHONOPTIMIZE")
    if getattr(item.obj, "is_hypothesis_test", False):
        return Unknown(
            "Hypothesis makes up arguments of the property: nothing is shown of any others",
            "have them come from the step, such as step.packet.length, or from parametrize",
        )
    if is_never_the_same(item.obj):
        return Unknown(
            "the property names what gives another answer each time",
            "have a list for an iterator, and parametrize for numbers",
        )
    asked = asked_about_identity(item.obj)
    if asked:
        return Unknown(
            f"the property asks which object something is, or of which type, in {asked}",
            "compare with ==, or use the condition as it is; for types there is isinstance()",
        )
    return None


def _reached(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str, verdict: Refuted
) -> Refuted:
    """The refutation, by packets that lead there from the start if such are found."""
    from pytest_vigor.counterexample import Reach
    from pytest_vigor.render.states import is_initial

    examples: int = item.config.getoption("vigor_reach")
    example = verdict.counterexample
    if not examples or not example.confirmed or not example.run.steps:
        return verdict
    if example.reach is Reach.FOUND or is_initial(example):
        return verdict
    return _trials(item.config).reached(nf, function, item.obj, claim, item.nodeid, verdict, examples)


def _fuzz(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str
) -> tuple[Verdict, dict[str, Any]]:
    started = monotonic()
    verdict, tally = _trials(item.config).verdict(nf, function, item.obj, claim, item.nodeid)
    return verdict, _record(nf, verdict, started) | {
        "property": item.name,
        "examples": tally.examples,
        "reached": tally.reached,
    }


def _replay(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str
) -> tuple[Verdict, dict[str, Any]]:
    from pytest_vigor import capture, failures

    path: Path = item.config.getoption("vigor_replay")
    started = monotonic()
    is_trace = path.suffix == ".json"
    given: Any
    if is_trace:
        saved = failures.load(path)
        if saved.nf != nf.name:
            pytest.skip(f"{path.name} is about {saved.nf}")
        given = failures.counterexample(path, saved).situation
    else:
        given = capture.read(path)
    verdict, rebuilt = _trials(item.config).replayed(nf, function, claim, given)
    return verdict, _record(nf, verdict, started) | {
        "property": item.name,
        "replayed": path.name,
        "is_trace": is_trace,
        "rebuilt": rebuilt,
    }


def _kept(item: pytest.Function, nf: NetworkFunction, claim: str, verdict: Verdict) -> str:
    """Keeps a refutation; what to say about it."""
    config = item.config
    folder: Path | None = config.getoption("vigor_failures")
    if folder is None and getattr(config, "cache", None) is not None:
        assert config.cache is not None
        folder = Path(config.cache.mkdir("vigor-failures"))
    if not isinstance(verdict, Refuted) or folder is None or config.getoption("vigor_replay") is not None:
        return ""
    from pytest_vigor import failures

    kept = failures.keep(folder.absolute(), nf.name, item.nodeid, claim, verdict.counterexample)
    shown = kept.relative_to(Path.cwd()) if kept.is_relative_to(Path.cwd()) else kept
    return f"\n\nKept in {shown}. To run it again:\n  pytest {item.nodeid} --vigor-replay {shown / failures.TRACE}"
