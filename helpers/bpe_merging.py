"""How BPE applies what it has learned: it merges the bytes of a piece, two neighbours at a time.

`ranks` gives each merged token its place in the order of merges. Of all neighbours in a piece, the two whose
bytes together have the lowest rank merge first, the leftmost if there are several. The bytes alone say which
merge is meant, because training makes each token in one way only; the tests prove it for every vocabulary the
course uses.
"""
import heapq

NEVER = 2 ** 62             # the rank of two neighbours that no merge joins
LONG_PIECE = 200            # bytes; from here on a heap finds the next merge sooner than a look at all


def merge(content: bytes, ranks: dict[bytes, int], before: int = NEVER) -> list[bytes]:
    """The tokens that remain of some bytes when no merge (of a rank lower than `before`) applies any more."""
    if len(content) >= LONG_PIECE and before == NEVER:
        return merge_long(content, ranks)
    tokens = [content[i:i + 1] for i in range(len(content))]
    rank_of = [ranks.get(content[i:i + 2], NEVER) for i in range(len(content) - 1)]     # of tokens i, i + 1
    while rank_of and (lowest := min(rank_of)) < before:
        i = rank_of.index(lowest)
        tokens[i] += tokens.pop(i + 1)
        del rank_of[i]
        if i > 0:                                               # the new token has new neighbours, left ...
            rank_of[i - 1] = ranks.get(tokens[i - 1] + tokens[i], NEVER)
        if i < len(rank_of):                                    # ... and right
            rank_of[i] = ranks.get(tokens[i] + tokens[i + 1], NEVER)
    return tokens


def merge_long(content: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The same as `merge`, in time proportional to n log n: for a run of 100,000 letters or spaces.

    The neighbours wait in a heap, lowest rank first, then leftmost. A merge makes the entries of its
    neighbours stale; they are recognised when they come up, because the tokens at their place no longer have
    the same bytes.
    """
    size = len(content)
    token_at: list[bytes | None] = [content[i:i + 1] for i in range(size)]     # None: part of one to its left
    previous = list(range(-1, size - 1))                        # where the neighbours of the token at i begin
    following = list(range(1, size + 1))
    heap: list[tuple[int, int, bytes]] = []                     # rank, where the left one begins, both

    def offer(left: int) -> None:
        """Put the token that begins here and the one after it on the heap, if a merge joins them."""
        if left >= 0 and following[left] < size:
            joined = token_at[left] + token_at[following[left]]
            if joined in ranks:
                heapq.heappush(heap, (ranks[joined], left, joined))

    for left in range(size - 1):
        offer(left)
    while heap:
        _, left, joined = heapq.heappop(heap)
        right = following[left]
        if token_at[left] is None or right == size or token_at[left] + token_at[right] != joined:
            continue
        token_at[left], token_at[right] = joined, None
        following[left] = following[right]
        if following[left] < size:
            previous[following[left]] = left
        offer(previous[left])
        offer(left)
    return [token for token in token_at if token is not None]
