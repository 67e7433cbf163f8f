"""An index pool's functions do what their contracts say, from every valid state of any capacity."""

import pytest

BOUND = "every capacity"


@pytest.mark.parametrize("function", ["take", "is_used", "refresh", "release", "capacity", "entry", "restore"])
def test_function_does_what_its_contract_says(library, shown, function):
    from pytest_vigor.refine.unbounded import AtEveryCapacity

    name = f"index_pool_{function}"
    shown(name, BOUND, [(BOUND, AtEveryCapacity(library, library.contracts.by_name[name]).verdict())])


def test_expiring_does_what_its_contract_says(library, shown):
    from properties.libvig.index_pool_expiry import Expiry

    shown("index_pool_expire_before", BOUND, [(BOUND, Expiry(library).verdict())])


def test_allocation_makes_an_empty_pool_or_none(library, shown):
    from properties.libvig.index_pool_allocation import allocation_verdict

    shown("index_pool_alloc", BOUND, [(BOUND, allocation_verdict(library))])


def test_is_valid_says_yes_of_every_valid_pool(library, shown):
    from properties.libvig.index_pool_validity import Validity

    shown("index_pool_is_valid", f"{BOUND}: yes of what is valid", [(BOUND, Validity(library).verdict())])
