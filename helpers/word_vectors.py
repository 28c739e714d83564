"""Words as points: which are near, and what king - man + woman gives, for any table of word vectors.

    words = WordVectors.of_model(model, tokenizer)       # SmolLM2's own table
    words.nearest("king", 5)                             # [("King", 0.89), ("kings", 0.77), ...]
    words.analogy("man", "king", "woman", 3)             # man is to king as woman to ...
"""
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer


class WordVectors:
    """A table with a row for each word, moved so that the mean of all rows is 0, each row then of length 1.

    words: V different words. vectors: (V, C), on any device.
    Raises ValueError when they are not equally many, when a word comes twice, or when a vector is not finite.
    """

    def __init__(self, words: Sequence[str], vectors: Tensor):
        if vectors.ndim != 2 or len(words) != len(vectors) or len(words) < 2:
            raise ValueError(f"vectors has shape {tuple(vectors.shape)} and there are {len(words)} words; give a row "
                             "for each of at least two words.")
        self.words = tuple(words)
        self.place = {word: row for row, word in enumerate(self.words)}
        if len(self.place) < len(self.words):
            twice = next(word for row, word in enumerate(self.words) if self.place[word] != row)
            raise ValueError(f"words holds {twice!r} twice; give each word once.")
        if not vectors.isfinite().all():
            raise ValueError("vectors holds inf or nan; did the training fly apart?")
        vectors = vectors.detach().float()
        self.unit = F.normalize(vectors - vectors.mean(dim=0), dim=-1)                          # (V, C)

    @classmethod
    def of_model(cls, model: "Transformer", tokenizer: "BPETokenizer") -> "WordVectors":
        """The embedding table of a model, for those of its tokens that are a space and then letters: whole words.

        The space is not part of the word's name here: the row of " king" is that of "king".
        """
        found: dict[str, int] = {}
        for token in range(model.config.vocabulary):
            piece = tokenizer.token_bytes(token)
            if piece[:1] == b" " and piece[1:].isalpha():                       # bytes: isalpha knows a to z alone
                found[piece[1:].decode("ascii")] = token
        return cls(list(found), model.embed.weight[list(found.values())])

    def vector(self, word: str) -> Tensor:
        """The unit vector (C,) of a word. Raises ValueError for a word that has none, naming some written like it."""
        if word not in self.place:
            alike = difflib.get_close_matches(word, self.words, n=3, cutoff=0.75)
            hint = f"try {' or '.join(map(repr, alike))}" if alike else "try a more common one"
            raise ValueError(f"word is {word!r}, which has no vector of its own here; {hint}.")
        return self.unit[self.place[word]]

    def cosine(self, one: str, other: str) -> float:
        """How alike two words are, -1 to 1: the dot product of their unit vectors."""
        return float(self.vector(one) @ self.vector(other))

    def nearest(self, query: str | Tensor, k: int = 8, without: Sequence[str] = ()) -> list[tuple[str, float]]:
        """The k words with the largest cosine, nearest first, each with its cosine. Lesson 02 builds it.

        query: a word, which is then left out itself, or a vector (C,), measured from the mean of the table.
        without: words that must not be answers.
        Raises ValueError for an unknown word, a vector of another width, of length 0 or with nan, and a k for which
        there are too few words.
        """
        if isinstance(without, str):
            raise ValueError(f"without is {without!r}; give a list of words.")
        if isinstance(query, str):
            without, query = (query, *without), self.vector(query)
        elif query.shape != self.unit.shape[1:]:
            raise ValueError(f"query has shape {tuple(query.shape)}; give a vector {tuple(self.unit.shape[1:])}.")
        elif not (query.isfinite().all() and query.any()):
            raise ValueError("query holds nan or inf, or nothing but 0; a vector without a direction is near nothing.")
        for word in without:
            self.vector(word)                               # refuses an unknown one
        barred = {self.place[word] for word in without}
        if not 1 <= k <= len(self.words) - len(barred):
            raise ValueError(f"k is {k}; there are {len(self.words) - len(barred)} words to choose from.")
        cosines = self.unit @ F.normalize(query.to(self.unit), dim=0)                          # (V, C) @ (C,) -> (V,)
        cosines[list(barred)] = -2.0                                                           # below every cosine
        values, rows = cosines.topk(k)
        return [(self.words[row], value) for row, value in zip(rows.tolist(), values.tolist())]

    def analogy(self, a: str, b: str, c: str, k: int = 8, exclude: bool = True) -> list[tuple[str, float]]:
        """a is to b as c is to what? The words nearest to b - a + c (Mikolov et al., 2013). Lesson 02 builds it.

        exclude: leave a, b and c themselves out, as is usual and seldom said.
        Raises ValueError as `nearest` does.
        """
        target = self.vector(b) - self.vector(a) + self.vector(c)                              # (C,)
        return self.nearest(target, k, without=(a, b, c) if exclude else ())
