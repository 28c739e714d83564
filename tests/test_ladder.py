"""The check itself: each rung of the ladder, and what is said there."""
import dataclasses
import functools

import pytest
import torch
from small_exercises import DOUBLE

from helpers.exercises.exercise import Exercise, Mistake, Property
from helpers.exercises.ladder import examine


def in_place(x, n):
    with torch.no_grad():
        return x.mul_(n).clone()


@pytest.mark.parametrize("answer, state, said", [
    (lambda x, n: x * n, "passed", "passed. 5 inputs and the gradient equal to the reference; doubling twice is "
                                   "doubling by four."),
    (lambda x, n: n * x.clone(), "passed", "passed"),
    (lambda x, n: None, "not yet", "It returned None."),
    (lambda x, n: (x * n).tolist(), "not yet", "the result is a list, expected a tensor"),
    (lambda x, n: (x * n)[None], "not yet", "the result is (1, 1, 2), expected (1, 2)"),
    (lambda x, n: (x * n).double(), "not yet", "is torch.float64, expected torch.float32"),
    (lambda x, n: x * n / 0, "not yet", "[0, 0] is inf"),
    (lambda x, n: x * float("nan"), "not yet", "Not every number is finite."),
    (in_place, "not yet", "It changes the input it was given."),
    (lambda x, n: x - 1, "not yet", "the values are not"),
    (lambda x, n: x + n, "not yet", "You add."),
    (lambda x, n: (x * n).detach(), "not yet", "You cut the gradient off."),
    (lambda x, n: (x * n).detach() + 0 * x, "not yet", "the gradient by argument 1"),
    (lambda x, n: x * n if x.numel() != 6 or n != 2 or x.detach()[0, 0] != 1 else x, "not yet", "ones became other"),
    (lambda x: x, "not yet", "It takes 1 argument, and is called with 2."),
    (lambda x, n, m: x, "not yet", "It takes 3 arguments, and is called with 2."),
    (lambda: 3, "not yet", "It takes no arguments, and is called with 2."),
    (lambda *both: both[0] * both[1], "passed", "passed"),
    (functools.partial(lambda m, x, n: x * n, 3), "passed", "passed"),
    (torch.mul, "passed", "passed"),
    (type("Times", (), {"__call__": lambda self, x, n: x * n})(), "passed", "passed"),
    (type("Kept", (), {"__init__": lambda self, x, n: None}), "not yet", "the result is a Kept, expected a tensor"),
    (lambda x, n: x, "not yet", "The shape is right; the values are not."),
    (lambda x, n, *, loud=False: x * n, "passed", "passed"),
])
def test_each_rung_stops_the_climb(answer, state, said):
    report = examine(DOUBLE, answer)
    assert report.state == state and said in report.text, report.text
    assert len(report.text.splitlines()) <= 8


NAN = float("nan")


@pytest.mark.parametrize("answer, headline", [               # each fails at several rungs, the coarser on larger inputs
    (lambda x, n: x[9] if len(x) > 4 else None, "It stopped with an error, on 1 of 5 inputs."),
    (lambda x, n: None if len(x) > 4 else repr(x), "It returned None, on 1 of 5 inputs."),
    (lambda x, n: repr(x) if len(x) > 4 else x[None], "It returned, but not the right type."),
    (lambda x, n: x[None] if len(x) > 4 else x.double(), "The type is right; the shape is not."),
    (lambda x, n: x.double() * NAN if len(x) > 4 else x * NAN, "The shape is right; the dtype is not."),
    (lambda x, n: x.mul_(NAN).clone() if len(x) > 4 else x.add_(1).clone(), "Not every number is finite."),
    (lambda x, n: x.add_(5).clone() if len(x) > 4 else x, "It changes the input it was given."),
    (lambda x, n: x.detach(), "The shape is right; the values are not."),
    (lambda x, n: x.detach() * n if len(x) != 2 or n == 2 and x.max() > 1 else x, "The values are right, but this is "
                                                                                   "not true: doubling twice"),
])
def test_the_coarsest_fault_is_said(answer, headline):
    assert examine(DOUBLE, answer).text.startswith(f"9.1 double: not yet. {headline}")


@pytest.mark.parametrize("setting", [torch.no_grad, torch.inference_mode, lambda: torch.device("meta")])
def test_what_the_notebook_has_set_does_not_change_what_is_expected(setting):
    def slope(x):
        x = x.requires_grad_()
        (x * x).sum().backward()
        return x.grad
    exercise = Exercise("9.7", "slope", "Slope", 1, slope, lambda draw: [(torch.ones(n),) for n in (1, 2, 3)],
                        (Mistake(lambda x: x, "This is x."),), ("a", "b"))
    with setting():
        assert examine(exercise, lambda x: 2 * x).passed
        assert examine(exercise, lambda x: x).advice == "This is x."


def test_a_property_is_asked_only_of_an_answer_with_the_right_values():
    asked = []
    exercise = dataclasses.replace(DOUBLE, mistakes=DOUBLE.mistakes[:2],
                                   properties=(Property("it is asked", asked.append),))
    examine(exercise, lambda x, n: x)
    assert asked == []
    examine(exercise, exercise.oracle)
    assert asked == [exercise.oracle]


@pytest.mark.parametrize("answer, argument", [
    (lambda a, b: a.detach() * b + (a - a.detach()).flip(0) * b, 1),         # to the wrong place, with the right sum
    (lambda a, b: a * b.detach(), 2),
])
def test_a_wrong_gradient_is_said(answer, argument):
    exercise = Exercise("9.5", "product", "Product", 1, lambda a, b: a * b,
                        lambda draw: [(torch.arange(1.0, n), torch.full((n - 1,), 3.0)) for n in (2, 3, 5)],
                        (), ("a", "b"), gradients=(0, 1))
    text = examine(exercise, answer).text
    assert "The values are right, but this is not true: its gradient is" in text
    assert f"\n    the gradient by argument {argument} of product([1" in text and ": result[0] is " in text, text


def stub(x, n):
    """What it does."""
    # 1. a step
    raise NotImplementedError()


def begun(x, n):
    x + n
    raise NotImplementedError()


def half_done(x, n):
    both = x * n
    if n > 100:
        return both
    raise NotImplementedError()


def half_done_here_and_there(x, n):
    if len(x) > 2:
        raise NotImplementedError()
    return x * n


def test_only_an_untouched_stub_is_not_started():
    assert examine(DOUBLE, stub).text == (
        "9.1 double: not started. Write your lines where it says raise NotImplementedError(), run that cell, then this "
        "one.")
    assert examine(DOUBLE, begun).text.startswith("9.1 double: not yet. It still raises NotImplementedError.\n")
    text = examine(DOUBLE, half_done).text
    assert text.startswith("9.1 double: not yet. It still raises NotImplementedError.\n    line ")
    assert "raise NotImplementedError()\n" in text and "Take that line out when yours are complete" in text
    text = examine(DOUBLE, half_done_here_and_there).text
    assert text.startswith("9.1 double: not yet. It still raises NotImplementedError, on 3 of 5 inputs.")


def keeps(x, n, kept=[]):
    kept.append(x)
    return x * len(kept)


@pytest.mark.parametrize("answer", [keeps, lambda x, n: x + torch.rand(1)])
def test_what_outlasts_a_call_is_said(answer):
    text = examine(DOUBLE, answer).text
    assert "The same call gave two different results.\n    double([[" in text, text
    assert "a default value such as out=[]" in text and len(text.splitlines()) <= 8


@pytest.mark.parametrize("raised, said", [
    (lambda x, n: undefined, "has that cell been run since the kernel started?"),
    (lambda x, n: forever(x, n), "It calls itself without an end."),
    (lambda x, n: raise_exit(), "A function ends with return."),
    (lambda x, n: input("Which? "), "RuntimeError: input() waits for the keyboard"),
    (lambda x, n: (_ for _ in ()).throw(Unsaid()), "    Unsaid\n"),
    (lambda x, n: (_ for _ in ()).throw(ValueError("many\nlines " * 90)), "ValueError: many lines many lines"),
    (lambda x, n: (_ for _ in ()).throw(KeyboardInterrupt), "    KeyboardInterrupt\n"),
    (lambda x, n: endless_list(), "the result holds itself"),
])
def test_errors_are_said_in_short(raised, said):
    text = examine(DOUBLE, raised).text
    assert said in text and "It stopped with an error." in text, text
    assert len(text.splitlines()) <= 8 and max(map(len, text.splitlines())) < 125


def forever(x, n):
    return forever(x, n)


class Unsaid(Exception):
    def __str__(self):
        raise ValueError


def endless_list():
    endless = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("answer, said", [
    (lambda x, n: (row * n for row in x), "yield (or a comprehension in round brackets)"),
    (lambda x, n: [row * n for row in x], "torch.stack(...)"), (lambda x, n: (x * n).numpy(), "torch.from_numpy"),
    (lambda x, n: (x * n).tolist(), "torch.tensor(...)"), (lambda x, n: x.mul, "are the brackets missing"),
])
def test_a_wrong_type_comes_with_the_way_to_the_right_one(answer, said):
    assert said in examine(DOUBLE, answer).text


def test_who_made_two_mistakes_hears_of_the_one_that_explains_most():
    exercise = Exercise(
        "9.4", "clip", "Clip", 1, lambda n: min(max(n, 0), 9), lambda draw: [(n,) for n in range(-4, 12)],
        (Mistake(lambda n: max(n, 0), "You forget the upper end."),
         Mistake(lambda n: min(n, 9), "You forget the lower."),
         Mistake(lambda n: n - 1, "You take one away.")), ("a", "b"))
    report = examine(exercise, lambda n: n)
    assert "values are not, on 6 of 16 inputs.\n    clip(-4)\n    gave      -4\n    expected  0\n" in report.text
    assert report.advice == "Perhaps, since it explains 4 of 6 wrong results: You forget the lower."
    odd = [({n: -7 for n in range(-4, 12)}, "none of the wrong results is a mistake's"),
           ({0: -1, 1: 77}, "one of two is, which may be chance"),
           ({0: -1, 1: 0} | {n: 77 for n in range(2, 7)}, "two of seven")]
    for wrong, why in odd:
        assert examine(exercise, lambda n: wrong.get(n, min(max(n, 0), 9))).advice == 'A nudge: run hint("9.4").', why


def test_a_mistake_that_explains_the_minority_is_no_guess():
    exercise = Exercise(
        "9.6", "clip", "Clip", 1, lambda n: min(max(n, 0), 9), lambda draw: [(n,) for n in range(-4, 12)],
        (Mistake(lambda n: max(n, 0), "You forget the upper end."),), ("a", "b"))
    assert examine(exercise, lambda n: n).advice == 'A nudge: run hint("9.6").', "it explains 2 of 6"
    assert "explains 2 of 4" in examine(exercise, lambda n: max(n, 0) if n not in (3, 4) else 77).advice


def test_an_expected_error_must_be_raised():
    def refuses(n):
        if n < 0:
            raise ValueError(f"n is {n}")
        return n
    exercise = Exercise("9.2", "root", "Root", 1, refuses, lambda draw: [(n,) for n in (1, 4, -1)],
                        (Mistake(abs, "You take -1 for 1."),), ("a", "b"), refuses=ValueError)

    class Finer(ValueError):
        pass

    def finer(n):
        if n < 0:
            raise Finer
        return n
    assert examine(exercise, refuses).passed and examine(exercise, finer).passed
    assert "It accepts what it must refuse.\n    root(-1) gave 1, expected ValueError." in examine(exercise, abs).text
    assert "It raises the wrong error." in examine(exercise, lambda n: n if n > 0 else {}[n]).text
    assert "SystemExit" in examine(exercise, lambda n: raise_exit()).text


def test_what_must_be_refused_has_no_gradient():
    def refuses(x, n):
        if n < 0:
            raise ValueError(f"n is {n}")
        return x * n
    exercise = Exercise("9.2", "times", "Times", 1, refuses, lambda draw: [(torch.ones(n * n), n) for n in (1, 2, -1)],
                        (), ("a", "b"), refuses=ValueError, gradients=(0,))
    assert examine(exercise, refuses).passed
    assert "No gradient flows back" in examine(exercise, lambda x, n: refuses(x, n).detach()).text


def test_an_error_of_the_oracle_is_ours():
    exercise = Exercise("9.2", "root", "Root", 1, lambda n: {}[n], lambda draw: [(1,)], (), ("a", "b"))
    with pytest.raises(KeyError):
        examine(exercise, lambda n: n)


def raise_exit():
    raise SystemExit(3)


@pytest.mark.parametrize("answer", [None, 3, [1, 2]])
def test_a_result_instead_of_a_function_is_refused(answer):
    report = examine(DOUBLE, answer)
    assert report.state == "not yet" and ", not your function." in report.text
    assert 'Write check("9.1", double), with no brackets behind the function\'s name.' in report.text
