"""Lesson 04e's pictures: opaque, with words of their own, and bad input refused."""
import io

import pytest
import torch
from PIL import Image

from helpers import translation, translation_plots
from helpers.number_words import aligned, german, pieces

SOURCE, WRITTEN = ["forty", "-", "seven"], ["sieben", "und", "vierzig"]
VIEW = {"one": (WRITTEN, torch.tensor([[0.1, 0.1, 0.8], [0.2, 0.5, 0.3], [0.9, 0.1, 0.0]]))}


class Reciter(torch.nn.Module):
    """Writes the German of one number, whatever it reads."""

    def __init__(self, number):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.ids = [translation.VOCABULARY.index(piece) for piece in pieces(german(number))] + [translation.END]

    def forward(self, source, target):
        scores = torch.zeros(*target.shape, len(translation.VOCABULARY))
        for place in range(target.shape[1]):
            scores[:, place, self.ids[min(place, len(self.ids) - 1)]] = 1
        return scores


def opaque(picture):
    drawn = Image.open(io.BytesIO(picture.png)).convert("RGBA")
    return drawn.getchannel("A").getextrema() == (255, 255)


def test_masks_say_how_many_cells_are_open():
    triangle = torch.ones(3, 3).tril().bool()
    picture = translation_plots.masks({"all": (WRITTEN, SOURCE, torch.ones(3, 3).bool()),
                                       "earlier": (WRITTEN, WRITTEN, triangle)}, "Two tables")
    assert opaque(picture) and picture.alt.startswith("Two tables.") and picture.alt.endswith(".")
    assert "all: 9 of 9 cells are open; earlier: 6 of 9" in picture.alt


def test_looks_say_where_each_piece_looks_most():
    picture = translation_plots.looks(SOURCE, VIEW, "It looks across", aligned(47))
    assert opaque(picture) and "“sieben” looks most at “seven” (≈0.8)" in picture.alt and "Framed" in picture.alt
    assert "Framed" not in translation_plots.looks(SOURCE, VIEW, "It looks across").alt
    weak = {"one": (WRITTEN, torch.full((3, 3), 0.05))}
    assert "“und” hardly looks at the source" in translation_plots.looks(SOURCE, weak, "It looks away").alt


@pytest.mark.parametrize("views, why", [
    ({}, "views holds 0"), ({str(n): VIEW["one"] for n in range(4)}, "views holds 4"),
    ({"one": (WRITTEN[:2], VIEW["one"][1])}, "'one' has shape .3, 3. for 2 rows"),
    ({"one": ([], torch.zeros(0, 3))}, "0 rows")])
def test_what_cannot_be_drawn_is_refused(views, why):
    with pytest.raises(ValueError, match=why):
        translation_plots.looks(SOURCE, views, "Nothing")


def test_masks_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="views holds 0 masks"):
        translation_plots.masks({}, "Nothing")
    with pytest.raises(ValueError, match="'one' has shape"):
        translation_plots.masks({"one": (WRITTEN, SOURCE[:2], torch.ones(3, 3).bool())}, "Nothing")


def test_a_translation_says_whether_it_is_right(monkeypatch):
    monkeypatch.setattr(translation, "looks", lambda model, source, target:
                        torch.full((1, 1, 4, target.shape[1], source.shape[1]), 0.1))
    models = {"one": (Reciter(47), 0), "other": (Reciter(47), 3)}
    right, wrong = (translation_plots.translated(number, models) for number in (47, 46))
    assert right.alt.startswith("47: both write siebenundvierzig.") and "Framed" in right.alt
    assert wrong.alt.startswith("46 is sechsundvierzig; wrong: one, other.") and "Framed" not in wrong.alt
    with pytest.raises(ValueError, match="number is 0"):
        translation_plots.translated(0, models)


def test_an_untrained_model_can_be_drawn():
    models = {kind: (translation.started(translation.make(kind), 0), 2) for kind in ("encoder-decoder", "decoder only")}
    assert opaque(translation_plots.translated(999_999, models))
