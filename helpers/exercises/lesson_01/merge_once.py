"""Exercise 1.1, one merge over counted words: what its check compares with, tries, and recognises."""
import random
from collections import Counter

from helpers.exercises.exercise import Exercise, Mistake

Word = tuple[int, ...]
Pair = tuple[int, int]


def merge_once(words: dict[Word, int], new_id: int) -> tuple[Pair, dict[Word, int]]:
    pair = most_frequent(count_pairs(words))
    return pair, merge_words(words, pair, new_id)


def count_pairs(words: dict[Word, int], weighted: bool = True) -> Counter:
    counts: Counter = Counter()
    for word, count in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] += count if weighted else 1
    return counts


def most_frequent(counts: Counter) -> Pair:
    """The pair with the highest count; of several, the one with the lowest ids."""
    return min(counts, key=lambda pair: (-counts[pair], pair))


def merge_words(words: dict[Word, int], pair: Pair, new_id: int) -> dict[Word, int]:
    return {merge_word(word, pair, new_id): count for word, count in words.items()}


def merge_word(word: Word, pair: Pair, new_id: int) -> Word:
    merged, i = [], 0
    while i < len(word):
        if word[i:i + 2] == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return tuple(merged)


def merge_first_occurrence(word: Word, pair: Pair, new_id: int) -> Word:
    for i in range(len(word) - 1):
        if word[i:i + 2] == pair:
            return (*word[:i], new_id, *word[i + 2:])
    return word


def merge_overlapping(word: Word, pair: Pair, new_id: int) -> Word:
    """Looks at each place on its own, so that 1 1 1 becomes 9 9."""
    merged: list[int] = []
    taken = False
    for i, token in enumerate(word):
        if word[i:i + 2] == pair:
            merged.append(new_id)
            taken = True
        elif not taken:
            merged.append(token)
        else:
            taken = False
    return tuple(merged)


def merge_without_last(word: Word, pair: Pair, new_id: int) -> Word:
    """Stops at the last place where a pair can begin, and forgets a token that stands there alone."""
    merged, i = [], 0
    while i < len(word) - 1:
        found = word[i:i + 2] == pair
        merged.append(new_id if found else word[i])
        i += 2 if found else 1
    return tuple(merged)


def with_merge(merge):
    """merge_once, with another way to merge a word."""
    def answer(words, new_id):
        pair = most_frequent(count_pairs(words))
        return pair, {merge(word, pair, new_id): count for word, count in words.items()}
    return answer


def with_pair(choose):
    """merge_once, with another way to choose the pair."""
    def answer(words, new_id):
        pair = choose(words)
        return pair, merge_words(words, pair, new_id)
    return answer


def with_counts(count):
    """merge_once, with another way to count the pairs."""
    return with_pair(lambda words: most_frequent(count(words)))


def rarest(words):
    counts = count_pairs(words)
    return min(counts, key=lambda pair: (counts[pair], pair))


def first_seen(words):
    counts = count_pairs(words)
    return max(counts, key=counts.__getitem__)


def highest_ids(words):
    counts = count_pairs(words)
    return max(counts, key=lambda pair: (counts[pair], pair))


def last_counts(words):
    return Counter({pair: count for word, count in words.items() for pair in zip(word, word[1:])})


def counts_without_last_pairs(words):
    return count_pairs({word[:-1]: count for word, count in words.items()})


def counts_across_words(words):
    text = [token for word, count in words.items() for _ in range(count) for token in word]
    return Counter(zip(text, text[1:]))


def merge_once_without_unchanged(words, new_id):
    pair, merged = merge_once(words, new_id)
    return pair, {word: count for word, count in merged.items() if new_id in word}


def draw_words(draw: random.Random) -> list[tuple]:
    cases = [({(1, 2): 1}, 3), ({(2, 1): 1, (1, 3): 1}, 9), ({(1, 2): 1, (1, 2, 3): 1, (4, 4): 3}, 9),
             ({(1, 1, 1): 2, (2, 3): 3}, 4),
             ({(1, 1, 1, 1): 2, (2, 3): 3}, 4), ({(1, 2, 1, 2, 3): 4}, 9), ({(5, 6): 2, (7, 7): 1, (8, 8): 1}, 9)]
    for size in range(2, 16):
        lengths = [draw.randint(1, 7) for _ in range(size)]
        words = {tuple(draw.randint(1, 4) for _ in range(length)): draw.randint(1, 6) for length in lengths}
        cases.append((words | {(1, 2): 1}, 9))
    return cases


EXERCISE = Exercise(
    id="1.1", name="merge_once", title="One merge over counted words", minutes=15,
    oracle=merge_once, cases=draw_words,
    mistakes=(
        Mistake(with_counts(lambda words: count_pairs(words, weighted=False)),
                "You count each different word once. A word that occurs 5 times brings 5 of each of its pairs."),
        Mistake(with_counts(last_counts),
                "A pair that occurs again gets a new count instead of a larger one: add up with +=."),
        Mistake(with_counts(counts_without_last_pairs),
                "You leave out the last pair of each word: n tokens have n - 1 pairs. zip(word, word[1:]) gives them "
                "all."),
        Mistake(with_pair(rarest),
                "Your min takes the rarest pair. With a minus before the count it takes the most frequent: "
                "(-counts[pair], pair)."),
        Mistake(with_pair(first_seen),
                "Where several pairs are equally frequent, the lowest ids must win: (1, 3) before (2, 1). max and "
                "most_common take the pair that they met first."),
        Mistake(with_pair(highest_ids),
                "Where several pairs are equally frequent, yours with the highest ids wins. The lowest must: (1, 3) "
                "before (2, 1). Take min, and put a minus before the count."),
        Mistake(with_counts(counts_across_words),
                "You also count pairs that reach from one word into the next. Words were cut apart for good."),
        Mistake(with_merge(lambda word, pair, new_id: word),
                "The words come back as they were. Do you compare a list with the pair? [1, 2] never equals (1, 2): "
                "make a tuple of it first."),
        Mistake(merge_once_without_unchanged,
                "Words in which the pair does not stand are missing from your new table. They belong there too, as "
                "they were, with their counts."),
        Mistake(with_merge(merge_without_last),
                "The last token of a word is lost where it is not part of the pair. Your loop ends one place too "
                "early: that token still has to be written."),
        Mistake(with_merge(merge_first_occurrence),
                "You merge the first place in each word and leave the others: (1, 2, 1, 2) must become (9, 9)."),
        Mistake(with_merge(merge_overlapping),
                "You use one token twice: in (1, 1, 1) the first two merge, and the third has nobody left. Skip both "
                "tokens after a merge."),
    ),
    hints=("Two loops: one over the words and their counts to fill a Counter of pairs, then one over each word to "
           "rebuild it with the pair glued.",
           "The winner is the pair with the smallest (minus its count, the pair itself): "
           "min(counts, key=lambda pair: (-counts[pair], pair))."),
)
