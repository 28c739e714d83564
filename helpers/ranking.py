"""You are the human: two answers side by side, a click or a key says which is better, and the pairs are kept.

    panel = rank(candidates, still)         # candidates: (request, one answer, another) for each
    panel.pairs                             # what you have ranked; all of it is in `my_pairs_file()` too

The buttons take clicks, and keys: Tab moves between them, Enter or Space presses.
"""
import html
import random
from collections.abc import Sequence
from pathlib import Path

import ipywidgets

from helpers import progress
from helpers.plots import Picture
from helpers.preference import Pair, load_pairs, save_pairs
from helpers.widgets import show_picture


def my_pairs_file() -> Path:
    """Where your own pairs are kept: beside your progress."""
    return progress.state_file().with_name("my_pairs.jsonl")


def my_pairs() -> list[Pair]:
    """The pairs that you have ranked so far, in this notebook or before; none for a newcomer."""
    return load_pairs(my_pairs_file()) if my_pairs_file().exists() else []


class RankPanel:
    """Two answers to choose from, again and again; each choice is kept at once.

    candidates: (request, one answer, another answer) for each. Which of the two stands on the left is drawn by lot, so
    that whoever likes the left does not teach that.
    Raises ValueError for no candidate.
    """

    def __init__(self, candidates: Sequence[tuple[str, str, str]], seed: int = 0):
        if not candidates:
            raise ValueError("candidates is empty; give at least one request with two answers.")
        lot = random.Random(seed)
        self.candidates = [(prompt, *lot.sample((one, other), 2)) for prompt, one, other in candidates]
        self.at = 0
        self.pairs = my_pairs()
        self.request, self.status = ipywidgets.HTML(), ipywidgets.HTML()
        self.stories = [ipywidgets.HTML(layout={"width": "46%", "padding": "0 1em 0 0"}) for _ in range(2)]
        self.buttons = [ipywidgets.Button(description=words, tooltip=f"{words} (Tab and Enter do the same)",
                                          layout={"width": "160px"})
                        for words in ("Left is better", "Right is better", "Neither: next")]
        for number, button in enumerate(self.buttons):
            button.on_click(lambda _, number=number: self.take(number))
        self.panel = ipywidgets.VBox([self.request, ipywidgets.HBox(self.stories), ipywidgets.HBox(self.buttons),
                                      self.status])
        self.draw()

    def take(self, number: int) -> None:
        """The left answer is better (0), the right one (1), or neither (2)."""
        if self.at == len(self.candidates):
            return
        prompt, *answers = self.candidates[self.at]
        if number < 2:
            try:
                pairs = [*my_pairs(), Pair(prompt, chosen=answers[number], rejected=answers[1 - number])]
                my_pairs_file().parent.mkdir(parents=True, exist_ok=True)
                save_pairs(pairs, my_pairs_file())
            except (OSError, ValueError) as error:          # nobody else sees what a callback raises
                self.status.value = f"<b>Not kept:</b> {html.escape(str(error))}"
                return
            self.pairs = pairs                              # with those of another notebook that was open meanwhile
        self.at += 1
        self.draw()

    def draw(self) -> None:
        """Show the candidates whose turn it is."""
        over = self.at == len(self.candidates)
        prompt, *answers = ("", "", "") if over else self.candidates[self.at]
        self.request.value = "" if over else f"<b>Asked:</b> {html.escape(prompt, quote=False)}"
        for story, answer in zip(self.stories, answers, strict=True):
            story.value = f"<p>{html.escape(answer, quote=False)}</p>"
        for button in self.buttons:
            button.disabled = over
        place = "All are ranked." if over else f"{self.at + 1} of {len(self.candidates)}."
        self.status.value = f"{place} Ranked by you and kept on your machine: {len(self.pairs)}."


def rank(candidates: Sequence[tuple[str, str, str]], still: Picture) -> RankPanel:
    """Show a panel to rank answers. still: the picture that stands in its place where no kernel runs."""
    panel = RankPanel(candidates)
    show_picture(panel.panel, still)
    return panel
