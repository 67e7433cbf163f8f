"""The pytest plugin: options, marker, fixture and reports. Everything else is imported when a property runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_vigor.check import Checker
    from pytest_vigor.network_function import NetworkFunction
    from pytest_vigor.property.steps import Step
    from pytest_vigor.trial import Trials
    from pytest_vigor.verdict import Refuted, Verdict

NO_CONFIGURATION = "nf_init accepts no configuration that fuzzing tried: run pytest with --vigor, which knows them all"
MEMORY_MIB = 8192


class NotProved(Exception):
    """A property that was not proved; the text is the whole report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vigor", "pytest-vigor: proving network functions")
    group.addoption("--vigor", action="store_true", default=None, help="prove the properties of network functions")
    group.addoption("--no-vigor", action="store_false", dest="vigor", help="fuzz, whatever the ini file says")
    group.addoption(
        "--vigor-cpu-seconds", type=float, default=300.0, metavar="SECONDS",
        help="CPU time for exploring one network function, and for judging one property (default: 300)",
    )  # fmt: skip
    group.addoption(
        "--vigor-memory", type=float, default=MEMORY_MIB, metavar="MIB",
        help=f"memory that the process may take for proving; 0 for any (default: {MEMORY_MIB})",
    )  # fmt: skip
    group.addoption(
        "--vigor-report", type=Path, metavar="DIR",
        help="write what was found out as a page, DIR/index.html, and as DIR/report.json",
    )  # fmt: skip
    group.addoption(
        "--vigor-reach-seconds", type=float, default=0.0, metavar="SECONDS",
        help="time for finding packets that lead to what refutes a property; 0: do not look (default: 0)",
    )  # fmt: skip
    group.addoption(
        "--vigor-replay", type=Path, metavar="FILE",
        help="run a saved trace.json, or a pcap or pcapng file, on the network function, and ask each property of it",
    )  # fmt: skip
    group.addoption(
        "--vigor-failures", type=Path, metavar="DIR",
        help="where failures are kept, a folder for each (default: vigor-failures in pytest's cache folder)",
    )  # fmt: skip
    parser.addini("vigor", "prove properties without --vigor", type="bool", default=False)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_vigor import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "nf(name, header=None): the network function that a property is about: the name of a folder under nfs/, or "
        "the path of a shared object with the path of its header",
    )
    folder = config.getoption("vigor_report", None)
    if folder is not None and not hasattr(config, "workerinput"):
        from pytest_vigor.report.session import Collector

        config.pluginmanager.register(Collector(config, folder.absolute()), "vigor-report")


def _proving(config: pytest.Config) -> bool:
    given = config.getoption("vigor")
    return bool(config.getini("vigor") if given is None else given)


@pytest.fixture
def step(request: pytest.FixtureRequest) -> Step:
    """One call of ``nf_process`` of the network function that the mark ``nf`` names."""
    return None  # type: ignore[return-value] # replaced, for each path or example, when the property is run


# ---- running


_CHECKER: pytest.StashKey[Any] = pytest.StashKey()
_TOLD: pytest.StashKey[str] = pytest.StashKey()


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


def pytest_unconfigure(config: pytest.Config) -> None:
    if _TRIALS in config.stash:
        config.stash[_TRIALS].close()


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


def _network_function(item: pytest.Function) -> NetworkFunction:
    from pytest_vigor.errors import VigorError
    from pytest_vigor.network_function import NetworkFunction

    mark = item.get_closest_marker("nf")
    if mark is None or not mark.args:
        raise VigorError(
            f"{item.nodeid} does not say which network function it is about", 'mark it: @pytest.mark.nf("bridge")'
        )
    name, header = str(mark.args[0]), mark.kwargs.get("header", mark.args[1] if len(mark.args) > 1 else None)
    bases = [item.path.parent, *item.path.parent.parents]
    if name.endswith(".so"):
        binary = _find(name, bases, f"{item.nodeid} is about {name}")
        path = _find(str(header), bases, f"the header of {name}") if header else binary.with_suffix(".h")
        return NetworkFunction(binary.stem, binary, path)
    from pytest_vigor import build

    for base in bases:
        for folder in (base / "nfs" / name, base / name):
            if (folder / f"{folder.name}.c").is_file() and (folder / f"{folder.name}.h").is_file():
                return NetworkFunction(folder.name, build.binary_of(folder), folder / f"{folder.name}.h")
    raise VigorError(
        f"{item.nodeid} is about the network function {name!r}, which is not there",
        f"put it into nfs/{name}/{name}.c and {name}.h, or mark the path of a shared object",
    )


def _find(name: str, bases: list[Path], what: str) -> Path:
    from pytest_vigor.errors import VigorError

    for base in bases:
        if (base / name).is_file():
            return base / name
    raise VigorError(f"{what}: there is no file {name}", "build it, or correct the path in the mark")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    if "step" not in pyfuncitem.fixturenames:
        return None
    import inspect

    from pytest_vigor.render import claim_of, failure
    from pytest_vigor.verdict import Fuzzed, Proved, Replayed

    nf = _network_function(pyfuncitem)
    wanted = [name for name in inspect.signature(pyfuncitem.obj).parameters if name != "step"]
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}

    def function(step: Step) -> object:
        return pyfuncitem.obj(step=step, **arguments)

    claim = claim_of(pyfuncitem.name, inspect.getdoc(pyfuncitem.obj))
    read = _prove if _proving(pyfuncitem.config) else _fuzz
    if pyfuncitem.config.getoption("vigor_replay") is not None:
        read = _replay
    verdict, record = read(pyfuncitem, nf, function, claim)
    pyfuncitem.user_properties.append(("vigor", json.dumps(record)))
    if not isinstance(verdict, Proved | Fuzzed | Replayed):
        text = failure(claim, verdict, verbosity=pyfuncitem.config.get_verbosity())
        raise NotProved(text + _kept(pyfuncitem, nf, claim, verdict))
    if isinstance(verdict, Fuzzed) and not verdict.examples:
        pytest.skip(NO_CONFIGURATION)
    return True


def _prove(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str
) -> tuple[Verdict, dict[str, Any]]:
    from pytest_vigor.verdict import Proved, Refuted

    checker = _checker(item.config)
    explored = checker.explore(nf)
    started = monotonic()
    looked_at: set[int] = set()
    verdict = checker.verdict(nf, function, claim, item.name, looked_at)
    if isinstance(verdict, Refuted):
        verdict = _reached(item, nf, function, claim, verdict)
    subject = explored.subject
    record = {
        "nf": nf.name,
        "verdict": type(verdict).__name__,
        "confirmed": isinstance(verdict, Refuted) and verdict.counterexample.confirmed,
        "paths": len(subject.behaviour.paths.get("nf_process", ())),
        "obligations": subject.behaviour.trivial_obligations + subject.behaviour.recorded_obligations,
        "explore_seconds": round(explored.seconds, 3),
        "seconds": round(monotonic() - started, 3),
        "cached": explored.cached,
        "invariants": [each.text for each in subject.invariants],
        "assumptions": list(verdict.assumptions) if isinstance(verdict, Proved) else [],
    }
    if item.config.getoption("vigor_report") is not None:
        from pytest_vigor.report.gather import told

        item.stash[_TOLD] = told(item.nodeid, claim, verdict, record, looked_at, explored)
    return verdict, record


def _reached(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str, verdict: Refuted
) -> Refuted:
    """The refutation, by packets that lead there from the start if such are found."""
    from pytest_vigor.render.states import is_initial

    seconds: float = item.config.getoption("vigor_reach_seconds")
    example = verdict.counterexample
    if not seconds or not example.confirmed or not example.run.steps or is_initial(example):
        return verdict
    return _trials(item.config).reached(nf, function, item.obj, claim, item.nodeid, verdict, seconds)


def _fuzz(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str
) -> tuple[Verdict, dict[str, Any]]:
    from pytest_vigor.verdict import Refuted

    started = monotonic()
    verdict, tally = _trials(item.config).verdict(nf, function, item.obj, claim, item.nodeid)
    return verdict, {
        "nf": nf.name,
        "property": item.name,
        "verdict": type(verdict).__name__,
        "confirmed": isinstance(verdict, Refuted) and verdict.counterexample.confirmed,
        "examples": tally.examples,
        "reached": tally.reached,
        "seconds": round(monotonic() - started, 3),
        "assumptions": [],
    }


def _replay(
    item: pytest.Function, nf: NetworkFunction, function: Callable[[Step], object], claim: str
) -> tuple[Verdict, dict[str, Any]]:
    from pytest_vigor import capture, failures
    from pytest_vigor.verdict import Refuted

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
    return verdict, {
        "nf": nf.name,
        "property": item.name,
        "verdict": type(verdict).__name__,
        "confirmed": isinstance(verdict, Refuted) and verdict.counterexample.confirmed,
        "replayed": path.name,
        "is_trace": is_trace,
        "rebuilt": rebuilt,
        "seconds": round(monotonic() - started, 3),
        "assumptions": [],
    }


def _kept(item: pytest.Function, nf: NetworkFunction, claim: str, verdict: Verdict) -> str:
    """Keeps a refutation; what to say about it."""
    from pytest_vigor.verdict import Refuted

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


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    if "pytest_vigor.plain" not in sys.modules:
        return None
    from pytest_vigor.render.compare import explain

    return explain(op, left, right)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    outcome = yield
    if "pytest_vigor.verdict" not in sys.modules and "pytest_vigor.errors" not in sys.modules:
        return
    from pytest_vigor.errors import VigorError

    report: pytest.TestReport = outcome.get_result()
    if call.excinfo is not None and isinstance(call.excinfo.value, NotProved | VigorError):
        report.longrepr = str(call.excinfo.value)
    if call.when == "call" and item.config.getoption("vigor_report") is not None:
        from pytest_vigor.report import session

        session.tell(item, report, item.stash.get(_TOLD, None))


# ---- reporting


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hypothesis's plugin imports all of Hypothesis to find out whether that has written any observations. Where nobody
    has imported it, here or in another process, it has not: proving need not wait for it."""
    config = session.config
    if _proving(config) and "hypothesis" not in sys.modules and not config.getoption("numprocesses", None):
        config.pluginmanager.unregister(name="hypothesispytest")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    by_nf: dict[str, list[dict[str, Any]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "vigor" and report.when == "call":
                    record = json.loads(value)
                    by_nf.setdefault(record["nf"], []).append(record)
    checker = config.stash.get(_CHECKER, None)
    if checker is not None and checker.work.what:  # Ctrl-C
        terminalreporter.section("vigor was stopped", sep="-")
        terminalreporter.write_line(f"while {checker.work}")
        terminalreporter.write_line("What was explored before is kept: the next run goes on from there.")
    if not by_nf:
        return
    from pytest_vigor.render import assumptions, fuzzed_lines, replayed_lines, summary_details, summary_line

    terminalreporter.section("vigor", sep="-")
    for name, records in sorted(by_nf.items()):
        told = fuzzed_lines if "examples" in records[0] else replayed_lines if "replayed" in records[0] else None
        if told is not None:
            for line in told(name, records):
                terminalreporter.write_line(line)
            continue
        terminalreporter.write_line(summary_line(name, records))
        for line in summary_details(records) if config.get_verbosity() > 0 else ():
            terminalreporter.write_line(line)
    names = sorted({name for records in by_nf.values() for record in records for name in record["assumptions"]})
    if names and config.get_verbosity() > 0:
        for line in assumptions(names, config.get_verbosity()):
            terminalreporter.write_line(line)
