"""Number words: the spellings that books give, every number its own, and what a model reads of them."""
import random

import pytest
import torch

from helpers import number_words
from helpers.number_words import END, PAD, START, TOKEN, VOCABULARY, aligned, batch, draw, english, german, pieces

KNOWN = {                                                   # from grammars of both languages
    1: ("one", "eins"), 7: ("seven", "sieben"), 10: ("ten", "zehn"), 11: ("eleven", "elf"), 12: ("twelve", "zwölf"),
    16: ("sixteen", "sechzehn"), 17: ("seventeen", "siebzehn"), 20: ("twenty", "zwanzig"),
    21: ("twenty-one", "einundzwanzig"), 30: ("thirty", "dreißig"), 66: ("sixty-six", "sechsundsechzig"),
    70: ("seventy", "siebzig"), 99: ("ninety-nine", "neunundneunzig"), 100: ("one hundred", "einhundert"),
    101: ("one hundred and one", "einhunderteins"), 111: ("one hundred and eleven", "einhundertelf"),
    1_000: ("one thousand", "eintausend"), 1_001: ("one thousand and one", "eintausendeins"),
    1_984: ("one thousand nine hundred and eighty-four", "eintausendneunhundertvierundachtzig"),
    21_000: ("twenty-one thousand", "einundzwanzigtausend"),
    47_206: ("forty-seven thousand two hundred and six", "siebenundvierzigtausendzweihundertsechs"),
    101_000: ("one hundred and one thousand", "einhunderteintausend"),
    200_020: ("two hundred thousand and twenty", "zweihunderttausendzwanzig"),
    777_777: ("seven hundred and seventy-seven thousand seven hundred and seventy-seven",
              "siebenhundertsiebenundsiebzigtausendsiebenhundertsiebenundsiebzig"),
    999_999: ("nine hundred and ninety-nine thousand nine hundred and ninety-nine",
              "neunhundertneunundneunzigtausendneunhundertneunundneunzig"),
}
SOME = [*range(1, 1200), *random.Random(0).sample(range(1200, 1_000_000), 3000)]


@pytest.mark.parametrize("number", KNOWN)
def test_numbers_are_spelled_as_books_spell_them(number):
    assert (english(number), german(number)) == KNOWN[number]


def test_every_number_has_words_of_its_own():
    assert len({english(number) for number in SOME}) == len({german(number) for number in SOME}) == len(SOME)


@pytest.mark.parametrize("number", [0, -3, 1_000_000, 2.0, "7", True])
@pytest.mark.parametrize("spell", [english, german])
def test_what_has_no_words_is_refused(number, spell):
    with pytest.raises(ValueError, match="number is .*; give a whole number from 1 to 999,999"):
        spell(number)


def test_pieces_put_together_are_the_text():
    for number in SOME:
        assert "".join(pieces(german(number))) == german(number)
        assert " ".join(pieces(english(number))).replace(" - ", "-") == english(number)
    assert pieces("siebenundvierzigtausend") == ["sieben", "und", "vierzig", "tausend"]
    assert pieces("einhundertsiebzehn") == ["ein", "hundert", "siebzehn"]
    assert pieces("sixteen") == ["sixteen"]


@pytest.mark.parametrize("text", ["", "forty two cats", "siebn", "<pad>"])
def test_a_text_of_other_words_has_no_pieces(text):
    with pytest.raises(ValueError, match="text is .*number"):
        pieces(text)


def value(words):
    """What a list of English pieces is worth, read from left to right: an oracle of its own."""
    names = {name: worth for worth, name in enumerate(number_words.ENGLISH, 1)}
    names |= {name: 10 * worth for worth, name in enumerate(number_words.ENGLISH_TENS, 2)}
    total = part = 0
    for word in words:
        if word == "thousand":
            total, part = 1000 * part, 0
        else:
            part = 100 * part if word == "hundred" else part + names.get(word, 0)
    return total + part


def test_the_words_mean_the_number():
    for number in SOME:
        assert value(pieces(english(number))) == number
        right_order = sorted((at, number_words.MEANS[piece]) for at, piece in
                             zip(aligned(number), pieces(german(number))) if at is not None)
        assert value([word for _, word in right_order]) == number      # German, put into English order, says the same


def test_alignment_of_known_numbers():
    assert aligned(47_206) == [2, None, 0, 3, 4, 5, 7]
    assert aligned(77) == [2, None, 0]
    assert aligned(202_002) == [0, 1, 3, 4, 6]


def test_held_out_numbers_are_one_in_ten_and_never_drawn():
    assert sum(map(number_words.is_held_out, range(1, 100_000))) == pytest.approx(10_000, rel=0.02)
    drawn = draw(5000, random.Random(1))
    assert not any(map(number_words.is_held_out, drawn))
    assert {len(str(number)) for number in drawn} == {1, 2, 3, 4, 5, 6}
    test = number_words.held_out_numbers(500)
    assert len(set(test)) == 500 and all(map(number_words.is_held_out, test)) and min(test) > 99
    assert test == number_words.held_out_numbers(500) != number_words.held_out_numbers(500, seed=1)
    for count in (0, 10_001):
        with pytest.raises(ValueError, match=f"count is {count}"):
            number_words.held_out_numbers(count)


def test_a_batch_is_padded_outside_and_shifted_by_one():
    source, target, labels = batch([47_206, 31])
    assert source.shape == (2, 8) and target.shape == labels.shape == (2, 8)
    assert [VOCABULARY[token] for token in source[1]] == ["<pad>"] * 5 + ["thirty", "-", "one"]
    assert [VOCABULARY[token] for token in labels[1]] == ["ein", "und", "dreißig", "<end>"] + ["<pad>"] * 4
    assert target[:, 0].tolist() == [START, START]
    for row, shifted in zip(target.tolist(), labels.tolist()):
        length = shifted.index(END)
        assert row[1:length + 1] == shifted[:length] and set(row[length + 1:]) <= {PAD}
    assert source.dtype == torch.int64 and len(set(VOCABULARY)) == len(VOCABULARY) == len(TOKEN)
