"""How much of a text was copied: its longest run of words that stands in one of many stories.

What follows each word of each story (a "suffix") is put in alphabetical order once; then the longest run that a text
shares with any story is found by bisection (Manber and Myers, "Suffix arrays", 1990).
"""
import functools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from helpers.tales_world import Tale

DEPTH = 40                   # the suffixes are in order by so many words at least; longer runs are compared one by one


class Index:
    """The suffixes of stories in order, by words. texts: of each story."""

    def __init__(self, texts: Sequence[str]):
        self.number: dict[str, int] = {}
        ids: list[int] = []
        for text in texts:
            ids += [self.number.setdefault(word, len(self.number) + 1) for word in text.split()]
            ids.append(0)                                    # no run goes on into the next story
        self.words = np.array(ids, dtype=">u4").tobytes()    # big-endian, so that bytes compare as words do
        self.order = self._sorted(np.array(ids, dtype=np.int64))

    def _sorted(self, ids: np.ndarray) -> np.ndarray:
        """Where each suffix starts, in the order of their first DEPTH words: sorted by 5, 10, 20, 40 words, say."""
        bits = (len(self.number) + 1).bit_length()
        known = 62 // bits                                   # so many words fit into one number
        key = np.zeros_like(ids)
        for k in range(known):
            key = (key << bits) | _later(ids, k)
        while True:
            order = np.argsort(key, kind="stable")
            if known >= DEPTH:
                return order
            rank = np.empty_like(order)                      # suffixes that begin alike have the same rank
            rank[order] = np.cumsum(np.diff(key[order], prepend=key[order[:1]]) > 0) + 1
            key = rank * (len(ids) + 2) + _later(rank, known)
            known *= 2

    def longest(self, words: list[str]) -> str:
        """The longest run of these words that stands in a story."""
        ids = np.array([self.number.get(word, 2**32 - 1) for word in words], dtype=">u4").tobytes()
        start = length = 0
        for i in range(len(words)):
            if len(words) - i > length and (shared := self._shared(ids[4 * i:])) > length:
                start, length = i, shared
        return " ".join(words[start:start + length])

    def _shared(self, suffix: bytes) -> int:
        """How many words from its start on this suffix of a text shares with one of the stories."""
        def first_words(place: int) -> bytes:
            return self.words[4 * place:4 * (place + DEPTH)]

        head = suffix[:4 * DEPTH]
        low = bisect_left(self.order, head, key=first_words)
        high = bisect_right(self.order, head, lo=low, key=first_words)
        near = self.order[max(0, low - 1):high + 1]          # those that begin so, or else the two next to it
        return max((_common(suffix, self.words[4 * place:4 * place + len(suffix)]) for place in near), default=0)


def _later(values: np.ndarray, k: int) -> np.ndarray:
    """The value k places further on, 0 beyond the end."""
    return np.concatenate((values[k:], np.zeros(min(k, len(values)), dtype=values.dtype)))


def _common(one: bytes, other: bytes) -> int:
    """How many words two rows of words share at their start."""
    pairs = zip(memoryview(one).cast("I"), memoryview(other).cast("I"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


index = functools.lru_cache(maxsize=1)(Index)           # of the last stories asked about: it takes seconds to make


def longest_overlap(text: str, stories: Sequence[Tale | str]) -> str:
    """The longest run of words of a text that stands in one of the stories, too; "" if no word does.

    text: such as a story that a model told. stories: such as what it was trained on; with the same stories again the
    answer comes in milliseconds, the first one for 20,000 stories in two or three seconds.
    """
    texts = tuple(story if isinstance(story, str) else story.text for story in stories)
    return index(texts).longest(text.split())
