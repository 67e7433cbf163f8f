"""Arrays as properties read them: sequences for plain indices, a choice among the elements for symbolic ones."""

import pytest

from pytest_vigor import term as t
from pytest_vigor.layout import Array, Bytes, Field, Integer, Struct
from pytest_vigor.number import Number
from pytest_vigor.record import decode, encode

LINK = Struct("link", 8, (Field("next_hop", 0, Bytes(6)), Field("cost", 6, Integer(2))))
LINKS = Array(LINK, 3)
MEMORY = b"".join(bytes([k, 0, 0, 0, 0, 1, 10 * k, 0]) for k in (1, 2, 3))
PLAIN = int.from_bytes(MEMORY, "little")


class Told:
    """A run on which every condition goes one way."""

    def __init__(self, answer=True):
        self.answer, self.asked = answer, []

    def decide(self, condition):
        self.asked.append(condition)
        return self.answer if not isinstance(condition, bool) else condition


def value(number, assignment):
    return t.evaluate(number.term, lambda leaf, _: assignment[leaf.data], {})


@pytest.fixture
def symbolic():
    """An array of three structs of unknown content, and the names of its bytes' values."""
    return t.concat([(64, t.var(f"link{k}", 64)) for k in (2, 1, 0)])


def test_array_is_a_sequence():
    links = decode(Told(), LINKS, PLAIN)
    assert len(links) == 3
    assert [link.cost for link in links] == [10, 20, 30]
    assert links[-1].next_hop == 0x030000000001
    assert [link.cost for link in links[1:]] == [20, 30]
    with pytest.raises(IndexError):
        links[3]


def test_long_array_of_structs_is_not_written_out():
    assert repr(decode(Told(), Array(LINK, 32), 0)) == "<32 of link>"
    assert repr(decode(Told(), Array(Integer(1), 6), 1)) == "[1, 0, 0, 0, 0, 0]"
    assert repr(decode(Told(), Array(LINK, 1), 1)) == "[link(next_hop=01:00:00:00:00:00, cost=0)]"


def test_array_is_equal_to_a_list_of_equal_elements():
    numbers = decode(Told(), Array(Integer(2), 2), 0x0002_0001)
    assert numbers == [1, 2]
    assert numbers != [1, 3]
    assert numbers != [1]
    assert encode(Told(), Array(Integer(2), 2), numbers) == 0x0002_0001


@pytest.mark.parametrize("index", range(3))
def test_symbolic_index_chooses_its_element(symbolic, index):
    run = Told()
    chosen = decode(run, LINKS, symbolic)[Number(run, t.var("i", 16))]
    content = {f"link{k}": int.from_bytes(MEMORY[8 * k : 8 * k + 8], "little") for k in range(3)} | {"i": index}
    assert value(chosen.cost, content) == 10 * (index + 1)
    assert value(chosen.next_hop, content) == (index + 1 << 40) + 1


def test_symbolic_index_into_known_content_chooses_its_element():
    run = Told()
    chosen = decode(run, LINKS, PLAIN)[Number(run, t.var("i", 16))]
    assert [value(chosen.cost, {"i": index}) for index in range(3)] == [10, 20, 30]


def test_symbolic_index_that_is_no_elements_is_an_error(symbolic):
    run = Told(answer=False)
    with pytest.raises(IndexError):
        decode(run, LINKS, symbolic)[Number(run, t.var("i", 16))]
    assert run.asked, "the run was asked whether the index can be within"


def test_symbolic_index_that_is_negative_is_an_error():
    run = Told(answer=False)
    with pytest.raises(IndexError):
        decode(run, LINKS, PLAIN)[Number(run, t.var("i", 16), signed=True)]
