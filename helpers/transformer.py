"""One Transformer, from which `Config` makes SmolLM2, Llama, GPT-2, MiniLM and the models you train in this course.

Read it top to bottom: attention, the feed-forward network, a block, the whole model. `Config` is in `config.py`, rotary
and ALiBi positions in `positions.py`, the cache that makes writing fast in `kv_cache.py`. Sizes have one letter each:

    B batch   T new tokens   S all tokens so far   C channels (d_model)   H heads   K key-value heads   D head size
    V vocabulary
"""
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.config import Config
from helpers.kv_cache import KVCache, LayerCache
from helpers.linear import Linear, linear
from helpers.positions import alibi_slopes, rope_angles, rotate

__all__ = ["Attention", "Block", "Config", "KVCache", "MLP", "Transformer", "attention"]


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = True, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention (Vaswani et al., 2017): each query gets a mixture of the values.

    q: (..., H, T, D); k, v: (..., K, S, D) with H a multiple of K, or (T, D) and (S, D) for one head.
    causal: the queries are the last T of S tokens, and none sees a later one.
    mask: instead of causal, a bool (..., T, S) that is True where a query may look, or a float added to the scores.
    Returns (..., H, T, D). Lesson 03 builds it. Raises ValueError when the shapes do not fit together.
    """
    T, S = q.shape[-2], k.shape[-2]
    grouped = q.ndim == k.ndim > 2 and q.shape[-3] != k.shape[-3]       # several query heads to one key-value head
    if (q.ndim != k.ndim or q.shape[-1] != k.shape[-1] or k.shape[:-1] != v.shape[:-1] or (causal and T > S)
            or (grouped and q.shape[-3] % k.shape[-3])):
        raise ValueError(f"q {tuple(q.shape)}, k {tuple(k.shape)} and v {tuple(v.shape)} do not fit: q and k share "
                         "D, k and v all but D, H is a multiple of K, and a causal q has at most S tokens.")
    if mask is None and causal and 1 < T < S:
        mask = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and causal and T == S,
                                          enable_gqa=grouped)


def make_norm(config: Config, size: int) -> nn.Module:
    """LayerNorm (Ba et al., 2016) or RMSNorm (Zhang and Sennrich, 2019) over the last dimension.

    Lesson 04 builds it.
    """
    if config.norm == "layernorm":
        return nn.LayerNorm(size, eps=config.norm_eps)
    return nn.RMSNorm(size, eps=config.norm_eps)


@dataclass
class Places:
    """Where the tokens of one forward pass stand: worked out once, used by every layer."""
    mask: Tensor | None                   # who sees whom, (B or 1, H or 1, T, S); None where a plain triangle says it
    cos: Tensor | None = None             # rotary positions, (B or 1, T, 1, D)
    sin: Tensor | None = None


class Attention(nn.Module):
    """Many heads: every token asks, every earlier token answers, each head with its own question."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        H, K, D = config.heads, config.kv_heads, config.head_size
        self.qkv = Linear(config.d_model, (H + 2 * K) * D, bias=config.bias)     # one matrix is faster than three
        self.out = Linear(H * D, config.d_model, bias=config.bias)
        if config.qk_norm:
            self.q_norm, self.k_norm = make_norm(config, D), make_norm(config, D)

    def forward(self, x: Tensor, places: Places, cache: LayerCache | None = None) -> Tensor:
        """x: (B, T, C) to (B, T, C)."""
        H, K, D = self.config.heads, self.config.kv_heads, self.config.head_size
        B, T, C = x.shape
        qk, v = self.qkv(x).view(B, T, H + 2 * K, D).split([H + K, K], dim=2)       # (B, T, H + K | K, D)
        q, k = self.queries_and_keys(qk, places)
        v = v.transpose(1, 2)                                                       # (B, K, T, D)
        if cache is not None:
            k, v = cache.add(k, v)                                                  # (B, K, S, D)
        mixed = attention(q, k, v, causal=self.config.causal, mask=places.mask)     # (B, H, T, D)
        return self.out(mixed.transpose(1, 2).reshape(B, T, C))                     # (B, T, C)

    def queries_and_keys(self, qk: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        """What `qkv` gave for both, (B, T, H + K, D), as they meet: queries (B, H, T, D) and keys (B, K, T, D)."""
        H, K = self.config.heads, self.config.kv_heads
        if self.config.qk_norm:
            qk = torch.cat([self.q_norm(qk[:, :, :H]), self.k_norm(qk[:, :, H:])], dim=2)
        if places.cos is not None:
            qk = rotate(qk, places.cos, places.sin)         # both at once: small steps are what a short text waits for
        q, k = qk.transpose(1, 2).split([H, K], dim=1)                              # (B, H | K, T, D)
        return q, k


class MLP(nn.Module):
    """The feed-forward network: each token by itself, widened, bent, narrowed.

    swiglu (Shazeer, 2020) multiplies what it widens by a gate; relu2 is the square of relu (So et al., 2021).
    Lesson 04 builds it.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.kind = config.mlp
        inner = 2 * config.d_ff if config.mlp == "swiglu" else config.d_ff          # the gate is a second widening
        self.up = Linear(config.d_model, inner, bias=config.bias)
        self.down = Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, C) to (B, T, C)."""
        wide = self.up(x)                                                           # (B, T, d_ff), twice for swiglu
        if self.kind == "swiglu":
            gate, wide = wide.chunk(2, dim=-1)                                      # (B, T, d_ff) each
            wide = F.silu(gate) * wide
        elif self.kind == "relu2":
            wide = F.relu(wide).square()
        else:
            wide = F.gelu(wide, approximate="tanh" if self.kind == "gelu_tanh" else "none")
        return self.down(wide)                                                      # (B, T, C)


class Block(nn.Module):
    """Attention, then the feed-forward network; each adds to the residual stream and replaces nothing.

    Lesson 04 builds it.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.norm_at = config.norm_at
        self.attention_norm = make_norm(config, config.d_model)
        self.attention = Attention(config)
        self.mlp_norm = make_norm(config, config.d_model)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, places: Places, cache: LayerCache | None = None) -> Tensor:
        """x: (B, T, C) to (B, T, C)."""
        if self.norm_at == "after":
            x = self.attention_norm(x + self.attention(x, places, cache))
            return self.mlp_norm(x + self.mlp(x))
        x = x + self.attention(self.attention_norm(x), places, cache)
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    """Embed the tokens, pass them through equal blocks, and give a score to every token that could come next.

    Lesson 04 builds it.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        C = config.d_model
        self.embed = nn.Embedding(config.vocabulary, C)
        if config.positions == "learned":
            self.position = nn.Embedding(config.context, C)
        if config.token_types:
            self.token_type = nn.Embedding(config.token_types, C)
        self.embed_norm = make_norm(config, C) if config.embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = make_norm(config, C) if config.norm_at == "before" else nn.Identity()
        if config.output == "logits" and not config.tied:
            self.unembed = Linear(C, config.vocabulary, bias=False)
        self.init_weights()
        self.init_tables()

    def init_weights(self) -> None:
        """Small normal weights; those that write into the residual stream smaller still (Radford et al., 2019)."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                writes = name.endswith(("attention.out.weight", "mlp.down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.layers) if writes else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def init_tables(self) -> None:
        """What positions look like; never trained, never saved."""
        config = self.config
        if config.positions in ("rope", "sinusoidal"):
            size = config.head_size if config.positions == "rope" else config.d_model
            angles = rope_angles(config.context, size, config.rope_base)            # (context, D/2 or C/2)
            self.register_buffer("cos", angles.cos(), persistent=False)
            self.register_buffer("sin", angles.sin(), persistent=False)
        if config.positions == "alibi":
            self.register_buffer("slopes", alibi_slopes(config.heads), persistent=False)

    def forward(self, ids: Tensor, cache: KVCache | None = None, padding_mask: Tensor | None = None) -> Tensor:
        """Scores of every possible next token, after every token.

        ids: (B, T) whole numbers below the vocabulary size.
        cache: what earlier calls saw; the new tokens are added to it.
        padding_mask: (B, T), True where a token is real; padding may stand on the left or the right.
        Returns logits (B, T, V), or hidden states (B, T, C) when config.output is "hidden".
        Raises ValueError for wrong shapes, dtypes, ids, and a text longer than the context or the cache's room.
        """
        hidden = self.hidden(ids, cache, padding_mask)
        return self.head(hidden) if self.config.output == "logits" else hidden

    def hidden(self, ids: Tensor, cache: KVCache | None = None, padding_mask: Tensor | None = None,
               keep: list[Tensor] | None = None) -> Tensor:
        """The final residual stream (B, T, C), after the last norm: what `head` reads. Arguments as in forward.

        keep: a list that gets the residual stream (B, T, C) after the embedding and after each block, for `tracing`.
        """
        self.check(ids, padding_mask)
        if cache is None:
            return self.run(ids, None, 0, padding_mask, keep)
        past = cache.length
        seen = cache.extend(self.config, *ids.shape, padding_mask)                  # (B, S) or None
        try:
            return self.run(ids, cache, past, seen, keep)
        except BaseException:               # an interrupted pass leaves slots that only some layers have filled
            cache.truncate(past)
            raise

    def run(self, ids: Tensor, cache: KVCache | None, past: int, seen: Tensor | None,
            keep: list[Tensor] | None) -> Tensor:
        """Embed ids (B, T), pass them through the blocks, and norm: (B, T, C). seen: (B, S), as `places` takes it."""
        B, T = ids.shape
        positions = self.positions(past, T, seen, ids.device)                       # (1 or B, T)
        x = self.embed(ids)                                                         # (B, T, C)
        if self.config.positions == "learned":
            x = x + self.position(positions)
        if self.config.positions == "sinusoidal":
            x = x + torch.cat([self.sin[positions], self.cos[positions]], dim=-1)
        if self.config.token_types:
            x = x + self.token_type.weight[0]                                       # we only ever use one sentence
        x = self.embed_norm(x)
        places = self.places(positions, past, seen)
        if keep is not None:
            keep.append(x)
        for layer, block in enumerate(self.blocks):
            x = block(x, places, cache.layer(layer) if cache is not None else None)             # (B, T, C)
            if keep is not None:
                keep.append(x)
        return self.norm(x)

    def head(self, hidden: Tensor) -> Tensor:
        """Compare each vector with the vector of every token: (..., C) to logits (..., V)."""
        return linear(hidden, self.embed.weight) if self.config.tied else self.unembed(hidden)

    def cache(self, batch: int, capacity: int | None = None) -> KVCache:
        """An empty cache with room for `capacity` tokens (the whole context when None) in each of `batch` rows."""
        capacity = self.config.context if capacity is None else capacity
        return KVCache(self.config, batch, capacity, self.device, next(self.parameters()).dtype)

    @property
    def device(self) -> torch.device:
        """Where the model is, and where its ids must be."""
        return next(self.parameters()).device

    def check(self, ids: Tensor, padding_mask: Tensor | None) -> None:
        """Raise ValueError, in one sentence, for input this model cannot take."""
        if not isinstance(ids, Tensor) or ids.dtype not in (torch.int64, torch.int32):
            kind = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
            raise ValueError(f"ids is {kind}; give whole numbers, such as torch.tensor([[1, 2]]).")
        if ids.ndim != 2 or 0 in ids.shape:
            raise ValueError(f"ids has shape {tuple(ids.shape)}; give (B, T) with at least one token.")
        if ids.shape[1] > self.config.context:
            raise ValueError(f"ids has {ids.shape[1]} tokens; this model sees at most {self.config.context}: "
                             "shorten the text.")
        if ids.device != self.device:
            raise ValueError(f"ids is on {ids.device} and this model on {self.device}; move them: ids.to(device).")
        low, high = (int(edge) for edge in ids.aminmax())
        if low < 0 or high >= self.config.vocabulary:
            raise ValueError(f"ids holds {low if low < 0 else high}; this model's tokens are 0 to "
                             f"{self.config.vocabulary - 1}. Was it made by another tokenizer?")
        if padding_mask is None:
            return
        if not isinstance(padding_mask, Tensor):
            raise ValueError(f"padding_mask is {type(padding_mask).__name__}; give a bool tensor {tuple(ids.shape)}.")
        if padding_mask.dtype != torch.bool or padding_mask.shape != ids.shape:
            raise ValueError(f"padding_mask is {padding_mask.dtype} {tuple(padding_mask.shape)}; give bool "
                             f"{tuple(ids.shape)}, True where a token is real.")

    def positions(self, past: int, T: int, seen: Tensor | None, device: torch.device) -> Tensor:
        """Position of each new token, counted over real tokens only: (1, T), or (B, T) where there is padding."""
        if seen is None:
            return torch.arange(past, past + T, device=device)[None]                # (1, T)
        return (seen.cumsum(dim=1) - 1).clamp(min=0)[:, past:]                      # (B, T)

    def places(self, positions: Tensor, past: int = 0, seen: Tensor | None = None) -> Places:
        """The mask and the rotary angles that all layers of a pass share.

        positions: (1 or B, T), of the new tokens. past: how many came before. seen: (B, S), False where padding stands.
        """
        config, T = self.config, positions.shape[1]
        S = past + T
        mask = None
        if seen is not None or config.positions == "alibi":
            slots = torch.arange(S, device=positions.device)                        # (S,)
            mine = slots[past:, None]                                               # (T, 1)
            mask = (slots <= mine if config.causal else slots >= 0).expand(1, 1, T, S)
            if seen is not None:                                # padding is seen by nobody but itself: no row is empty
                mask = mask & seen[:, None, None, :] | (slots == mine)              # (B, 1, T, S)
        if config.positions == "alibi":
            everyone = positions if past == 0 else self.positions(0, S, seen, positions.device)   # (1 or B, S)
            distance = (positions[:, None, :, None] - everyone[:, None, None, :]).abs()           # (1 or B, 1, T, S)
            bias = -self.slopes[:, None, None] * distance                           # (1 or B, H, T, S)
            mask = bias.masked_fill(~mask, -torch.inf)
        if config.positions != "rope":
            return Places(mask)
        cos, sin = self.cos[positions][:, :, None], self.sin[positions][:, :, None]             # (1 or B, T, 1, D/2)
        return Places(mask, torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1))      # (1 or B, T, 1, D)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Let a model be read in its mode for use, and give it back the mode that it was in, whatever happens."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
