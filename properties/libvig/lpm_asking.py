"""How claims about a longest-prefix-match table are put to the solver."""

from pytest_vigor import term as t
from pytest_vigor.refine.library import NotShown, Refuted, Unsettled
from pytest_vigor.smt import Sat, Unsat


def holding_each(library, path, claims, told):
    """Raises NotShown unless all claims hold on a path. Each is asked about by itself, those that are not easy last."""
    search = library.machine.search

    def answer(ask, name, claim):
        found = ask(path, t.lnot(claim))
        if isinstance(found, Sat):
            raise NotShown(Refuted("\n".join([name, *told(found)])))
        return found

    hard = [each for each in claims if not isinstance(answer(search.ask_easily, *each), Unsat)]
    for name, claim in hard:
        found = answer(search.ask_at_once, name, claim)
        if not isinstance(found, Unsat):
            raise NotShown(Unsettled(f"the solver gave up on {name}: {found.reason}"))


def knowing(facts):
    """The same for a loop, of claims that hold by what is known of the states that there are."""

    def holding(library, path, given, claims, told):
        path = path.fork()
        for condition in (*given, *facts.defined):
            path.hold(condition)
        holding_each(library, path, claims, told)

    return holding
