"""A longest-prefix-match table is right at every capacity, provided that the functions of maps and index pools are.

libvig/lpm/abstraction.py says what holds of a table between calls. lpm_alloc makes one of which it holds, and each
other function, from any of which it holds, does what its contract says and leaves one of which it holds. The loops
are functions of their own, the steps, which are shown by themselves: where a function calls one, that one's claim
stands in for it.
"""

import pytest

BOUND = "every capacity"


@pytest.mark.parametrize("function", ["lpm_cover", "lpm_cover_slots", "lpm_any_is_longer", "lpm_next_shorter"])
def test_step_does_what_is_said_of_it(library, shown, function):
    from properties.libvig.lpm_loops import STEPS

    shown(function, f"{BOUND} (a step of lpm_add and lpm_remove)", STEPS[function](library))


@pytest.mark.parametrize("function", ["lpm_add", "lpm_remove", "lpm_search", "lpm_size"])
def test_function_does_what_its_contract_says(library, shown, function):
    from properties.libvig.lpm_proof import LpmProof

    shown(function, BOUND, [("any table", LpmProof(library, library.contracts.by_name[function]).verdict())])


@pytest.mark.parametrize("function", ["lpm_slots", "lpm_slot"])
def test_function_tells_what_is_in_slots(library, shown, function):
    from properties.libvig.lpm_slots import verdict

    shown(function, BOUND, [("any table", verdict(library, function))])


def test_allocation_makes_an_empty_table_or_none(library, shown):
    from properties.libvig.lpm_allocation import allocation_verdict
    from pytest_vigor.refine.allocation import refusal

    shown("lpm_alloc", BOUND, [(BOUND, allocation_verdict(library))])
    refused = refusal(library, library.contracts.by_name["lpm_alloc"])
    shown("lpm_alloc, refused", "every capacity and size", [("any", refused)])


@pytest.mark.parametrize("function", ["lpm_are_at_least", "lpm_slots_are_at_least", "lpm_are_present"])
def test_step_of_is_valid_does_what_is_said_of_it(library, shown, function):
    from properties.libvig.lpm_validity_steps import STEPS

    shown(function, f"{BOUND} (a step of lpm_is_valid)", [("any range", STEPS[function](library))])


@pytest.mark.parametrize("function", ["lpm_are_slots_valid", "lpm_used_groups", "lpm_are_prefixes_valid"])
def test_step_of_is_valid_says_yes_of_every_valid_table(library, shown, function):
    from properties.libvig.lpm_validity import STEPS

    bound = f"{BOUND} (a step of lpm_is_valid): yes of what is valid"
    shown(function, bound, [("any table", STEPS[function](library))])


@pytest.mark.parametrize("function", ["lpm_are_slots_valid", "lpm_are_prefixes_valid"])
def test_step_of_is_valid_says_no_of_wrong_entries(library, shown, function):
    from properties.libvig.lpm_trust import STEPS

    bound = f"{BOUND} (a step of lpm_is_valid): no of wrong entries"
    shown(function, bound, [("any table", STEPS[function](library))])


def test_is_valid_says_no_of_wrong_entries(library, shown):
    from properties.libvig.lpm_trust import verdict

    shown("lpm_is_valid", f"{BOUND}: no of wrong entries", [("any table", verdict(library))])


def test_is_valid_says_yes_of_every_valid_table(library, shown):
    from properties.libvig.lpm_validity import Validity

    shown("lpm_is_valid", f"{BOUND}: yes of what is valid", [("any table", Validity(library).verdict())])
