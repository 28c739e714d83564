"""Ranking: each click keeps a pair at once, beside the progress, and loses none that was kept before."""
import errno
import html
import os
import tempfile
from pathlib import Path

import ipywidgets
import pytest

from helpers import plots, ranking, waiting, widgets
from helpers.preference import Pair, load_pairs
from helpers.ranking import RankPanel, my_pairs, my_pairs_file

LEFT, RIGHT, NEITHER = range(3)
CANDIDATES = [("Ask <one>", "first & one", "second one"), ("Ask two", "first two", "second two"),
              ("Ask three", "first three", "second three")]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def shown(panel):
    """The answers on the left and on the right, as they are read."""
    return [html.unescape(story.value).removeprefix("<p>").removesuffix("</p>") for story in panel.stories]


def test_a_newcomer_has_ranked_nothing_and_looking_leaves_no_folder(state):
    assert my_pairs() == [] and RankPanel(CANDIDATES).pairs == []
    assert my_pairs_file() == state / "my_pairs.jsonl" and not state.exists()


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_a_click_keeps_the_pair_at_once_and_goes_on(side):
    panel = RankPanel(CANDIDATES)
    for number, (prompt, one, other) in enumerate(CANDIDATES, 1):
        assert prompt in html.unescape(panel.request.value)
        left, right = shown(panel)
        assert {left, right} == {one, other}
        panel.buttons[side].click()
        kept = load_pairs(my_pairs_file())
        assert len(kept) == number and kept == panel.pairs == my_pairs()
        assert kept[-1] == Pair(prompt, *((left, right) if side == LEFT else (right, left)))
    assert "All are ranked. Ranked by you and kept on your machine: 3." in panel.status.value
    assert all(button.disabled for button in panel.buttons) and shown(panel) == ["", ""]
    panel.take(LEFT)                                        # nothing is left to rank
    assert len(my_pairs()) == 3


def test_neither_keeps_nothing_and_goes_on():
    panel = RankPanel(CANDIDATES)
    panel.buttons[NEITHER].click()
    assert panel.pairs == my_pairs() == [] and "Ask two" in panel.request.value and "2 of 3." in panel.status.value


def test_which_answer_stands_on_the_left_is_drawn_by_lot():
    many = [(str(number), "first", "second") for number in range(200)]
    panel = RankPanel(many)
    lefts = sum(left == "first" for _, left, _ in panel.candidates)
    assert 70 < lefts < 130 and [prompt for prompt, _, _ in panel.candidates] == [prompt for prompt, _, _ in many]
    assert RankPanel(many).candidates == panel.candidates != RankPanel(many, seed=1).candidates


def test_pairs_ranked_before_or_in_another_notebook_are_kept():
    RankPanel(CANDIDATES).take(LEFT)
    one, other = RankPanel(CANDIDATES[1:]), RankPanel(CANDIDATES[2:])
    assert len(one.pairs) == len(other.pairs) == 1 and "your machine: 1." in one.status.value
    one.take(LEFT)
    other.take(RIGHT)
    assert [pair.prompt for pair in my_pairs()] == ["Ask <one>", "Ask two", "Ask three"] and other.pairs == my_pairs()


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("module, step", [(Path, "mkdir"), (tempfile, "mkstemp"), (os, "replace")])
def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_lost(monkeypatch, module, step, code):
    """Simulated: the tests may run as root, who may write everywhere."""
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    panel = RankPanel(CANDIDATES)
    panel.take(LEFT)
    before, words = my_pairs(), shown(panel)
    with monkeypatch.context() as patch:
        patch.setattr(module, step, refuse)
        panel.buttons[LEFT].click()
    assert "<b>Not kept:</b>" in panel.status.value and os.strerror(code) in panel.status.value
    assert my_pairs() == panel.pairs == before and shown(panel) == words
    panel.buttons[LEFT].click()                             # there is room again
    assert len(my_pairs()) == 2 and "Not kept" not in panel.status.value


def test_a_folder_that_is_a_file_is_said(state):
    panel = RankPanel(CANDIDATES)
    state.write_text("not a folder")
    panel.buttons[LEFT].click()
    assert "<b>Not kept:</b>" in panel.status.value and panel.pairs == []


def test_a_file_damaged_meanwhile_is_said_and_stays():
    panel = RankPanel(CANDIDATES)
    panel.take(LEFT)
    my_pairs_file().write_bytes(b"damaged\n")
    panel.take(LEFT)
    assert "<b>Not kept:</b> line 1 of my_pairs.jsonl is no pair" in panel.status.value
    assert my_pairs_file().read_bytes() == b"damaged\n"


def test_answers_are_shown_as_text_and_not_as_html():
    panel = RankPanel([("<b>?</b>", "<i>one</i>", "<script>")])
    assert not any("<i>" in story.value or "<script>" in story.value for story in panel.stories)
    assert "&lt;b&gt;" in panel.request.value


def test_every_button_says_what_it_does():
    assert [button.description for button in RankPanel(CANDIDATES).buttons] == [
        "Left is better", "Right is better", "Neither: next"]
    assert all("Tab and Enter" in button.tooltip for button in RankPanel(CANDIDATES).buttons)


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match="candidates is empty; give at least one request with two answers"):
        RankPanel([])


def test_the_panel_is_one_output_with_a_live_and_a_still_form(monkeypatch):
    outputs = []
    monkeypatch.setattr(widgets, "display", lambda data, raw, metadata: outputs.append(data))
    still = plots.tokens(["a"], title="Still")
    panel = ranking.rank(CANDIDATES, still)
    data, = outputs
    assert set(data) == {waiting.WIDGET, "image/png", "text/plain"} and data["text/plain"] == still.alt
    assert data[waiting.WIDGET]["model_id"] == panel.panel.model_id and isinstance(panel.panel, ipywidgets.VBox)
