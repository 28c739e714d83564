"""Where an answer differs from what was expected, in words."""
from typing import NamedTuple

import numpy
import pytest
import torch

from helpers.exercises.comparing import copies, difference, unchanged
from helpers.exercises.exercise import Exercise
from helpers.exercises.ladder import examine
from helpers.exercises.running import Outcome


@pytest.mark.parametrize("got, expected, said", [
    ([1, 2], [1, 2], None), ((1, 2), [1, 2], None), ({1: 2}, {1: 2.0}, None), (torch.tensor(2.0), 2.0, None),
    (True, 1, "a bool"), (1.0, 1, "a float"), ("a", b"a", "a str"), ([1], [1, 2], "the length is 1, expected 2"),
    ({"a": [1, 3]}, {"a": [1, 2]}, "['a'][1] is 3, expected 2"), ({}, {1: 2}, "[1] is missing"),
    ({1: 2, 3: 4}, {1: 2}, "[3] is 4, expected missing"), (float("nan"), 1.0, "nan"), (1.0000001, 1.0, None),
    (torch.tensor([1.0, -torch.inf]), torch.tensor([1.0, -torch.inf]), None),
    (torch.tensor([1.0, 2.0]), torch.tensor([1.0, -torch.inf]), "result[1] is 2.0, expected -inf"),
    (torch.tensor([[1.0, 2.0]]), torch.tensor([1.0, 2.0]), "(1, 2), expected (2,)"), ({1, 2}, {1}, "{1, 2}"),
    (2.0, float("inf"), "the result is 2.0, expected inf"), (float("nan"), float("nan"), None),
    (10 ** 400, 1.0, "bits"), (10 ** 400, float("inf"), "bits"),
    (1 << 20000, 3, "a whole number of 20001 bits, expected 3"),
    (0.1 + 2e-5, 0.1, "is 0.10002, expected 0.1"), ([[1], 2], [[1, 2], 2], "the length of result[0] is 1, expected 2"),
    (torch.tensor([2 ** 60 + 1]), torch.tensor([2 ** 60]), "[0] is 1152921504606846977, expected 1152921504606846976"),
    (torch.tensor([1, 2]), torch.tensor([1.0, 2.0]), "is torch.int64, expected torch.float32"),
    (torch.eye(2).to_sparse(), torch.eye(2), "layout torch.sparse_coo"),
    (torch.eye(2, device="meta"), torch.eye(2), "on meta, expected a plain tensor"),
    (torch.tensor([True]), torch.tensor([False]), "result[0] is True, expected False"),
    (numpy.array([1]), [1], "a NumPy array, expected a list"), (numpy.float32(2), 2.0, None),
    (numpy.int64(2), 2, None), (numpy.bool_(True), True, None), (1, True, "an int, expected a bool"),
    ("a" * 60 + "b", "a" * 60 + "c", "result[50:80] is 'aaaaaaaaaab', expected 'aaaaaaaaaac'"),
    ("a  b", "a b", "'a  b'"), (iter([1]), [1], "a list_iterator"), (1j, 1.0, "a complex"),
    ([1, "a"], [1, 2], "result[1] is a str"), ([7, "a"], [1, 2], "result[1] is a str"),    # the coarsest, not the first
    ([torch.zeros(2), torch.zeros(3)], [torch.ones(2), torch.zeros(2)], "result[1] is (3,), expected (2,)"),
    (torch.tensor([0.10005, 1.0]), torch.tensor([0.1, 1.0]), "result[0] is 0.1001, expected 0.1"),
    (torch.tensor([100.0005]), torch.tensor([100.0]), None), (100.0005, 100.0, None),
], ids=lambda value: type(value).__name__)
def test_differences_are_said_in_words(got, expected, said):
    found = difference(got, expected, 1e-5)
    assert (found is None) if said is None else said in str(found)


class Pair(NamedTuple):
    name: str
    rows: list


def test_a_copy_is_like_the_original_and_shares_nothing_with_it():
    tensor = torch.ones(2, requires_grad=True)
    given = (tensor, [[1], {"a": [2]}], Pair("x", [3]), {4}, "text")
    copy = copies(given)
    assert copy[0].requires_grad and copy[0].is_leaf and torch.equal(copy[0], tensor)
    assert copy[1:] == given[1:] and copy[2].rows == [3]
    with torch.no_grad():
        copy[0].add_(1)
    for change in (copy[1][0].append, copy[1][1]["a"].append, copy[2].rows.append, copy[3].add):
        assert not unchanged(given, copy)
        change(5)
    assert torch.equal(tensor, torch.ones(2)) and given[1:] == ([[1], {"a": [2]}], Pair("x", [3]), {4}, "text")


def test_two_calls_did_the_same_only_if_both_left_their_arguments_alone():
    assert Outcome(1).same_as(Outcome(1), 0) and not Outcome(1).same_as(Outcome(1, changed=True), 0)


def test_a_long_answer_that_differs_is_cut():
    exercise = Exercise("9.3", "f", "F", 1, lambda n: list(range(n)), lambda draw: [(n,) for n in (90, 100)], (),
                        ("", ""))
    text = examine(exercise, lambda n: [*range(n - 1), 0]).text
    assert "[89] is 0, expected 89" in text and max(map(len, text.splitlines())) < 130
