"""Pictures: a real PNG with words of its own, opaque, whatever the tokens are."""
import io
import threading

import matplotlib
import pytest
import torch
from PIL import Image

from helpers import plots

STRANGE = ["", " ", "\n", "\t", "$x^2$", "$", "\\alpha", "日本", "🦙", "\ufffd", "<b>&", "%d", "a" * 200]


def image(picture):
    return Image.open(io.BytesIO(picture.png))


PICTURES = {
    "tokens": lambda: plots.tokens(["The", " cat"], [504, 2644], title="Two tokens"),
    "shares": lambda: plots.tokens(["The", " cat"], shares=[0.0, 1.0]),
    "vectors": lambda: plots.vectors(["The", " cat"], torch.linspace(-1, 1, 20).view(2, 10)),
    "next_tokens": lambda: plots.next_tokens([" mat", " moon"], [0.6, 0.3], "After the cat", drawn=[0.5, 0.4]),
    "lens": lambda: plots.lens([["a", "b", "c"], ["d", "e", "f"]], torch.rand(2, 3), ["x", "y", "z"], [0, 30]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_opaque_has_words_and_the_size_it_says(name):
    picture = PICTURES[name]()
    drawn = image(picture)
    assert drawn.convert("RGBA").getchannel("A").getextrema() == (255, 255)
    assert drawn.width == round(picture.width * 1.5)                    # sharp on dense screens
    assert picture.alt.endswith(".") and len(picture.alt.split()) > 4
    data, metadata = picture._repr_mimebundle_()
    assert data == {"image/png": picture.png, "text/plain": picture.alt}
    assert metadata["image/png"] == {"width": picture.width, "alt": picture.alt}


def test_the_same_numbers_make_the_same_picture():
    assert PICTURES["tokens"]().png == PICTURES["tokens"]().png


def test_other_numbers_make_another_picture():
    assert plots.next_tokens(["a", "b"], [0.6, 0.3]).png != plots.next_tokens(["a", "b"], [0.3, 0.6]).png


def test_any_token_can_be_drawn(recwarn):
    plots.tokens(STRANGE, list(range(len(STRANGE))))
    plots.next_tokens(STRANGE, [1 / len(STRANGE)] * len(STRANGE))
    assert [str(warning.message) for warning in recwarn.list] == []


def test_long_texts_wrap_and_grow_downwards():
    short, long = (image(plots.tokens([" word"] * n)) for n in (3, 100))
    assert long.width == short.width and long.height > 3 * short.height


def test_white_space_is_made_visible():
    assert [plots.visible(text) for text in (" a", "\n", "\t", "")] == ["␣a", "⏎", "⇥", "∅"]


def test_colours_of_probabilities_rise_in_brightness():
    brightness = [sum(plots.share_colour(share)[:3]) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert brightness == sorted(brightness)                             # told apart in grey too


def test_the_learners_own_figures_keep_their_style_even_when_two_threads_draw():
    before = dict(matplotlib.rcParams)
    threads = [threading.Thread(target=PICTURES[name]) for name in ("tokens", "next_tokens", "lens")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(matplotlib.rcParams) == before


def test_merging_shows_the_words_and_what_could_merge_next():
    drawn = plots.merging([["rain", "s"], ["t", "rain"]], [(("t", "rain"), 3), (("rain", " "), 2)], "Two words", "rain")
    assert drawn.alt == "Two words. The words: rain|s t|rain. Pairs: t + rain 3, rain + ␣ 2."
    assert drawn.png != plots.merging([["rain", "s"], ["t", "rain"]], [(("t", "rain"), 3), (("rain", " "), 2)]).png


def test_a_word_that_is_too_long_to_draw_is_refused():
    assert plots.merging([["a"] * 30], [(("a", "a"), 29)], "Long").width > 0
    with pytest.raises(ValueError, match="words has 'aaaaaaaaaaaaaaaaaaaa…' of 31 letters; give words of at most 30"):
        plots.merging([["rain"], ["a"] * 31], [])


def test_words_that_are_all_merged_have_no_pairs():
    assert plots.merging([["train"]], [], "Done").alt == "Done. The words: train. Pairs: ."
