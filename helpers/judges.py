"""Judges of stories: have they become what a reader likes? Counted by other means than the readers of `labellers` use.

    robin(story)                        # points for the same three things, found in another way
    mood(story)                         # cheerful or gloomy, by what it means to MiniLM
    win_rate(ones, others, robin)       # share of pairs in which the one is better; half of one where both are as good

A labeller's own count would also be content with whatever a model does to please it. So the two share no code.
"""
import functools
import re
from collections.abc import Callable, Sequence
from statistics import fmean

from torch import Tensor

from helpers import pretrained
from helpers.retrieval import embed
from helpers.tales_reading import plain, sentences, sum_adds_up

SAID = "(?:said|asked|called|cried|thought)"
SPEAKS = re.compile(rf'" {SAID}\b|\b{SAID}\b[^."]*[,:] "')           # "a girl called Mia" and "she cried" are no speech


def spoken(story: str) -> int:
    """How often somebody is said to speak, beside a quotation mark; three at most."""
    return min(len(SPEAKS.findall(story)), 3)


def given(story: str) -> bool:
    """Whether a sentence tells that somebody gave something to somebody, and not back."""
    told = [plain(sentence).split() for sentence in sentences(story)]
    return any("to" in words[words.index("gave"):] and "back" not in words for words in told if "gave" in words)


def counted(story: str) -> bool:
    """Whether something is counted, then more of it, then all together; right or wrong."""
    return sum_adds_up(plain(story)) is not None


def robin(story: str) -> float:
    """Points of a story for Robin."""
    return 1.5 * spoken(story) + 2.0 * given(story) + 2.0 * counted(story)


@functools.lru_cache(10_000)
def mood(story: str) -> float:
    """How much nearer a story lies to cheer than to gloom, by MiniLM's vectors: about -1 to 1; 0 if there is no story.

    Only the first 1,000 characters are read, which is more than a story of Tales has.
    """
    read = story.strip()[:1_000]
    return float(vectors(read)[0] @ cheer_less_gloom()) if plain(read) else 0.0


def vectors(*texts: str) -> Tensor:
    """What texts mean to MiniLM, (N, C)."""
    return embed(texts, *encoder())


@functools.cache
def cheer_less_gloom() -> Tensor:
    """The way from gloom to cheer, (C,)."""
    cheer, gloom = vectors("A cheerful, merry story full of joy, friends and laughter.",
                           "A gloomy, sad story full of loss, tears and loneliness.")
    return cheer - gloom


encoder = functools.cache(pretrained.minilm)


def brevity(story: str) -> float:
    """Sentences, each counted as -1."""
    return -float(len(sentences(story)))


POINTS: dict[str, Callable[[str], float]] = {"Robin": robin, "cheerful": mood, "gloomy": lambda story: -mood(story),
                                             "brief": brevity, "wordy": lambda story: -brevity(story)}


def win_rate(ones: Sequence[str], others: Sequence[str], points: Callable[[str], float]) -> float:
    """Share of pairs in which the first story has more points; half of one where both have as many.

    Raises ValueError when there is no pair.
    """
    if not ones:
        raise ValueError("ones is empty; give at least one story, and as many others.")
    pairs = [(points(one), points(other)) for one, other in zip(ones, others, strict=True)]
    return fmean((one > other) + 0.5 * (one == other) for one, other in pairs)
