"""How a BPE tokenizer learns its merges: find the most frequent neighbours, glue them together, repeat.

The naive way counts all pairs again before every merge. Here the counts are kept, and a merge touches only
the words it changes. Shakespeare's 1.3 million words are 35,000 different ones, so we work on those, each
with its number of occurrences. `BPETokenizer.train` calls this; lesson 01 builds the naive form and proves
the two equal.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping

Merge = tuple[bytes, bytes]


def learn_merges(counts: Mapping[str, int], n_merges: int) -> list[Merge]:
    """The first `n_merges` merges of byte pair encoding, in the order in which they are learned.

    counts: how often each piece of text occurs; merges never cross from one piece to the next.
    n_merges: how many to learn. The list is shorter if every piece becomes a single token before that.

    The most frequent pair is merged first. Ties: the pair whose left token is older wins, then the one whose
    right token is older (bytes are oldest, in order of value), which is also the rule of Hugging Face's
    `tokenizers`.
    Source: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016).
    """
    # A trick that makes Python fast: token number 300 is the character chr(300), so a word is a str with one
    # character a token, a pair is a str of length 2, and merging is `replace`, from left to right, in C.
    words = [piece.encode("utf-8").decode("latin-1") for piece in counts]       # byte 226 -> chr(226)
    count_of = list(counts.values())                            # of the word at the same place
    tokens = [bytes([value]) for value in range(256)]
    merges: list[Merge] = []

    found_in: dict[str, list[int]] = defaultdict(list)        # "th" -> its words, one entry an occurrence
    for index, word in enumerate(words):
        for pair in map("".join, zip(word, word[1:])):
            found_in[pair].append(index)
    pair_counts = {pair: sum(map(count_of.__getitem__, places)) for pair, places in found_in.items()}

    # The heap may hold counts that are out of date, never too small: an entry is compared with the true count
    # when it comes up, and goes back with that count if it was wrong.
    heap = [(-count, pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    while heap and len(merges) < n_merges:
        claimed, pair = heapq.heappop(heap)
        if pair_counts[pair] != -claimed:
            if pair_counts[pair] > 0:
                heapq.heappush(heap, (-pair_counts[pair], pair))
            continue
        left, right = pair
        merged = chr(len(tokens))
        merges.append((tokens[ord(left)], tokens[ord(right)]))
        tokens.append(tokens[ord(left)] + tokens[ord(right)])

        new_pairs: dict[str, list[int]] = defaultdict(list)    # like found_in, for pairs with the new token
        for index in found_in.pop(pair):
            if pair not in words[index]:                    # it was, until another merge took half
                continue
            word = words[index] = words[index].replace(pair, merged)
            at = word.find(merged)
            while at >= 0:                                  # its neighbours part from what was here ...
                if at > 0:
                    before = word[at - 1]
                    pair_counts[(right if before == merged else before) + left] -= count_of[index]
                    new_pairs[before + merged].append(index)    # ... and meet the new token
                after = word[at + 1:at + 2]
                if after and after != merged:                   # two new tokens side by side are counted once
                    pair_counts[right + after] -= count_of[index]
                    new_pairs[merged + after].append(index)
                at = word.find(merged, at + 1)
        pair_counts[pair] = 0
        found_in.update(new_pairs)
        for new_pair, places in new_pairs.items():
            pair_counts[new_pair] = sum(map(count_of.__getitem__, places))
            heapq.heappush(heap, (-pair_counts[new_pair], new_pair))
    return merges
