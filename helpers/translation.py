"""The two kinds of model that translate number words in lesson 04e, from the parts of `transformer`.

    model = started(make("encoder-decoder"), seed=0)        # or "decoder only", and the others of KINDS
    train(model, steps=400, rate=0.005, seed=0)
    exact(model, held_out_numbers(1000)).float().mean()     # share translated without a fault
    source, target, _ = batch([47_206])
    write(model, source)                                    # [["sieben", "und", "vierzig", "tausend", ...]]
    looks(model, source, target)                            # where it looks in the source as it writes

Each model takes a source (B, S) and a target (B, T) and gives scores (B, T, V). H heads, C channels.
"""
import random
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers import tracing
from helpers.number_words import END, PAD, START, VOCABULARY, aligned, batch, draw
from helpers.transformer import Block, Config, Places, Transformer, attention, make_norm
from helpers.waiting import bar

KINDS = ("encoder-decoder", "decoder only", "prefix", "mean only")


class CrossAttention(nn.Module):
    """Attention from one text to another: queries from the one, keys and values from the other.

    Vaswani et al., 2017. Lesson 04e builds it.
    """

    def __init__(self, config: Config):
        super().__init__()
        C, self.heads = config.d_model, config.heads
        self.q, self.kv = nn.Linear(C, C, bias=False), nn.Linear(C, 2 * C, bias=False)
        self.out = nn.Linear(C, C, bias=False)

    def forward(self, x: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
        """x: (B, T, C), what asks; memory: (B, S, C), what answers; seen: (B, S), False where padding stands."""
        q, k, v = self.meet(x, memory)
        mixed = attention(q, k, v, causal=False, mask=seen[:, None, None])                  # (B, H, T, D)
        return self.out(mixed.transpose(1, 2).flatten(2))                                   # (B, T, C)

    def meet(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D), keys and values (B, H, S, D)."""
        (B, T, C), S, H = x.shape, memory.shape[1], self.heads
        k, v = self.kv(memory).view(B, S, 2, H, C // H).permute(2, 0, 3, 1, 4)
        return self.q(x).view(B, T, H, C // H).transpose(1, 2), k, v

    def looks(self, x: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
        """The weights (B, H, T, S): each place hands over its own number, so that the mixture is the weights."""
        q, k, _ = self.meet(x, memory)
        own = torch.eye(k.shape[2], device=x.device).expand(*k.shape[:3], -1)               # (B, H, S, S)
        return attention(q, k, own, causal=False, mask=seen[:, None, None])


class MeanOnly(CrossAttention):
    """No looking: every query is 0, so all scores are equal, and each gets the mean of the values."""

    def meet(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().meet(x, memory)
        return torch.zeros_like(q), k, v


class DecoderBlock(Block):
    """A block with one more sublayer: after it looked at its own text, each token looks at the source."""

    def __init__(self, config: Config, cross: type[CrossAttention] = CrossAttention):
        super().__init__(config)
        self.cross_norm, self.cross = make_norm(config, config.d_model), cross(config)

    def forward(self, x: Tensor, places: Places, memory: Tensor, seen: Tensor) -> Tensor:
        """x: (B, T, C) to (B, T, C); the rest as in `Block` and in `CrossAttention`."""
        x = x + self.attention(self.attention_norm(x), places)
        x = x + self.cross(self.cross_norm(x), memory, seen)
        return x + self.mlp(self.mlp_norm(x))


class EncoderDecoder(nn.Module):
    """The first transformer's plan: an encoder that sees all of the source, a decoder that looks at it as it writes.

    config: of each half. Vaswani et al., 2017. Lesson 04e builds it.
    """

    def __init__(self, config: Config, cross: type[CrossAttention] = CrossAttention):
        super().__init__()
        self.encoder = Transformer(replace(config, causal=False, output="hidden"))
        self.decoder = Transformer(config)
        self.decoder.blocks = nn.ModuleList(DecoderBlock(config, cross) for _ in range(config.layers))
        self.decoder.init_weights()
        self.decoder.embed = self.encoder.embed                                             # one table for all

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (B, S), padded with PAD; target: (B, T). Scores (B, T, V) of what comes after each target token."""
        seen = source != PAD                                                                # (B, S)
        memory = self.encoder(source, padding_mask=seen)                                    # (B, S, C)
        places = self.decoder.places(torch.arange(target.shape[1], device=target.device)[None])
        x = self.decoder.embed(target)                                                      # (B, T, C)
        for block in self.decoder.blocks:
            x = block(x, places, memory, seen)
        return self.decoder.head(self.decoder.norm(x))


class DecoderOnly(nn.Module):
    """One transformer that reads "source = target" as one text, as Liu et al. (2018) did. Lesson 04e builds it.

    prefix: whether the source is seen from both sides (a prefix language model: Raffel et al., 2020).
    """

    def __init__(self, config: Config, prefix: bool = False):
        super().__init__()
        self.model, self.prefix = Transformer(config), prefix

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """As in `EncoderDecoder`."""
        ids, places = self.text(source, target)
        x = self.model.embed(ids)                                                           # (B, S + T, C)
        for block in self.model.blocks:
            x = block(x, places)
        return self.model.head(self.model.norm(x[:, source.shape[1]:]))                     # (B, T, V)

    def text(self, source: Tensor, target: Tensor) -> tuple[Tensor, Places]:
        """Both as one text (B, S + T), and who sees whom there: no padding, nothing later, all of a prefix."""
        ids = torch.cat([source, target], dim=1)                                            # (B, S + T)
        seen = torch.cat([source != PAD, torch.ones_like(target, dtype=torch.bool)], dim=1)
        places = self.model.places(self.model.positions(0, ids.shape[1], seen, ids.device), 0, seen)
        if self.prefix:
            in_source = torch.arange(ids.shape[1], device=ids.device) < source.shape[1]     # (S + T,)
            places.mask = places.mask | (seen & in_source)[:, None, None]                   # (B, 1, S + T, S + T)
        return ids, places


def make(kind: str) -> nn.Module:
    """One of KINDS, with one layer for each half or two for a decoder that is alone, and parameters within 1 %.

    "prefix" is "decoder only" with the source seen from both sides; "mean only" is "encoder-decoder" without looking.
    Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")
    half = Config(len(VOCABULARY), context=32, d_model=48, layers=1, heads=4, mlp="gelu")
    if kind in ("encoder-decoder", "mean only"):
        return EncoderDecoder(half, CrossAttention if kind == "encoder-decoder" else MeanOnly)
    return DecoderOnly(replace(half, layers=2, d_ff=5 * half.d_model), prefix=kind == "prefix")


def started(model: nn.Module, seed: int) -> nn.Module:
    """The model, with every matrix drawn anew as PyTorch's own nn.Transformer does it (Glorot and Bengio, 2010)."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            nn.init.xavier_uniform_(parameter)
    return model


def train(model: nn.Module, steps: int, rate: float, seed: int, size: int = 32, shown: bool = False) -> list[float]:
    """Train on fresh numbers, none of them held out; returns the loss of each step.

    model: gives scores from source and target, as `EncoderDecoder` does.
    rate: of Adam, falling to 0 in a straight line. size: numbers in a step.
    """
    generator, history = random.Random(seed), []
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    with bar(steps, "Training", shown=shown) as step:
        for done in range(steps):
            optimiser.param_groups[0]["lr"] = rate * (1 - done / steps)
            source, target, labels = batch(draw(size, generator), device)
            loss = F.cross_entropy(model(source, target).transpose(1, 2), labels, ignore_index=PAD)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            history.append(loss.item())
            step(1)
    return history


@torch.no_grad()
def exact(model: nn.Module, numbers: Sequence[int]) -> Tensor:
    """Whether each number is translated without a fault, (N,) bool, when the likeliest token is taken each time.

    The right German is given, and each next token asked for: if all are right, so is what the model writes by itself.
    """
    source, target, labels = batch(numbers, next(model.parameters()).device)
    right = model(source, target).argmax(dim=-1) == labels                                  # (N, T)
    return (right | (labels == PAD)).all(dim=1).cpu()


@torch.no_grad()
def write(model: nn.Module, source: Tensor, most: int = 16) -> list[list[str]]:
    """The pieces a model writes for each source (B, S), the likeliest each time, until "<end>" or `most` of them."""
    target = torch.full((len(source), 1), START, device=source.device)                      # (B, 1)
    while target.shape[1] <= most and not (target == END).any(dim=1).all():
        target = torch.cat([target, model(source, target)[:, -1:].argmax(dim=-1)], dim=1)   # (B, T + 1)
    return [[VOCABULARY[token] for token in row[1:row.index(END) if END in row else None]] for row in target.tolist()]


@torch.no_grad()
def looks(model: EncoderDecoder | DecoderOnly, source: Tensor, target: Tensor) -> Tensor:
    """How much each head of a decoder takes from each source token, in the step that writes the token after each target
    token: (B, layers, H, T, S). In a decoder alone a row adds up to less than 1: it looks at the target, too.
    """
    found: list[Tensor] = []
    if isinstance(model, DecoderOnly):
        S, (_, places) = source.shape[1], model.text(source, target)
        hooks = [block.attention.register_forward_hook(lambda layer, given, out: found.append(
            tracing.weights_of(layer, given[0], places)[:, :, S:, :S])) for block in model.model.blocks]
    else:
        hooks = [block.cross.register_forward_hook(lambda layer, given, out: found.append(layer.looks(*given)))
                 for block in model.decoder.blocks]
    try:
        model(source, target)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(found, dim=1)


def shifts(model: EncoderDecoder | DecoderOnly, numbers: Sequence[int]) -> Tensor:
    """How far to the right of the right word each head's strongest look at the source falls, as each piece is written.

    The right word is the one that the piece translates; pieces that translate none are left out.
    Returns (layers * H, P) whole numbers for all P pieces of all numbers; 0 is the right word, 1 the token after it.
    """
    found = []
    for number in numbers:
        source, target, _ = batch([number])
        right = torch.tensor([-1 if at is None else at for at in aligned(number)])          # (T - 1,)
        strongest = looks(model, source, target)[0, :, :, :-1].flatten(0, 1).argmax(dim=-1)  # (layers * H, T - 1)
        found.append((strongest - right)[:, right >= 0])
    return torch.cat(found, dim=1)


def hits(model: EncoderDecoder | DecoderOnly, numbers: Sequence[int]) -> Tensor:
    """Whether each head's strongest look goes to the right word: `shifts` of 0, (layers * H, P) bool."""
    return shifts(model, numbers) == 0
