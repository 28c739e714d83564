"""What a model has and what it costs, from its `Config` alone: parameters, FLOPs, and bytes of memory.

    sum(parameters(Config.smollm2()).values())          # 134,515,008, without making the model
    flops(Config.smollm2(), tokens=512)                 # of one forward pass, by part
    training_bytes(Config.smollm2(), tokens=512, batch=8)

Each function gives a dict, part by part. Sizes as in `helpers.transformer`; L is the number of layers, F is d_ff.
"""
import math
from dataclasses import dataclass, replace

from helpers.config import Config

WEIGHT, GRADIENT, MOMENTS = 4, 4, 8                         # bytes for each parameter in training


@dataclass(frozen=True)
class Known:
    """A model whose size was published.

    published: its parameters, as the source says, rounded to `rounded_to`. left_out: those of its published file that
    the course's Transformer does not have.
    """
    config: Config
    published: int
    source: str
    rounded_to: int = 1
    left_out: int = 0


GPT2_SOURCE = "OpenAI's README of gpt-2, 2019"
GPT3 = replace(Config.gpt2(), context=2_048, d_model=12_288, layers=96, heads=96, kv_heads=96, d_ff=49_152)
LLAMA3_8B = Config(128_256, 8_192, d_model=4_096, layers=32, heads=32, kv_heads=8, d_ff=14_336, rope_base=500_000.0,
                   tied=False)

KNOWN: dict[str, Known] = {
    "MiniLM": Known(Config.minilm(), 22_713_216, "the weights' file (sentence-transformers)", left_out=147_840),
    "GPT-2 small": Known(Config.gpt2(), 124_000_000, GPT2_SOURCE, 1_000_000),
    "SmolLM2-135M": Known(Config.smollm2(), 134_515_008, "the weights' file (Hugging Face, 2024)"),
    "GPT-2 medium": Known(Config.gpt2("gpt2-medium"), 355_000_000, GPT2_SOURCE, 1_000_000),
    "GPT-2 large": Known(Config.gpt2("gpt2-large"), 774_000_000, GPT2_SOURCE, 1_000_000),
    "GPT-2 xl": Known(Config.gpt2("gpt2-xl"), 1_558_000_000, GPT2_SOURCE, 1_000_000),
    "Llama 3 8B": Known(LLAMA3_8B, 8_030_261_248, "Meta's weights on Hugging Face, 2024"),
    "GPT-3": Known(GPT3, 174_600_000_000, "Brown et al., 2020, table D.1", 100_000_000),
    "Llama 3.1 405B": Known(replace(LLAMA3_8B, context=131_072, d_model=16_384, layers=126, heads=128, d_ff=53_248),
                            405_853_388_800, "Meta's weights on Hugging Face, 2024"),
}


@dataclass(frozen=True)
class Precision:
    """How many bytes one number takes: a weight that is only read, and a number that is worked out."""
    weight: float
    other: int


PRECISIONS = {"float32": Precision(4, 4), "bfloat16": Precision(2, 2),
              "4 bits": Precision(20 / 32, 2)}              # llama.cpp's Q4_1: 32 weights, their scale and least in 20


def parameters(config: Config) -> dict[str, int]:
    """How many numbers a model learns, by part; together those of `Transformer(config)`. Lesson 04c builds it.

    tokens: the table of token vectors. places: learned positions and token types. read-out: a table of its own for the
    logits, 0 where the token table serves. Biases are counted with their matrix.
    """
    C, L, H, K, D, F = sizes(config)
    norm = 2 if config.norm == "layernorm" else 1           # a scale for each number, and a shift
    norms = 2 * L + (config.norm_at == "before") + config.embedding_norm
    wide = 2 * F if config.mlp == "swiglu" else F           # the gate is a second widening
    bias = int(config.bias)
    return {
        "tokens": config.vocabulary * C,
        "places": ((config.context if config.positions == "learned" else 0) + config.token_types) * C,
        "attention": L * ((H + 2 * K) * D * (C + bias) + C * (H * D + bias)),
        "MLP": L * (wide * (C + bias) + C * (F + bias)),
        "norms": norm * (norms * C + 2 * L * D * config.qk_norm),
        "read-out": 0 if config.tied or config.output == "hidden" else config.vocabulary * C,
    }


def flops(config: Config, tokens: int, batch: int = 1, past: int = 0) -> dict[str, int]:
    """Operations on numbers (FLOPs) of one forward pass, by part: a multiplication and an addition are two.

    Lesson 04c builds it. tokens: T new ones in each of `batch` texts, after `past` that a KV cache holds; they may
    exceed the context. Only matrix products are counted, as torch.utils.flop_counter does, and scores that a causal
    mask hides are counted too.
    Raises ValueError for no tokens, no texts or a negative past.
    """
    require(tokens=tokens, batch=batch)
    if past < 0:
        raise ValueError(f"past is {past}; give 0 or more, the tokens that the cache holds.")
    C, L, H, K, D, F = sizes(config)
    each = 2 * batch * tokens                               # a multiplication and an addition for each token
    return {
        "projections": each * L * C * D * (H + 2 * K + H),  # q, k and v, out
        "MLP": each * L * C * F * (3 if config.mlp == "swiglu" else 2),
        "scores and mixing": each * L * 2 * H * D * (past + tokens),
        "logits": each * C * config.vocabulary if config.output == "logits" else 0,
    }


def training_flops(config: Config, tokens: int, batch: int = 1) -> int:
    """Floating-point operations of a forward pass and the backward pass after it, which takes twice as many."""
    return 3 * sum(flops(config, tokens, batch).values())


def kv_cache_bytes(config: Config, tokens: int, batch: int = 1, number_bytes: int = 4) -> int:
    """Memory of the keys and values of `tokens` tokens in each of `batch` texts. Lesson 04c builds it.

    number_bytes: 4 for float32, 2 for bfloat16. The tokens may exceed the context.
    Raises ValueError for an encoder, which has no cache, and for no tokens, texts or bytes.
    """
    require(tokens=tokens, batch=batch, number_bytes=number_bytes)
    if not config.causal:
        raise ValueError("config.causal is False: in an encoder old tokens see new ones, so nothing can be kept.")
    return 2 * config.layers * config.kv_heads * config.head_size * tokens * batch * number_bytes


def activations(config: Config, tokens: int, batch: int = 1) -> dict[str, int]:
    """How many numbers a forward pass keeps for the backward pass, by part, the loss included. Lesson 04c builds it.

    Counted for the course's Transformer on a CPU, whose attention never holds all scores at once; tables that all texts
    share are left out, and so is what exists for a moment only. Other code keeps more or less (a GPU's RMSNorm two
    thirds). Korthikanti et al. (2022) count a transformer that does hold the scores.
    Raises ValueError for no tokens or no texts.
    """
    require(tokens=tokens, batch=batch)
    C, L, H, K, D, F = sizes(config)
    each = batch * tokens
    per_norm = 2 * C + 2 if config.norm == "layernorm" else 3 * C + 1       # in, (scaled,) out; and its scales
    norms = 2 * L + (config.norm_at == "before") + config.embedding_norm
    attention = (H + 2 * K) * D + H * D + H                 # q, k, v; what was mixed; each row's sum
    attention += (H + K) * D if config.positions == "rope" or config.qk_norm else 0      # q and k, turned
    if config.qk_norm:                                      # q and k scaled, or their means; and their scales
        attention += (H + K) * (2 if config.norm == "layernorm" else D + 1)
    bent = 4 * F if config.mlp == "swiglu" else 2 * F       # gate, wide, bent, their product; or wide, bent
    return {"norms": each * norms * per_norm, "attention": each * L * attention, "MLP": each * L * bent,
            "log-probabilities": each * config.vocabulary if config.output == "logits" else 0}


def training_bytes(config: Config, tokens: int, batch: int = 1, number_bytes: int = 4) -> dict[str, int]:
    """Memory to train with Adam, by what holds it. Lesson 04c builds it.

    number_bytes: of an activation, 4 or 2; weights, gradients and the two moments stay float32, as autocast leaves
    them: 16 bytes a parameter. (Half-precision weights and gradients beside a float32 copy of the weights come to 16 as
    well: Rajbhandari et al., 2020.)
    Raises ValueError for no tokens, texts or bytes.
    """
    require(number_bytes=number_bytes)
    count = sum(parameters(config).values())
    return {"weights": WEIGHT * count, "gradients": GRADIENT * count, "Adam's moments": MOMENTS * count,
            "activations": number_bytes * sum(activations(config, tokens, batch).values())}


def running_bytes(config: Config, tokens: int, batch: int = 1, precision: str = "bfloat16") -> dict[str, int]:
    """Memory to write with a model: its weights, and a KV cache of `tokens` tokens in each of `batch` texts.

    precision: of `PRECISIONS`; "4 bits" is for the weights alone, the cache is then in bfloat16.
    Raises ValueError for an unknown precision, no tokens or no texts. An encoder has weights and no cache.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; choose one of {', '.join(PRECISIONS)}.")
    require(tokens=tokens, batch=batch)
    size = PRECISIONS[precision]
    cache = kv_cache_bytes(config, tokens, batch, size.other) if config.causal else 0
    return {"weights": round(size.weight * sum(parameters(config).values())), "KV cache": cache}


def sizes(config: Config) -> tuple[int, int, int, int, int, int]:
    """C, L, H, K, D and F."""
    return config.d_model, config.layers, config.heads, config.kv_heads, config.head_size, config.d_ff


def require(least: int = 1, **counts: int) -> None:
    """Raise ValueError, with its name, for a count below `least`, or one that is no whole number."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise ValueError(f"{name} is {count!r}; give a whole number, at least {least}.")


def require_above_0(or_0: bool = False, **numbers: float) -> None:
    """Raise ValueError, with its name, for a number that is not finite or not above 0; or_0: 0 will do too."""
    for name, number in numbers.items():
        if not (0 < number < math.inf or or_0 and number == 0):
            raise ValueError(f"{name} is {number!r}; give a number{', 0 or more' if or_0 else ' above 0'}.")
