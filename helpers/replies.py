"""Where an answer ends: at a stop token, or at a string that may span tokens and begin inside one."""
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING

from helpers.checks import require
from helpers.prompts import check_token

if TYPE_CHECKING:
    from torch import Tensor

    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer


@dataclass
class Reply:
    """The new tokens of one row, and where they end. Strings are looked for in bytes, so any token may split them."""
    stop_ids: frozenset[int]
    stop_strings: tuple[bytes, ...]
    tokenizer: "BPETokenizer | None" = None
    ids: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)       # for each token, where its bytes end in content
    content: bytes = b""
    sure: int = 0                                       # tokens that can no longer belong to a stop string
    cut: int | None = None                              # where in content a stop string begins
    stopped: bool = False

    def add(self, token: int, last: bool) -> None:
        """Take the next token, unless the row has stopped and is only kept for the sake of the others."""
        if self.stopped:
            return
        self.stopped = token in self.stop_ids
        if not self.stopped:
            self.ids.append(token)
        if self.stopped or not self.stop_strings:
            self.sure = len(self.ids)
            return
        self.content += self.tokenizer.token_bytes(token)
        self.ends.append(len(self.content))
        found = [at for string in self.stop_strings if (at := self.content.find(string)) >= 0]
        if found:
            self.stopped, self.cut = True, min(found)
        certain = self.cut if found else len(self.content) - (0 if last else self.unsure())
        self.sure = sum(end <= certain for end in self.ends)

    def fit(self, logits: "Tensor") -> "Tensor":
        """logits (V,), with -inf for each token that cannot come next: here any can."""
        return logits

    def unsure(self) -> int:
        """How many of the last bytes may be the beginning of a stop string."""
        return max((n for string in self.stop_strings for n in range(1, len(string))
                    if self.content.endswith(string[:n])), default=0)


def as_stops(stop: Collection[int | str] | int | str, model: "Transformer",
             tokenizer: "BPETokenizer | None") -> tuple[frozenset[int], tuple[bytes, ...]]:
    """The stop tokens, and the stop strings as bytes."""
    stops = as_list(stop)
    for one in stops:
        if isinstance(one, bool) or not isinstance(one, (str, Integral)) or one == "":
            raise ValueError(f"stop holds {one!r}; give tokens (whole numbers) and strings that are not empty.")
        if isinstance(one, str) and tokenizer is None:
            raise ValueError(f"stop holds the string {one!r}, and tokenizer is None; pass tokenizer=... as well.")
        if isinstance(one, Integral):
            check_token("stop", one, model)
    return (frozenset(one for one in stops if isinstance(one, Integral)),
            tuple(one.encode("utf-8") for one in stops if isinstance(one, str)))


def as_list(stop: Collection[int | str] | int | str) -> list[int | str]:
    """What stop holds, one or several."""
    stop = stop.tolist() if hasattr(stop, "tolist") else stop                       # a tensor or an array
    if isinstance(stop, (str, Integral)):
        return [stop]
    require(isinstance(stop, Iterable),
            f"stop is {stop!r}; give a token, a string, or a list of them, which is empty for none.")
    return list(stop)
