"""Judges find the same things as readers do, by other means, and say who wins."""
import ast
import inspect

import pytest

from helpers import judges, labellers
from helpers.corpora import tales
from tests.small_stories import COUNTS, DULL, GIVES, RETURNS, SAD, TALKS

STORIES = (TALKS, GIVES, RETURNS, COUNTS, SAD, DULL)


@pytest.mark.parametrize("judge, expected", [
    (judges.spoken, (2, 0, 0, 0, 0, 0)), (judges.given, (0, 1, 0, 0, 0, 0)), (judges.counted, (0, 0, 0, 1, 0, 0)),
    (judges.robin, (3, 2, 0, 2, 0, 0)), (judges.brevity, (-4, -3, -2, -4, -3, -1))])
def test_judges_count_what_they_say(judge, expected):
    assert tuple(judge(story) for story in STORIES) == expected


def test_judges_of_opposite_tastes_are_opposites():
    for one, other in (("cheerful", "gloomy"), ("brief", "wordy")):
        assert all(judges.POINTS[one](story) == -judges.POINTS[other](story) for story in STORIES)


def test_mood_is_read_from_the_meaning_of_a_story():
    merry = "Mia was happy. She danced and sang with all her friends, and they laughed until the evening."
    assert judges.mood(merry) > 0.1 > judges.mood(SAD) and judges.mood(GIVES) > judges.mood(SAD)
    assert judges.mood(f"  {merry} ") == judges.mood(merry) and judges.mood(" ! ") == judges.mood("") == 0
    told = tales(60, seed=7)
    happy, sad = ([judges.mood(tale.text) for tale in told if tale.facts.ending == ending]
                  for ending in ("happy", "sad"))
    assert sum(one > other for one in happy for other in sad) > 0.8 * len(happy) * len(sad)


def test_judges_read_any_text():
    for story in ("", '"', "\n\n", "gave", "to gave", "said " * 9):
        assert all(abs(points(story)) < 100 for points in judges.POINTS.values())
    assert judges.spoken('"No," said Ben. ' * 9) == 3 and not judges.given("To Ben it gave nothing.")


@pytest.mark.parametrize("told, times", [
    ('"Help!" cried Adam. The fox asked him, "What is it?"', 2), ('"It is mine," said Mia, "and not yours."', 1),
    ("There was a boy called Ben. He cried all the way home, and had not said goodbye.", 0)])
def test_only_speech_is_spoken(told, times):
    assert judges.spoken(told) == times


def test_judges_and_readers_agree_on_whole_stories():
    """By other means much the same is found in Tales: what the reader clearly enjoys more, gets more points."""
    told = [tale.text for tale in tales(200, seed=7)]
    enjoyed, points = [list(map(count, told)) for count in (labellers.ROBIN.enjoyment, judges.robin)]
    assert len(set(points)) > 5 and sum(one == other for one, other in zip(enjoyed, points, strict=True)) > 100
    clear = [points[i] >= points[j] for i in range(200) for j in range(200) if enjoyed[i] > enjoyed[j] + 2]
    assert len(clear) > 1_000 and sum(clear) > 0.95 * len(clear)


def test_readers_and_judges_share_no_code():
    def imports(module):
        found = set()
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom):
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        return {name for name in found if name.startswith("helpers.")}

    assert imports(labellers) == set()
    assert imports(judges) and not any("labellers" in name for name in imports(judges))


def test_the_win_rate_counts_wins_and_half_of_the_draws():
    found = judges.win_rate([TALKS, DULL, GIVES, TALKS], [DULL, TALKS, COUNTS, SAD], judges.robin)
    assert found == (1 + 0 + 0.5 + 1) / 4
    assert judges.win_rate([TALKS], [DULL], judges.robin) == 1.0
    ones, others = list(STORIES), [DULL, SAD, TALKS, GIVES, RETURNS, COUNTS]
    assert judges.win_rate(ones, others, judges.robin) + judges.win_rate(others, ones, judges.robin) == pytest.approx(1)


def test_win_rates_without_pairs_are_refused():
    with pytest.raises(ValueError, match="ones is empty; give at least one story"):
        judges.win_rate([], [], judges.robin)
    with pytest.raises(ValueError):
        judges.win_rate([TALKS], [], judges.robin)
