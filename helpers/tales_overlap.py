"""How much of a text was copied: its longest run of words that stands in one of many stories.

All ends of all stories ("suffixes", each from some word on) are put in alphabetical order once; then the run that a
text shares with any story is found by bisection (Manber and Myers, "Suffix arrays", 1990).
"""
from collections.abc import Sequence

import numpy as np

from helpers.tales_world import Tale

LONGEST = 128                # words: more than a story has


class Index:
    """The suffixes of stories in order, by words."""

    def __init__(self, stories: Sequence[Tale | str]):
        self.number: dict[str, int] = {}
        ids: list[int] = []
        for story in stories:
            text = story if isinstance(story, str) else story.text
            ids += [self.number.setdefault(word, len(self.number) + 1) for word in text.split()]
            ids.append(0)                                    # no run goes on into the next story
        self.ids = np.array(ids + [0] * LONGEST, dtype=np.int64)
        self.order = self._sorted(len(ids))

    def _sorted(self, n: int) -> np.ndarray:
        """Places of words, in the order of what follows them: sorted by 1, 2, 4, ... words."""
        rank = self.ids
        known = 1
        while known < LONGEST:
            following = np.zeros_like(rank)
            following[:-known] = rank[known:]
            key = rank * (len(rank) + 1) + following
            order = np.argsort(key, kind="stable")
            rank = np.empty_like(order)
            rank[order] = np.concatenate(([0], np.cumsum(np.diff(key[order]) > 0)))
            known *= 2
        return order

    def longest(self, words: list[str]) -> tuple[int, int]:
        """Start and length of the longest run of these words that stands in a story."""
        ids = np.array([self.number.get(word, -1) for word in words], dtype=np.int64)
        best = (0, 0)
        for i in range(len(ids)):
            if len(ids) - i <= best[1]:
                break
            low, high, length = 0, len(self.order), 0
            while low < len(self.order) and length < min(LONGEST, len(ids) - i):     # narrow, one word at a time
                word = ids[i + length]
                low, high = self._narrow(low, high, length, word)
                if low == high:
                    break
                length += 1
            if length > best[1]:
                best = (i, length)
        return best

    def _narrow(self, low: int, high: int, depth: int, word: int) -> tuple[int, int]:
        """The part of order[low:high] whose suffixes have this word at this depth."""
        end = high
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.ids[self.order[middle] + depth] < word else (low, middle)
        first, high = low, end
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.ids[self.order[middle] + depth] <= word else (low, middle)
        return first, low


_latest: list = []           # the last stories asked about, and their index: it takes two seconds to make


def longest_overlap(text: str, stories: Sequence[Tale | str]) -> str:
    """The longest run of words of a text that stands in one of the stories, too; "" if no word does.

    text: such as a story that a model told. stories: such as what it was trained on; the same list again is faster.
    """
    if not (_latest and _latest[0] is stories and _latest[1] == len(stories)):
        _latest[:] = stories, len(stories), Index(stories)
    words = text.split()
    start, length = _latest[2].longest(words)
    return " ".join(words[start:start + length])
