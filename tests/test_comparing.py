"""Where an answer differs from what was expected, in words."""
import numpy
import pytest
import torch

from helpers.exercises.comparing import difference
from helpers.exercises.exercise import Exercise
from helpers.exercises.ladder import examine


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
    ([1, "a"], [1, 2], "result[1] is a str"),
], ids=lambda value: type(value).__name__)
def test_differences_are_said_in_words(got, expected, said):
    found = difference(got, expected, 1e-5)
    assert (found is None) if said is None else said in str(found)


def test_a_long_answer_that_differs_is_cut():
    exercise = Exercise("9.3", "f", "F", 1, lambda n: list(range(n)), lambda draw: [(n,) for n in (90, 100)], (),
                        ("", ""))
    text = examine(exercise, lambda n: [*range(n - 1), 0]).text
    assert "[89] is 0, expected 89" in text and max(map(len, text.splitlines())) < 130
