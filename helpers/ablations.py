"""A small transformer with one part taken away, and a short training on Shakespeare: what lesson 04b measures.

    model = small_model("no residual", layers=8, start="xavier", seed=0)
    losses = train(model, rate=0.003, warm_up=0, seed=0)
    held_out_loss(model)

The model is SmolLM2 in small: 32 numbers a token, four heads, letters for tokens. It is meant to be trained on one CPU
thread, where 24 layers take seconds.
"""
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from helpers import corpora
from helpers.kv_cache import LayerCache
from helpers.token_data import shifted
from helpers.training import token_loss
from helpers.transformer import Block, Config, Places, Transformer

PARTS = ("whole", "no residual", "post-norm", "no norm", "no positions")
STARTS = ("small", "xavier", "silent")
T, B = 32, 8                                    # letters in a text, texts in a step
STEPS, SLOW, WARM_UP = 80, 160, 25              # of a training, of one that may only be slow, until the full rate
WRITES = ("attention.out.weight", "mlp.down.weight")        # what a sublayer's output goes through last


class NoResidual(Block):
    """A block whose sublayers replace what they have read. Lesson 04b builds it."""

    def forward(self, x: Tensor, places: Places, cache: LayerCache | None = None) -> Tensor:
        """x: (B, T, C) to (B, T, C)."""
        x = self.attention(self.attention_norm(x), places, cache)
        return self.mlp(self.mlp_norm(x))


class NoNorm(Block):
    """A block that normalises nothing. Lesson 04b builds it."""

    def forward(self, x: Tensor, places: Places, cache: LayerCache | None = None) -> Tensor:
        """x: (B, T, C) to (B, T, C)."""
        x = x + self.attention(x, places, cache)
        return x + self.mlp(x)


KINDS = {"no residual": NoResidual, "no norm": NoNorm}       # the other parts are choices of Config


def small_model(part: str, layers: int, start: str, seed: int) -> Transformer:
    """A new model, whole or with one part taken away.

    part: one of PARTS; "post-norm" moves the norm behind each addition. start: one of STARTS, as `begin` explains.
    The same seed draws the same numbers. Raises ValueError for another part or start.
    """
    for name, value, choices in (("part", part, PARTS), ("start", start, STARTS)):
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
    config = Config(vocabulary=len(alphabet()), context=T, d_model=32, layers=layers, heads=4, d_ff=88,
                    norm_at="after" if part == "post-norm" else "before",
                    positions="none" if part == "no positions" else "rope")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(config)
        if part in KINDS:
            with torch.random.fork_rng(devices=[]):     # so that `begin` draws the same numbers for every part
                model.blocks = nn.ModuleList(KINDS[part](config) for _ in range(layers))
        if part == "no norm":
            model.norm = nn.Identity()
        begin(model, start)
    return model


def begin(model: Transformer, start: str) -> None:
    """Draw the first weights.

    small: the package's own (Radford et al., 2019): standard deviation 0.02, and less for what writes to the stream.
    xavier: so large that what comes out of a matrix is about as large as what went in (Glorot and Bengio, 2010).
    silent: the same, but what writes to the stream begins at zero (Zhang et al., 2019: Fixup).
    """
    if start == "small":
        return model.init_weights()
    for name, parameter in model.named_parameters():
        if name == "embed.weight":
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)          # it is the head too: logits of size 1
        elif parameter.ndim == 2:
            nn.init.xavier_normal_(parameter)
            if start == "silent" and name.endswith(WRITES):
                nn.init.zeros_(parameter)


@functools.cache
def alphabet() -> str:
    """The characters of the first half million of Shakespeare and what is held out behind it, in order."""
    return "".join(sorted(set(corpora.shakespeare()[:520_000])))


@functools.cache
def letters() -> tuple[Tensor, Tensor]:
    """Shakespeare as whole numbers: 500,000 letters to train on, and 128 texts (128, T + 1) that come behind them."""
    number = {letter: i for i, letter in enumerate(alphabet())}
    ids = torch.tensor([number[letter] for letter in corpora.shakespeare()[:520_000]])
    return ids[:500_000], ids[500_000:500_000 + 128 * (T + 1)].view(128, T + 1)


def loss_of(model: Transformer, texts: Tensor) -> Tensor:
    """Mean cross-entropy of each next letter, in nats. texts: (B, T + 1)."""
    inputs, targets = shifted(texts)                                            # (B, T)
    return token_loss(model(inputs), targets)


def train(model: Transformer, rate: float, warm_up: int = 0, seed: int = 0, steps: int = STEPS) -> list[float]:
    """Train with Adam (Kingma and Ba, 2015); the loss of each step. It ends early if a loss is no number.

    rate: the learning rate, reached in `warm_up` equal steps and then kept. seed: draws the texts.
    Lesson 04b builds it.
    """
    generator, history = torch.Generator().manual_seed(seed), []
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)      # all matrices in one go
    for number in range(1, steps + 1):
        optimiser.param_groups[0]["lr"] = rate * min(1, number / max(warm_up, 1))
        starts = torch.randint(len(letters()[0]) - T, (B, 1), generator=generator)
        loss = loss_of(model, letters()[0][starts + torch.arange(T + 1)])       # (B, T + 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
        if not math.isfinite(history[-1]):
            break
    return history


@torch.no_grad()
def held_out_loss(model: Transformer) -> float:
    """Loss on the 128 texts that were held out."""
    return loss_of(model, letters()[1]).item()


def measure(part: str, layers: int, start: str, rate: float, warm_up: int, seed: int, steps: int = STEPS
            ) -> dict[str, Any]:
    """One training, from start to end: the held-out loss, and the training loss as means over ten steps.

    The loss is None if the training broke off because a loss was no number.
    """
    model = small_model(part, layers, start, seed)
    history = train(model, rate, warm_up, seed, steps)
    loss = held_out_loss(model)
    curve = [sum(history[i:i + 10]) / 10 for i in range(0, len(history) - 9, 10)]
    return {"loss": round(loss, 4) if math.isfinite(loss) else None,
            "curve": [round(mean, 4) for mean in curve if math.isfinite(mean)]}


def best_setting(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Start, learning rate and warm-up of the trial with the lowest loss; of those within 0.02 of it, the lowest rate.

    A single seed cannot tell those apart, and a lower rate is less likely to fail on another seed.
    Raises ValueError where every trial broke off.
    """
    kept = [trial for trial in trials if trial["loss"] is not None]
    if not kept:
        raise ValueError(f"trials holds {len(trials)}, none of which has a loss; try lower learning rates.")
    lowest = min(trial["loss"] for trial in kept)
    best = min((trial for trial in kept if trial["loss"] <= lowest + 0.02), key=lambda trial: trial["rate"])
    return {name: best[name] for name in ("start", "rate", "warm_up")}
