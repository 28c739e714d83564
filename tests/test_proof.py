"""How a lesson proves what it says: equal is equal, numbers are checked before print, verdicts follow rules."""
import random

import pytest
import torch

from helpers import progress, proof


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))

def test_agree_prints_what_was_compared_and_not_the_difference(capsys):
    proof.agree(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.000001]), "loops", "tensors")
    assert capsys.readouterr().out == "loops == tensors   (2,), within 1e-05\n"


def test_agree_compares_whole_numbers_exactly(capsys):
    proof.agree([1, 2, 3], torch.tensor([1, 2, 3]), "mine", "theirs")
    assert capsys.readouterr().out == "mine == theirs   (3,), exactly\n"


@pytest.mark.parametrize("one, other, sentence", [
    ([1, 2, 3], [1, 2, 4], "differ by 1, more than 0, at (2,): 3 against 4"),
    ([1.0, 2.0], [1.0, 2.1], "differ by 0.1"),
    ([1.0, float("nan")], [1.0, float("nan")], "differ by inf"),
    ([1.0, 2.0], [[1.0, 2.0]], "has shape (2,), b (1, 2)"),                  # never broadcast
    ([float("inf")], [1.0], "differ by inf"),
    ([2 ** 53], [2 ** 53 + 1], "differ by 1, more than 0"),
])
def test_agree_says_where_two_results_differ(one, other, sentence):
    with pytest.raises(AssertionError) as error:
        proof.agree(one, other, "a", "b")
    assert sentence in str(error.value)


def test_agree_takes_equal_infinities_for_equal():
    proof.agree([float("-inf"), 1.0], [float("-inf"), 1.0], "a", "b")


def test_agree_refuses_to_compare_nothing():
    with pytest.raises(ValueError, match="a is empty"):
        proof.agree([], [], "a", "b")


def test_measured_prints_behind_the_sign_that_tests_pass_over(capsys):
    proof.measured(1.8712, expect=1.9, tol=0.1, label="loss", unit=" nats")
    assert capsys.readouterr().out == "loss ≈1.87 nats\n"


@pytest.mark.parametrize("value", [2.1, 1.6, float("nan")])
def test_measured_raises_for_a_number_out_of_bounds(value):
    with pytest.raises(AssertionError, match="expected 1.9 ± 0.1"):
        proof.measured(value, expect=1.9, tol=0.1)


def test_proportion_is_wilsons_interval():
    share, (low, high) = proof.proportion(16, 20)
    assert share == 0.8
    assert low == pytest.approx(0.584, abs=1e-3) and high == pytest.approx(0.919, abs=1e-3)     # Wilson (1927)
    assert proof.proportion(0, 10)[1][0] == 0.0 and proof.proportion(10, 10)[1][1] == 1.0


def test_no_rounding_puts_a_share_outside_its_own_interval():
    for n in range(1, 400):
        for successes in {0, 1, n // 2, n}:
            share, (low, high) = proof.proportion(successes, n)
            assert 0 <= low <= share <= high <= 1, (successes, n)


@pytest.mark.parametrize("value, interval, rule, caveat, expected", [
    (0.9, (0.8, 0.95), "> 0.5", "", "holds"),
    (0.9, (0.8, 0.95), "> 0.5", "only in English", "holds with a caveat"),
    (0.6, (0.4, 0.8), "> 0.5", "", "not shown"),
    (0.2, (0.1, 0.3), "> 0.5", "", "does not hold"),
    (0.2, (0.1, 0.3), "> 0.5", "a caveat saves nothing", "does not hold"),
    (1.0, None, "== 1", "", "holds"),
    (0.99, None, "== 1", "", "does not hold"),
    (-3.0, None, "<= -2.5", "", "holds"),
])
def test_a_verdict_follows_from_the_numbers(value, interval, rule, caveat, expected):
    assert proof.judge(value, interval, rule, caveat) == expected


def test_there_is_no_verdict_on_a_number_that_is_none():
    with pytest.raises(ValueError, match="value is nan"):
        proof.judge(float("nan"), None, "> 0.5")


@pytest.mark.parametrize("interval, rule, sentence", [((0.1, 0.2), "> 0.5", "must hold the value"),
                                                      (None, "about 0.5", "write a comparison and a number")])
def test_judge_refuses_what_it_cannot_read(interval, rule, sentence):
    with pytest.raises(ValueError, match=sentence):
        proof.judge(0.9, interval, rule)


def test_a_verdict_leaves_its_numbers_as_data_in_the_output(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata: shown.append((data, metadata)))
    proof.verdict("W2", 0.2, (0.1, 0.3), 24, "> 0.5", "share of phrasings")
    (data, metadata), = shown
    kept = metadata["press_enter"]["verdict"]
    assert kept == {"id": "W2", "claim": proof.claims()["W2"]["claim"], "verdict": "does not hold",
                    "what": "share of phrasings", "value": 0.2, "interval": [0.1, 0.3], "n": 24, "rule": "> 0.5",
                    "caveat": ""}
    assert "DOES NOT HOLD" in data["text/plain"] and "≈0.2 " in data["text/plain"]
    assert "does not hold" in data["text/html"]


def test_an_unknown_claim_is_refused():
    with pytest.raises(ValueError, match="id is 'W99'"):
        proof.verdict("W99", 1.0, None, 1, "== 1", "nothing")


def test_every_claim_names_its_lesson_and_says_something():
    for id, claim in proof.claims().items():
        assert set(claim) == {"lesson", "claim"} and len(claim["claim"]) > 20, id


@pytest.fixture
def asked(monkeypatch):
    """Questions shown, as (choices, guess, on_guess)."""
    questions = []
    monkeypatch.setattr("helpers.widgets.question", lambda *arguments: questions.append(arguments[1:]))
    return questions


def test_a_guess_is_kept_and_tested_by_the_outcome(asked, capsys):
    proof.predict("0.z", "Which?", ["left", "right"])
    (choices, guess, on_guess), = asked
    assert (choices, guess) == (["left", "right"], None)
    on_guess("right")
    proof.outcome("0.z", "left")
    assert capsys.readouterr().out == "Measured: left.\nYou had guessed: right.\n"
    proof.predict("0.z", "Which?", ["left", "right"])
    assert asked[1][1] == "right"                           # still chosen when the cell is run again
    proof.outcome("0.z", "right")
    assert capsys.readouterr().out == "Measured: right.\nYour guess held.\n"
    assert progress.read()["guesses"]["0.z"]["outcome"] == "right"


def test_a_lesson_that_is_run_again_keeps_guess_and_outcome(asked, capsys):
    proof.predict("0.u", "Which?", ["left", "right"])
    asked[0][2]("right")
    proof.outcome("0.u", "right")
    proof.predict("0.u", "Which one?", ["left", "right"])
    kept = progress.read()["guesses"]["0.u"]
    assert kept == {"question": "Which one?", "choices": ["left", "right"], "guess": "right", "outcome": "right"}
    asked[1][2]("left")                                     # a click after the outcome does not undo the measurement
    assert progress.read()["guesses"]["0.u"] == kept | {"guess": "left"}


def test_without_a_guess_the_outcome_only_says_what_was_measured(asked, capsys):
    proof.predict("0.y", "Which?", ["left", "right"])
    proof.outcome("0.y", "left")
    assert capsys.readouterr().out == "Measured: left.\n"


def test_a_guess_for_an_older_question_is_not_taken_for_this_one(asked):
    proof.predict("0.x", "Which?", ["left", "right"])
    asked[0][2]("left")
    proof.predict("0.x", "Which way?", ["up", "down"])
    assert asked[1][1] is None


@pytest.mark.parametrize("call, sentence", [
    (lambda: proof.predict("0.w", "Which?", ["only"]), "give at least two"),
    (lambda: proof.outcome("0.never", "left"), "run the cell with predict"),
])
def test_predict_and_outcome_refuse_what_makes_no_question(asked, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_an_outcome_must_be_one_of_the_choices(asked):
    proof.predict("0.v", "Which?", ["left", "right"])
    with pytest.raises(ValueError, match="the choices were 'left', 'right'"):
        proof.outcome("0.v", "up")


def mean(values):
    return sum(values) / len(values)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    draw, held = random.Random(1), 0
    for seed in range(200):
        value, (low, high) = proof.bootstrap([draw.gauss(3, 1) for _ in range(40)], mean, times=200, seed=seed)
        assert low <= value <= high
        held += low <= 3 <= high
    assert 176 <= held <= 198                               # of 200; 95 % would be 190


def test_bootstrap_is_the_same_every_time_and_of_no_width_where_nothing_varies():
    cases = [1.0, 2.0, 5.0, 9.0, 4.0]
    assert proof.bootstrap(cases, mean) == proof.bootstrap(cases, mean)
    assert proof.bootstrap([2.0] * 5, mean) == (2.0, (2.0, 2.0))


def test_bootstrap_refuses_too_few_cases():
    with pytest.raises(ValueError, match="cases holds 4; give at least 5"):
        proof.bootstrap([1, 2, 3, 4], mean)
    with pytest.raises(ValueError, match="times is 0; give at least 40"):
        proof.bootstrap([1, 2, 3, 4, 5], mean, times=0)
