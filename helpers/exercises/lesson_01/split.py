"""Exercise 1.3, repair a pattern: what its check compares with, tries, and recognises."""
import random

import regex

from helpers.exercises.exercise import Exercise, Mistake, Property
from helpers.patterns import PATTERNS, compile_pattern


def split(text: str) -> list[str]:
    return compile_pattern(PATTERNS["cl100k_base"]).findall(text)


GIVEN = (r"'(?:[sdmt]|ll|ve|re)", r" ?\p{L}+", r"\p{N}+")     # the three alternatives to repair
CONTRACTIONS = r"'(?i:[sdmt]|ll|ve|re)"
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
NUMBERS = r"\p{N}{1,3}"
PUNCTUATION = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
SPACES = r"\s+\Z|\s*[\r\n]|\s+(?!\S)|\s"


def splitter(*parts: str):
    """A split by the alternatives of a pattern."""
    return compile_pattern("|".join(parts)).findall


TEXTS = ("", "cat", "The cat sat.", "IT'S", "(cat", "12345", "x_total", "\ncat", "3D", "\rcat", " 12", "? cat",
         "Isn't it? IT'S!", "in 1847", "x=1", "WE'LL see, they've said", "'Rest", "'Ll we", "12345 + 678901",
         "(cat) [dog]", "$price_total", "if x:\n    return 1\n", "café", "a  b   c", "tail  ", "\n\n\nnew",
         "tab\tbed", "Straße 12a", "これはペンです。", "a,b;c", "one\r\ntwo", "  \n  x", "'tis", "!!!\n\n", "v1.2.30000",
         "\t\tx = 10000")


def draw_texts(draw: random.Random) -> list[tuple]:
    alphabet = ["a", "Bc", "'s", "'S", "'ll", " ", "  ", "\n", "\t", "1", "2345", ".", "(", "é", "字", "$"]
    return [(text,) for text in TEXTS] + [("".join(draw.choices(alphabet, k=size)),) for size in range(3, 30)]


EXERCISE = Exercise(
    id="1.3", name="split", title="Repair a pattern", minutes=25,
    oracle=split, cases=draw_texts,
    mistakes=(
        Mistake(splitter(*GIVEN, PUNCTUATION, SPACES),
                "This is the pattern as it was given, and three things in it are wrong. Look at how tiktoken "
                "cuts IT'S, x_total and 12345."),
        Mistake(splitter(CONTRACTIONS, *GIVEN[1:], PUNCTUATION, SPACES),
                "One of three is mended, the endings. Look at the texts x_total and 12345 next."),
        Mistake(splitter(GIVEN[0], WORDS, GIVEN[2], PUNCTUATION, SPACES),
                "One of three is mended, the words. Look at the texts IT'S and 12345 next."),
        Mistake(splitter(*GIVEN[:2], NUMBERS, PUNCTUATION, SPACES),
                "One of three is mended, the digits. Look at the texts IT'S and x_total next."),
        Mistake(splitter(GIVEN[0], WORDS, NUMBERS, PUNCTUATION, SPACES),
                "Two of three are mended. What is left: the endings of IT'S and WE'LL. GPT-4 knows them in capitals "
                "too, with (?i:...)."),
        Mistake(splitter(CONTRACTIONS, GIVEN[1], NUMBERS, PUNCTUATION, SPACES),
                "Two of three are mended. What is left: a word of GPT-4 takes along any one character before it that "
                "is no letter, digit or line break, not only a space or a few signs: (cat and _total are one "
                "piece each."),
        Mistake(splitter(CONTRACTIONS, r"[ (]?\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "You list what may stand before a word, and a sign is missing: x_total is x, _total. Any one "
                "character may that is no letter, digit or line break, so list what may not: [^...]?"),
        Mistake(splitter(CONTRACTIONS, r"[^\p{L}\p{N}]?\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "A line break never begins a word: put \\r and \\n among the characters that you exclude."),
        Mistake(splitter(CONTRACTIONS, r"[^\n\p{L}\p{N}]?\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "\\r is a line break too and never begins a word: exclude it as you exclude \\n."),
        Mistake(splitter(CONTRACTIONS, r"[^\r\n\p{L}]?\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "A digit never begins a word: 3D is 3, D. Put \\p{N} among the characters that you exclude."),
        Mistake(splitter(CONTRACTIONS, r"[^\s\p{L}\p{N}]?\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "\\s excludes all white space, so your words have lost the space before them. Only line breaks are "
                "excluded: \\r and \\n."),
        Mistake(splitter("'(?:[sdmtSDMT]|ll|ve|re|LL|VE|RE)", WORDS, NUMBERS, PUNCTUATION, SPACES),
                "Your endings are in small letters or in capitals, but GPT-4 also takes a mixture: 'Rest is 'Re, st. "
                "(?i:...) stands for all of them."),
        *(Mistake(regex.compile("|".join(parts)).findall,
                  "Round brackets alone make a group, and findall then gives what the group holds instead of the "
                  "piece. Write (?:...) or (?i:...).")
          for parts in (("'(?i:([sdmt]|ll|ve|re))", WORDS, NUMBERS, PUNCTUATION, SPACES),
                        ("'([sdmt]|ll|ve|re)", *GIVEN[1:], PUNCTUATION, SPACES))),
        Mistake(splitter(CONTRACTIONS, WORDS, GIVEN[2], PUNCTUATION, SPACES),
                "Two of three are mended. What is left: the digits. At most three may stay together, \\p{N}{1,3}."),
        Mistake(splitter(CONTRACTIONS, WORDS, r"\p{N}", PUNCTUATION, SPACES),
                "Your digits stand alone, as SmolLM2's do. GPT-4 keeps up to three together: 12345 is 123, 45."),
        Mistake(splitter(CONTRACTIONS, WORDS, r" ?\p{N}{1,3}", PUNCTUATION, SPACES),
                "A number of GPT-4 does not take the space before it: ' 12' is ' ', '12'."),
        Mistake(splitter(CONTRACTIONS, r"[^\r\n\p{L}\p{N}]*\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "A word takes at most one character before it along: write ? where you have *."),
        Mistake(splitter(CONTRACTIONS, r" ?[^\r\n\p{L}\p{N}]?\p{L}+", NUMBERS, PUNCTUATION, SPACES),
                "Your word takes a space and one character more. It takes one at most, and the space is one of them."),
        Mistake(splitter(CONTRACTIONS, WORDS, r"\p{N}{0,3}", PUNCTUATION, SPACES),
                "{0,3} matches no digit at all too, so it takes nothing wherever no word begins. At least one: {1,3}."),
    ),
    hints=("Write a loop over many texts that prints those on which your pieces and the tokens' edges of "
           "tiktoken differ. Capitals, brackets and long numbers are good places to look.",
           "Three alternatives change: the endings get (?i:...), a word may begin with any one character of "
           "[^\\r\\n\\p{L}\\p{N}], and a number has at most three digits."),
    properties=(Property("no character is lost", lambda answer: next(
        (f"joined again, the pieces of {text!r} are {''.join(answer(text))!r}." for text in TEXTS
         if "".join(answer(text)) != text), None)),),
)
