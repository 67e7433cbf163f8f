"""What the random tests do with a structure. The choices come from a seeded generator or from Hypothesis."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pytest_vigor import contract as c
from tests.libvig.compiled import Function, Library
from tests.libvig.keys import CAPACITY_MAX, pools
from tests.libvig.oracle import in_use
from tests.libvig.structures import STRUCTURES, Choices, Structure

SIZE_BYTES_MAX = 20
TIME_MAX = (1 << 63) - 1
U32_MAX = (1 << 32) - 1


class Seeded:
    """Choices of a seeded generator."""

    def __init__(self, seed: int | str) -> None:
        rng = random.Random(seed)
        self.pick, self.number = rng.choice, rng.randint


class Play:
    """A structure in use: its own habits, and the keys that it gets to see."""

    def __init__(self, library: Library, structure: Structure, choices: Choices) -> None:
        self.choices = choices
        parameters = {"capacity": choices.pick((1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 24, 32, 33, 47, 63, CAPACITY_MAX))}
        if structure.size_parameter:
            parameters[structure.size_parameter] = choices.number(1, SIZE_BYTES_MAX)
        subject = in_use(library, structure, parameters)
        subject.layers_max = choices.pick((1, 1, 1, 1, 3))
        self.subject = subject
        self.capacity = parameters["capacity"]
        self.keys: Sequence[int] = (0,)
        if "key_bytes" in parameters:
            known = pools(parameters["key_bytes"])
            pool = known[choices.pick(sorted(known))]
            count = min(len(pool), choices.pick((4, 6, self.capacity + 2, 2 * self.capacity)))
            start = choices.number(0, len(pool) - count)
            self.keys = pool[start : start + count]
        # Some functions often and others never: otherwise no table would ever be full, or stay so.
        self.functions = [
            function
            for function in subject.functions
            for _ in range(choices.pick((0, 1, 3, 12) if len(function.contract.parameters) > 1 else (0, 1)))
        ] or subject.functions

    def step(self) -> bool:
        """Uses the structure once; False if what was chosen may not be done."""
        subject, choices = self.subject, self.choices
        if subject.loans and choices.number(0, 3) == 0:
            bits = choices.number(0, (1 << 8 * subject.size_bytes) - 1)
            subject.write(choices.pick(sorted(subject.loans)), bits)
            return True
        chosen = self.choose()
        return chosen is not None and subject.call(*chosen)

    def choose(self) -> tuple[Function, dict[str, int]] | None:
        """A function and arguments for it; None if there can be none now."""
        function = self.choices.pick(self.functions)
        arguments = {}
        of = self.subject.structure
        chosen = of.numbers(self.choices, self.subject.entries) if of.numbers is not None else {}
        for name, kind in function.contract.parameters.items():
            match kind:
                case c.Scalar() if name in chosen:
                    arguments[name] = chosen[name]
                case c.Key():
                    arguments[name] = self.choices.pick(self.keys)
                case c.Scalar(bits=64):
                    arguments[name] = self._time()
                case c.Scalar():
                    arguments[name] = self._index()
                case c.Loan() if not self.subject.loans:
                    return None
                case c.Loan():
                    arguments[name] = self.choices.pick(sorted(self.subject.loans))
        return function, arguments

    def _index(self) -> int:
        chosen = self.choices.number(0, 2 * self.capacity + 7)
        if chosen < self.capacity + 2:
            return chosen
        if self.subject.entries and self.choices.number(0, 1):
            return self.choices.pick([*self.subject.entries]) & U32_MAX
        return self.choices.pick((0, self.capacity - 1, U32_MAX, U32_MAX - 1, 1 << 31, self.choices.number(0, U32_MAX)))

    def _time(self) -> int:
        """Around the ages there are, which is where something can go wrong; sometimes far from them."""
        ages: list[int] = [entry[1] for entry in self.subject.entries.values()]
        way = self.choices.number(0, 19)
        if way < 10:
            return min(TIME_MAX, max(ages, default=0) + (0, 0, 0, 1, 1, 1, 2, 3, 50, 1 << 40)[way])
        if way < 18 and ages:
            return min(TIME_MAX, self.choices.pick(ages) + way % 4 - 2)
        return self.choices.pick((0, 0, 1, -1, -TIME_MAX - 1, 1 << 32, self.choices.pick((TIME_MAX - 1, TIME_MAX, 5))))


def volume(library: Library, structure: Structure, seed: int, operations: int) -> int:
    """At least so many calls, spread over many structures; how many arrangements were given up as forbidden."""
    done = forbidden = number = 0
    while done < operations:
        play = Play(library, structure, Seeded(f"{seed}.{structure.name}.{number}"))
        number += 1
        # Short lives find what depends on the start, long ones what wears out.
        for steps in range(play.choices.pick((20, 100, 400))):
            if play.step():
                done += 1
            else:
                forbidden += 1
            if steps > 20 and not play.subject.entries and not play.subject.loans:
                break  # it never gets filled, or is emptied all the time
    return forbidden


def by_name(name: str) -> Structure:
    """The structure of that name."""
    return next(structure for structure in STRUCTURES if structure.name == name)
