"""Pictures of lessons 07 and 07b: what filters leave of a model's next token, and an answer as it streams."""
import math
import textwrap
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import torch

from helpers.checks import require
from helpers.plots import (ACCENT, INK, QUIET, SECOND, Picture, draw_tokens, in_style, new_figure, picture, quoted,
                           tokens_height, visible, wrap)
from helpers.proof import approximately
from helpers.sampler import Sampler
from helpers.sampling import Token, generate, read

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer


@in_style
def desk(model: "Transformer", tokenizer: "BPETokenizer", text: str, temperature: float = 1.0, top_k: int = 0,
         top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0, seed: int = 0, bars: int = 12,
         new_tokens: int = 24) -> Picture:
    """The likeliest next tokens before and after the filters, and a continuation drawn with them.

    top_k: 0 keeps all. seed, new_tokens: of the continuation, and how many tokens it has at most. bars: how many tokens
    are shown, of those that are likeliest before. Other settings as in `sampling.generate`.
    Raises ValueError for an empty text, for settings out of range, and for more bars than there are tokens.
    """
    ids = tokenizer.encode(text)
    require(bool(ids), f"text is {text!r}; give at least one character.")
    V = model.config.vocabulary
    require(isinstance(bars, Integral) and 1 <= bars <= V,
            f"bars is {bars!r}; give 1 to {V}, the tokens of this model.")
    sampler = Sampler(temperature, top_k or None, top_p, min_p, repetition_penalty)
    with torch.inference_mode():
        logits = read(model, torch.tensor([ids], device=model.device), None, None, progress=False).cpu()    # (1, V)
    filtered = sampler.filter(logits, torch.tensor([ids]))[0]                                               # (V,)
    before, after = logits[0].softmax(dim=-1), filtered.softmax(dim=-1)                                     # (V,) each
    left = filtered > -torch.inf            # (V,); a cold token's probability may be less than float32 can say
    new = generate(model, ids, new_tokens, temperature, top_k or None, top_p, min_p, repetition_penalty, seed=seed)
    shown = before.topk(bars).indices.tolist()
    pieces = [visible(tokenizer.decode([token]), 16) for token in shown]
    told = textwrap.wrap("".join(char if char.isprintable() else " " for char in tokenizer.decode(new)), 96) or [""]
    figure, top, bottom = new_figure(8.5, 1.0 + 0.27 * bars, 0.5 + 0.2 * len(told))
    rows, edge = range(bars), max(0.4, float(before.max()), float(after.max()))
    top.barh([row - 0.2 for row in rows], before[shown].tolist(), 0.38, color=QUIET, label="by the model")
    top.barh([row + 0.2 for row in rows], after[shown].tolist(), 0.38, color=ACCENT, hatch="///", edgecolor="white",
             linewidth=0, label="after the filters")
    for row, token in zip(rows, shown):
        label = f"{after[token]:.1%}" if left[token] else "removed"
        top.text(max(before[token], after[token]) + edge / 90, row, label, va="center", fontsize=8.5)
    top.set_yticks(rows, pieces, family="monospace")
    top.invert_yaxis()
    title = f"{int(left.sum()):,} of {V:,} tokens are left; {bits(before):.1f} bits of choice become {bits(after):.1f}"
    top.set(title=title, xlabel="probability", ylabel="next token", xlim=(0, edge * 1.15))
    top.legend(frameon=False, loc="lower right")
    bottom.axis("off")
    bottom.set(xlim=(0, 1), ylim=(len(told), -0.8))
    heading = f"After “{text if len(text) < 60 else text[:59] + '…'}”:"
    bottom.text(0, -0.5, heading, fontsize=9, color=QUIET, va="center")
    for row, line in enumerate(told):
        bottom.text(0, row + 0.4, line, fontsize=9.5, color=INK, va="center")
    return picture(figure, f"{title}. Bars of probability by the model and after the filters, likeliest first: "
                           f"{quoted(pieces)}. Drawn after “{text}”: “{' '.join(told)}”.")


@in_style
def streamed(tokens: Sequence[Token], bytes_per_token: int, prompt_length: int, title: str = "") -> Picture:
    """An answer: each token coloured by its probability, the entropy where it was drawn, and the cache as it grew.

    bytes_per_token: of the KV cache. prompt_length: tokens before the answer. When a token is drawn, the cache holds
    those and the tokens of the answer before it.
    Raises ValueError for an answer of no tokens.
    """
    require(len(tokens) > 0, "tokens is empty; give those of an answer, as sampling.stream yields them.")
    pieces = [token.text for token in tokens]
    figure, top, middle, bottom = new_figure(9, tokens_height(wrap(pieces, None)[1], None), 1.3, 1.3)
    words = draw_tokens(top, pieces, None, [token.probability for token in tokens], title or f"{len(tokens)} tokens")
    places = range(1, len(tokens) + 1)
    entropies = [token.entropy for token in tokens]
    middle.bar(places, entropies, color=ACCENT, width=0.8)
    middle.set(ylabel="entropy\n(bits)")
    megabytes = [(prompt_length + place - 1) * bytes_per_token / 1e6 for place in places]
    bottom.plot(places, megabytes, color=SECOND, linewidth=2)
    bottom.set(ylabel="KV cache\n(MB)", xlabel="token of the answer", ylim=(0, megabytes[-1] * 1.1))
    for area in (middle, bottom):
        area.set_xlim(0.3, len(tokens) + 0.7)
    return picture(figure, f"{words} Below, the entropy at each token, from {approximately(min(entropies))} to "
                           f"{approximately(max(entropies))} bits, and the KV cache, which grows to "
                           f"{megabytes[-1]:.1f} MB.")


def bits(probabilities: torch.Tensor) -> float:
    """The entropy of a distribution (V,), in bits."""
    return float(torch.special.entr(probabilities).sum()) / math.log(2)
