"""Every choice that makes one transformer different from another, and the choices of those that the course runs."""
from dataclasses import dataclass
from typing import Literal, get_args, get_origin


@dataclass(frozen=True)
class Config:
    """Every choice that makes one transformer different from another. The defaults are those of 2024-26.

    Raises ValueError, naming the field, when the choices contradict each other.
    """
    vocabulary: int
    context: int                          # the longest text it may see, in tokens
    d_model: int                          # C, the width of a token's vector
    layers: int
    heads: int                            # H
    kv_heads: int | None = None           # K: groups of heads share keys and values; None gives each head its own
    d_ff: int | None = None               # inner width of the feed-forward network; None is 4 d_model
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_at: Literal["before", "after"] = "before"      # of each sublayer (GPT-2 and later), or after its addition
    norm_eps: float = 1e-5
    mlp: Literal["swiglu", "gelu", "gelu_tanh", "relu2"] = "swiglu"
    positions: Literal["rope", "learned", "sinusoidal", "alibi", "none"] = "rope"
    rope_base: float = 10_000.0
    bias: bool = False
    qk_norm: bool = False                 # normalise queries and keys, head by head
    causal: bool = True                   # a token sees only itself and what came before
    tied: bool = True                     # the table that embeds tokens also reads them out
    token_types: int = 0                  # BERT: which of two sentences a token belongs to
    embedding_norm: bool = False          # BERT: one more norm, before the first block
    output: Literal["logits", "hidden"] = "logits"

    def __post_init__(self):
        for name, kind in type(self).__annotations__.items():
            value = getattr(self, name)
            if kind in (int, int | None) and (isinstance(value, bool) or not isinstance(value, kind)):
                raise ValueError(f"{name} is {value!r}; give a whole number.")
        for name, usual in (("kv_heads", self.heads), ("d_ff", 4 * self.d_model)):
            object.__setattr__(self, name, usual if getattr(self, name) is None else getattr(self, name))
        for name, kind in type(self).__annotations__.items():
            value, choices = getattr(self, name), get_args(kind)
            if kind in (int, int | None) and value < (name != "token_types"):
                raise ValueError(f"{name} is {value}; it must be at least 1.")
            if get_origin(kind) is Literal and value not in choices:
                raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
        if self.d_model % self.heads:
            raise ValueError(f"d_model is {self.d_model}; it must be a multiple of heads, {self.heads}.")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads is {self.kv_heads}; it must divide heads, {self.heads}.")
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"head size d_model / heads is {self.head_size}; rope needs an even one.")
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"d_model is {self.d_model}; sinusoidal positions need an even one.")

    @property
    def head_size(self) -> int:
        """D, the size of one query, key or value."""
        return self.d_model // self.heads

    @classmethod
    def smollm2(cls) -> "Config":
        """SmolLM2-135M (Hugging Face, 2024): a small Llama."""
        return cls(vocabulary=49_152, context=8_192, d_model=576, layers=30, heads=9, kv_heads=3, d_ff=1_536,
                   rope_base=100_000.0)

    @classmethod
    def gpt2(cls, size: str = "gpt2") -> "Config":
        """GPT-2 (Radford et al., 2019): "gpt2", "gpt2-medium", "gpt2-large" or "gpt2-xl"."""
        sizes = {"gpt2": (768, 12, 12), "gpt2-medium": (1_024, 24, 16), "gpt2-large": (1_280, 36, 20),
                 "gpt2-xl": (1_600, 48, 25)}
        if size not in sizes:
            raise ValueError(f"size is {size!r}; choose one of {', '.join(sizes)}.")
        d_model, layers, heads = sizes[size]
        return cls(vocabulary=50_257, context=1_024, d_model=d_model, layers=layers, heads=heads, norm="layernorm",
                   mlp="gelu_tanh", positions="learned", bias=True)

    @classmethod
    def minilm(cls) -> "Config":
        """all-MiniLM-L6-v2 (Wang et al., 2020), an encoder: a BERT of six layers."""
        return cls(vocabulary=30_522, context=512, d_model=384, layers=6, heads=12, d_ff=1_536, norm="layernorm",
                   norm_at="after", norm_eps=1e-12, mlp="gelu", positions="learned", bias=True, causal=False,
                   token_types=2, embedding_norm=True, output="hidden")

    @classmethod
    def storyteller(cls, vocabulary: int) -> "Config":
        """The course's own small model, which learns to tell stories in about a minute on two CPU cores."""
        return cls(vocabulary=vocabulary, context=256, d_model=128, layers=3, heads=4, mlp="relu2", qk_norm=True)
