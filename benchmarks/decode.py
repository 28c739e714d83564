"""SmolLM2 in our Transformer against transformers' Llama: the same float32 weights, one text, two kinds of work.

The peer is at its best on a CPU: its default attention (SDPA) and its default cache, which is faster here than the
static one, greedy, and in prefill no logits but the last token's. Prefill with `generate` is what its users call; with
`forward` it is the model alone. Both end in the same matrix products, which are most of the time.
"""
import torch
from torch import Tensor

from benchmarks.harness import Row, compare
from helpers import pretrained
from helpers.sampling import generate
from helpers.transformer import Transformer

PROMPT = "The capital of France is Paris. The capital of Italy is"
NEW_TOKENS = 64
PREFILL = 512


def run() -> list[Row]:
    model, tokenizer = pretrained.smollm2()
    peer = same_model(model)
    prompt = torch.tensor([tokenizer.encode(PROMPT)])                               # (1, T)
    long = torch.randint(model.config.vocabulary, (1, PREFILL), generator=torch.Generator().manual_seed(0))
    check_same_work(model, peer, prompt, long)
    return [
        compare(f"SmolLM2 float32, write {NEW_TOKENS} tokens", "transformers, generate",
                ours=lambda: generate(model, prompt, NEW_TOKENS, temperature=0),
                theirs=lambda: peer_generate(peer, prompt, NEW_TOKENS),
                work=NEW_TOKENS, unit="tokens/s", target=1.3, repetitions=7),
        compare(f"SmolLM2 float32, read {PREFILL} tokens", "transformers, generate",
                ours=lambda: generate(model, long, 1, temperature=0), theirs=lambda: peer_generate(peer, long, 1),
                work=PREFILL, unit="tokens/s", target=1.3, repetitions=11),
        compare(f"SmolLM2 float32, read {PREFILL} tokens, the model alone", "transformers, forward",
                ours=lambda: prefill(model, long), theirs=lambda: peer_prefill(peer, long),
                work=PREFILL, unit="tokens/s", target=1.3, repetitions=11),
    ]


def check_same_work(model: Transformer, peer: torch.nn.Module, prompt: Tensor, long: Tensor) -> None:
    """Raise AssertionError unless both write the same tokens and give the same logits."""
    if generate(model, prompt, NEW_TOKENS, temperature=0) != peer_generate(peer, prompt, NEW_TOKENS).tolist():
        raise AssertionError("ours and transformers' tokens differ: their speeds cannot be compared.")
    torch.testing.assert_close(prefill(model, long), peer_prefill(peer, long), atol=1e-4, rtol=0)


@torch.inference_mode()
def prefill(model: Transformer, ids: Tensor) -> Tensor:
    """Read ids (1, T) into a new cache; logits of the last token, (1, V)."""
    return model.head(model.hidden(ids, model.cache(1, ids.shape[1]))[:, -1])       # (1, T, C) -> (1, C) -> (1, V)


@torch.inference_mode()
def peer_prefill(peer: torch.nn.Module, ids: Tensor) -> Tensor:
    """The same with transformers."""
    return peer(ids, use_cache=True, logits_to_keep=1).logits[:, -1]                # (1, V)


def peer_generate(peer: torch.nn.Module, ids: Tensor, new_tokens: int) -> Tensor:
    """The likeliest next tokens, (1, new_tokens): no token ends the text, as in ours."""
    written = peer.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens)
    return written[:, ids.shape[1]:]


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
