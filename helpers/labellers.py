"""Simulated readers, who say which of two stories they like better: they stand in when nobody clicks.

    ROBIN.enjoyment(story)              # a number: the more, the better Robin likes it
    ROBIN.probability(one, other)       # that Robin takes the first of two
    ROBIN.rank([one, other], generator)         # [1, 0]: Robin takes the other this time

A reader adds up points for what is in a story, and then chooses as Bradley and Terry (1952) describe it: the larger the
difference, the surer. What stands for what is counted in the plainest way, by words and marks. Whether a model has
become what a reader wants is judged elsewhere, in `judges`, by other means: the two share no code.
"""
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

CHEER = re.compile(r"\b(?:happy|laugh\w*|smil\w+|merry|best|sang|song|fun|friends?|together|cake|thank)\b",
                   re.IGNORECASE)
GLOOM = re.compile(r"\b(?:sad\w*|cried|wept|tears|sigh|lost|alone|afraid|dark|storm|rain|cold|ill|broke\w*|gone)\b",
                   re.IGNORECASE)
NUMBER = re.compile(r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b", re.IGNORECASE)
GIFT = re.compile(r"\bgave the \w+ to\b", re.IGNORECASE)


def talk(story: str) -> float:
    """How much is spoken in it: pairs of quotation marks, three at most."""
    return min(story.count('"') // 2, 3)


def gift(story: str) -> float:
    """1 if somebody gives the thing away, which is told with "gave the ... to"; "gave the ... back to" is none."""
    return float(GIFT.search(story) is not None)


def counting(story: str) -> float:
    """1 if something is counted in it: three number words or more."""
    return float(len(NUMBER.findall(story)) >= 3)


def cheer(story: str) -> float:
    """Cheerful words less gloomy ones."""
    return len(CHEER.findall(story)) - len(GLOOM.findall(story))


def length(story: str) -> float:
    """Its words, in tens."""
    return len(story.split()) / 10


FEATURES: Mapping[str, Callable[[str], float]] = {
    "talk": talk, "gift": gift, "counting": counting, "cheer": cheer, "length": length}


@dataclass(frozen=True)
class Labeller:
    """A reader: points for each unit of a feature, and how far the choice is left to chance.

    likes: feature -> points, below 0 for what is disliked. noise: 0 always takes the better story (and either of two
    equally good ones); at noise 1 a story that is one point better is taken in 73 % of cases.
    Raises ValueError for a feature that is not known, no feature, and a noise below 0.
    """
    name: str
    likes: Mapping[str, float]
    noise: float = 1.0

    def __post_init__(self):
        if not self.likes or (unknown := [name for name in self.likes if name not in FEATURES]):
            raise ValueError(f"likes holds {repr(unknown[0]) if self.likes else 'nothing'}; choose from "
                             f"{', '.join(FEATURES)}.")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise is {self.noise!r}; give 0 for a reader who never errs, or more.")

    def enjoyment(self, story: str) -> float:
        """The points of a story."""
        return sum(points * FEATURES[name](story) for name, points in self.likes.items())

    def probability(self, one: str, other: str) -> float:
        """That this reader takes the first of two stories: the sigmoid of the difference in points over the noise."""
        difference = self.enjoyment(one) - self.enjoyment(other)
        if difference == 0 or self.noise == 0:
            return 0.5 + 0.5 * ((difference > 0) - (difference < 0))
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, difference / self.noise))))

    def rank(self, stories: Sequence[str], generator: torch.Generator) -> list[int]:
        """The numbers of the stories, the one liked best first, drawn by chance (Luce, 1959).

        Each story's points get noise of its own, of Gumbel's kind; of two stories the first is then before the other
        with just the `probability` above.
        """
        draws = torch.rand(len(stories), generator=generator, dtype=torch.float64)
        noise = (-(-draws.log()).log() * self.noise).tolist() if self.noise else [0.0] * len(stories)
        points = [self.enjoyment(story) + one for story, one in zip(stories, noise, strict=True)]
        return sorted(range(len(stories)), key=lambda number: (-points[number], float(draws[number])))

    def with_noise(self, noise: float) -> "Labeller":
        """The same reader, surer or less sure."""
        return replace(self, noise=noise)


ROBIN = Labeller("Robin", {"talk": 1.5, "gift": 2.0, "counting": 2.0}, noise=1.0)
CHEERFUL = Labeller("Sunny", {"cheer": 1.0}, noise=1.0)
GLOOMY = Labeller("Misty", {"cheer": -1.0}, noise=1.0)
BRIEF = Labeller("Short", {"length": -1.0}, noise=1.0)
WORDY = Labeller("Long", {"length": 1.0}, noise=1.0)
