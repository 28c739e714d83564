"""Number words in English and German, as text and as tokens: lesson 04e's translation task.

    english(47_206)         # "forty-seven thousand two hundred and six"
    german(47_206)          # "siebenundvierzigtausendzweihundertsechs"
    pieces(german(31))      # ["ein", "und", "dreißig"]
    source, target, labels = batch([47_206, 31])

A translation is exact by rule, so there is no end of examples, and nobody must judge them. It is not word by word:
German says the ones before the tens, and writes a number as one word. B numbers, S source tokens, T target tokens.
"""
import random
import re
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

ENGLISH = ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
           "eighteen nineteen").split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
GERMAN = ("ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
          "siebzehn achtzehn neunzehn").split()
GERMAN_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
MEANS = dict(zip(GERMAN + GERMAN_TENS, ENGLISH + ENGLISH_TENS)) | {"eins": "one", "hundert": "hundred",
                                                                   "tausend": "thousand"}
SPECIAL = ("<pad>", "=", "<end>", "<mask>")
VOCABULARY = [*SPECIAL, *ENGLISH, *ENGLISH_TENS, "hundred", "thousand", "and", "-", *MEANS, "und"]
PAD, START, END, MASK = range(len(SPECIAL))
TOKEN = {piece: token for token, piece in enumerate(VOCABULARY)}
PIECE = re.compile("|".join(sorted(VOCABULARY[len(SPECIAL):], key=len, reverse=True)))      # the longest that fits
MOST = 999_999


def english(number: int) -> str:
    """A number in English words, such as "two hundred and six thousand and forty-one".

    number: 1 to 999,999, or ValueError.
    """
    thousands, rest = divmod(checked(number), 1000)
    parts = [f"{english_below(thousands)} thousand"] if thousands else []
    if 0 < rest < 100 and thousands:
        parts.append("and")
    return " ".join(parts + ([english_below(rest)] if rest else []))


@cache
def english_below(number: int) -> str:
    """1 to 999 in English words."""
    hundreds, rest = divmod(number, 100)
    parts = [f"{ENGLISH[hundreds - 1]} hundred"] if hundreds else []
    if rest:
        tens, ones = divmod(rest, 10)
        small = ENGLISH[rest - 1] if rest < 20 else "-".join([ENGLISH_TENS[tens - 2], *ENGLISH[ones - 1:ones]])
        parts += ["and", small] if hundreds else [small]
    return " ".join(parts)


def german(number: int) -> str:
    """A number in German, one word, such as "zweihundertsechstausendeinundvierzig".

    number: 1 to 999,999, or ValueError. Written in full, "eintausend" and not "tausend"; a last 1 is "eins".
    """
    thousands, rest = divmod(checked(number), 1000)
    word = (f"{german_below(thousands)}tausend" if thousands else "") + (german_below(rest) if rest else "")
    return word + "s" if rest % 100 == 1 else word


@cache
def german_below(number: int) -> str:
    """1 to 999 in German, as it stands before another word: "ein" and not "eins"."""
    hundreds, rest = divmod(number, 100)
    word = f"{GERMAN[hundreds - 1]}hundert" if hundreds else ""
    tens, ones = divmod(rest, 10)
    if rest < 20:
        return word + (GERMAN[rest - 1] if rest else "")
    return word + (f"{GERMAN[ones - 1]}und" if ones else "") + GERMAN_TENS[tens - 2]


def checked(number: int) -> int:
    """The number, or ValueError when it is none that these words can say."""
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST:
        raise ValueError(f"number is {number!r}; give a whole number from 1 to {MOST:,}.")
    return number


def pieces(text: str) -> list[str]:
    """A spelled number in the pieces that are tokens, the longest that fits each time.

    Raises ValueError when the text holds anything but number words.
    """
    found = PIECE.findall(text)
    if "".join(found) != text.replace(" ", "") or not found:
        raise ValueError(f"text is {text!r}; give a number as english or german spells it.")
    return found


def aligned(number: int) -> list[int | None]:
    """For each German piece of a number, the place of the English piece that it translates; None for "und".

    Both languages keep the order of equal words, so the second "sieben" translates the second "seven".
    """
    source, places, count = pieces(english(number)), [], {}
    for piece in pieces(german(number)):
        word = MEANS.get(piece)
        at = [place for place, other in enumerate(source) if other == word]
        places.append(at[count.get(word, 0)] if word else None)
        count[word] = count.get(word, 0) + 1
    return places


def is_held_out(number: int) -> bool:
    """Whether a number is kept from training: one in ten, those whose digits add up to a number that ends in 9."""
    return sum(map(int, str(number))) % 10 == 9


def draw(count: int, generator: random.Random, held_out: bool = False) -> list[int]:
    """Random numbers of 1 to 6 digits, all lengths equally often; held out or not."""
    numbers = []
    while len(numbers) < count:
        digits = generator.randint(1, 6)
        number = generator.randrange(10 ** (digits - 1), 10 ** digits)
        if is_held_out(number) == held_out:
            numbers.append(number)
    return numbers


def held_out_numbers(count: int, seed: int = 0) -> list[int]:
    """Different numbers that no training sees, of 3 to 6 digits. Raises ValueError for more than 10,000."""
    if not 1 <= count <= 10_000:
        raise ValueError(f"count is {count}; give 1 to 10,000.")
    generator, found = random.Random(seed), {}
    while len(found) < count:
        found |= dict.fromkeys(number for number in draw(count, generator, held_out=True) if number > 99)
    return list(found)[:count]


def batch(numbers: Sequence[int], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Numbers as a model reads them: English (B, S), padded on the left; "=" and German (B, T), padded on the right;
    and what should come after each of those, German and "<end>" (B, T).
    """
    sources = [[TOKEN[piece] for piece in pieces(english(number))] for number in numbers]
    targets = [[TOKEN[piece] for piece in pieces(german(number))] for number in numbers]
    S, T = max(map(len, sources)), max(map(len, targets)) + 1
    source = torch.tensor([[PAD] * (S - len(ids)) + ids for ids in sources])                # (B, S)
    target = torch.tensor([[START, *ids] + [PAD] * (T - 1 - len(ids)) for ids in targets])  # (B, T)
    labels = torch.tensor([[*ids, END] + [PAD] * (T - 1 - len(ids)) for ids in targets])    # (B, T)
    return source.to(device), target.to(device), labels.to(device)
