"""Real models, in the course's own Transformer: SmolLM2 (chat), MiniLM (sentence vectors), GPT-2, the Storyteller.

Every file is read as plain numbers: never pickle, which can run code. Those that `assets` fetches are checked by hashes
that the course keeps; GPT-2 is what the Hugging Face hub has under its name, and the course keeps no hash of it.
"""
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from helpers import assets
from helpers.checkpoints import load_model
from helpers.checks import require
from helpers.gguf_file import GGUF
from helpers.modules import swap_linear
from helpers.quantization import Quantized
from helpers.quantized_models import Int4Linear, int8_tokens
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer

if TYPE_CHECKING:
    import tokenizers

    from helpers.reward import RewardModel

STAGES = Path(__file__).with_name("stages")             # of the Storyteller
STORYTELLER, REWARDS = ("base", "instructed", "preferred"), ("reward", "value")
Read = Callable[[str], Tensor]          # gives the tensor of a name, as the file has it


def smollm2(device: str | torch.device = "cpu", bits: int = 32) -> tuple[Transformer, BPETokenizer]:
    """SmolLM2-135M-Instruct (Hugging Face, 2024; Apache-2.0), a chat model, with its tokenizer.

    bits: its weights are shipped in 4 bits; 32 dequantizes them to float32: 135 M parameters, 538 MB. 4 leaves those of
    the blocks as they are and gives the token table, shipped in 8 bits, one scale a row: 95 MB, and faster on a CPU,
    whose kernel rounds scales and minimums to bfloat16. Where there is none, as on a GPU: up to twice that, and slower.
    Raises helpers.assets.AssetError when the file cannot be fetched or is damaged, and ValueError for other bits.
    """
    require(bits in (4, 32), f"bits is {bits!r}; give 32, or 4 as it is shipped (quantized_models.int8 makes 8).")
    file = GGUF(assets.path("smollm2.gguf"))
    config = Config.smollm2()
    model = build(config, gguf_weights(file, config)) if bits == 32 else four_bits(file, config, device)
    return model.to(device), BPETokenizer.from_gguf(file)


def minilm(device: str | torch.device = "cpu") -> tuple[Transformer, "tokenizers.Tokenizer"]:
    """all-MiniLM-L6-v2 (sentence-transformers; Apache-2.0), which makes vectors of texts, with its WordPiece tokenizer.

    model(ids, padding_mask=mask) gives hidden states (B, T, 384); their mean over real tokens is the sentence's vector.
    Raises helpers.assets.AssetError when the files cannot be fetched or are damaged.
    """
    from safetensors import safe_open
    from tokenizers import Tokenizer

    settings = json.loads(assets.path("minilm.config.json").read_text(encoding="utf-8"))
    with safe_open(assets.path("minilm.safetensors"), framework="pt") as file:
        model = from_hugging_face(settings, reader(file), device)
    tokenizer = Tokenizer.from_file(str(assets.path("minilm.tokenizer.json")))
    tokenizer.no_padding()                                  # the caller decides about padding and length
    tokenizer.no_truncation()
    return model, tokenizer


def gpt2(source: str | Path = "gpt2", device: str | torch.device = "cpu") -> tuple[Transformer, BPETokenizer]:
    """GPT-2 (Radford et al., 2019; MIT) with its tokenizer.

    source: "gpt2", "gpt2-medium", "gpt2-large" or "gpt2-xl", fetched once from the Hugging Face hub; or a folder that
    holds its config.json and model.safetensors.
    Raises ValueError for an unknown name, FileNotFoundError when a folder lacks a file, and ConnectionError when the
    hub does not answer.
    """
    if Path(source).is_dir():
        folder = Path(source)
    else:
        try:
            Config.gpt2(str(source))                        # raises for an unknown size
        except ValueError as error:
            raise ValueError(f"source is {str(source)!r}, and there is no such folder; as a {error}") from error
        folder = download_gpt2(str(source))
    return from_folder(folder, device), BPETokenizer.from_tiktoken("gpt2")


def storyteller(stage: str = "base", device: str | torch.device = "cpu") -> tuple[Transformer, BPETokenizer]:
    """The course's own small model at a stage of its training, with its tokenizer, as `helpers.storyteller` makes it.

    stage: "base" goes on with stories of Tales; "instructed" answers requests for them; "preferred" answers as Robin
    likes it, by PPO. Stored in float16 beside this file, float32 here; `python3 course.py stages` makes them again.
    Raises ValueError for an unknown stage, and CheckpointError for a damaged file.
    """
    if stage not in STORYTELLER:
        raise ValueError(f"stage is {stage!r}; choose one of {', '.join(STORYTELLER)}.")
    return load_model(STAGES / f"{stage}.safetensors", device), BPETokenizer.load(STAGES / "tokenizer.json")


def reward_models(device: str | torch.device = "cpu") -> tuple["RewardModel", "RewardModel"]:
    """A reward model that has learned Robin's taste, as `helpers.preference_runs` makes it, and its value model.

    Raises CheckpointError for a damaged file.
    """
    from helpers.reward import RewardModel

    reward, value = (load_model(STAGES / f"{name}.safetensors", device, RewardModel.new) for name in REWARDS)
    return reward, value


def download_gpt2(size: str) -> Path:
    """The folder that holds one size of GPT-2, fetched from the hub at its first use."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(f"openai-community/{size}", allow_patterns=["config.json", "model.safetensors"]))
    except LocalEntryNotFoundError as error:
        raise ConnectionError(f"{size} is not on this machine and the Hugging Face hub did not answer. Check the "
                              "network, or give a folder that holds its config.json and model.safetensors.") from error


def from_folder(folder: str | Path, device: str | torch.device = "cpu") -> Transformer:
    """A GPT-2, Llama or BERT from a folder in Hugging Face's form: config.json and model.safetensors.

    The weights become float32, whatever they are in the file.
    Raises FileNotFoundError when one is missing, and ValueError when one is damaged, when they do not belong together,
    and for a model that this course's Transformer is not.
    """
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).exists():
            pickles = [file.name for end in ("bin", "pt", "pth") for file in sorted(folder.glob(f"*.{end}"))]
            warning = f" {pickles[0]} is a pickle, which can run code when it is opened." if pickles else ""
            raise FileNotFoundError(f"{folder} holds no {name}; it needs config.json and model.safetensors.{warning}")
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'} is not JSON ({error}). Fetch it again.") from error
    try:
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            return from_hugging_face(settings, reader(file), device)
    except SafetensorError as error:
        raise ValueError(f"{folder / 'model.safetensors'} is not a whole file of this model's weights ({error}). "
                         "Fetch it again.") from error


def reader(file) -> Read:
    """Read tensors by their bare name: GPT-2's files come with and without a "transformer." before each."""
    names = set(file.keys())
    prefix = next((p for p in ("transformer.", "bert.") if any(name.startswith(p) for name in names)), "")
    return lambda name: file.get_tensor(prefix + name if prefix + name in names else name).float()


def from_hugging_face(settings: dict, read: Read, device: str | torch.device = "cpu") -> Transformer:
    """A Transformer from the settings of a config.json and a function that reads a tensor by its name."""
    kinds = {"gpt2": (gpt2_config, gpt2_weights), "llama": (llama_config, llama_weights),
             "bert": (bert_config, bert_weights)}
    kind = settings.get("model_type")
    if kind not in kinds:
        raise ValueError(f"model_type is {kind!r}; this course's Transformer can be one of {', '.join(kinds)}.")
    make_config, weights = kinds[kind]
    try:
        config = make_config(settings)
    except KeyError as error:
        raise ValueError(f"config.json has no {error}, which model_type {kind!r} needs; fetch it again.") from error
    return build(config, weights(read, config), device)


def require_settings(settings: dict, **known: tuple) -> None:
    """Raise ValueError for a setting with a value that this course's Transformer would have to ignore.

    known: for each setting the values that we do as transformers does; the first is what a missing one means.
    """
    for name, values in known.items():
        value = settings.get(name, values[0])
        if value not in values:
            raise ValueError(f"{name} is {value!r} in config.json; this course's Transformer does only "
                             f"{' or '.join(map(repr, values))}. Choose another model.")


def build(config: Config, weights: dict[str, Tensor], device: str | torch.device = "cpu") -> Transformer:
    """A Transformer that takes these weights as its own, without a copy, ready to be used (not trained)."""
    with SkipInit():                                        # memory that is never written to is never taken
        model = Transformer(config)
    for name, expected in model.state_dict().items():
        if weights[name].shape != expected.shape:
            raise ValueError(f"{name} is {tuple(weights[name].shape)} in the file and {tuple(expected.shape)} by the "
                             "settings: they do not belong together. Fetch both again.")
    model.load_state_dict(weights, strict=True, assign=True)
    return model.to(device).eval().requires_grad_(False)


class SkipInit(TorchFunctionMode):
    """While active, torch.nn.init does nothing: the stored weights take the place of those it would draw."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", None) == "torch.nn.init":
            return (kwargs or {}).get("tensor", args[0] if args else None)
        return function(*args, **(kwargs or {}))


# From the names in a file to the names of `Transformer` ---------------------------------------------------------------


GGUF_PARTS = {"attention.qkv": ("attn_q", "attn_k", "attn_v"), "attention.out": ("attn_output",),
              "mlp.up": ("ffn_gate", "ffn_up"), "mlp.down": ("ffn_down",)}
GGUF_NORMS = {"attention_norm": "attn_norm", "mlp_norm": "ffn_norm"}


def gguf_weights(file: GGUF, config: Config) -> dict[str, Tensor]:
    """Weights of a Llama as llama.cpp ships it."""
    weights = gguf_vectors(file, config)
    for i in range(config.layers):
        for name in GGUF_PARTS:
            weights[f"blocks.{i}.{name}.weight"], = joined(lambda part: [file.tensor(part)], config, i, name)
    return weights


def gguf_vectors(file: GGUF, config: Config) -> dict[str, Tensor]:
    """The token table and the norms."""
    weights = {"embed.weight": file.tensor("token_embd.weight"), "norm.weight": file.tensor("output_norm.weight")}
    return weights | {f"blocks.{i}.{ours}.weight": file.tensor(f"blk.{i}.{theirs}.weight")
                      for i in range(config.layers) for ours, theirs in GGUF_NORMS.items()}


def joined(read: Callable[[str], Sequence[Tensor]], config: Config, layer: int, name: str) -> list[Tensor]:
    """One of our matrices from those that the file has, of each of which `read` gives one tensor or several."""
    heads = {"attn_q": config.heads, "attn_k": config.kv_heads}
    parts = [[unpermute(rows, heads[part]) if part in heads else rows for rows in read(f"blk.{layer}.{part}.weight")]
             for part in GGUF_PARTS[name]]
    return [torch.cat(rows) for rows in zip(*parts)]


def four_bits(file: GGUF, config: Config, device: str | torch.device) -> Transformer:
    """A Llama in the 4 bits in which llama.cpp ships it, with the matrices of its blocks on a device."""
    def read(name: str) -> list[Tensor]:
        stored = file.quantized(name)
        return [part.to(device) for part in (stored.codes, stored.scales, stored.minimums)]

    def matrix(name: str, module: nn.Linear) -> Int4Linear:
        _, layer, kind = name.split(".", 2)                 # such as blocks.0.attention.qkv
        return Int4Linear(Quantized(*joined(read, config, int(layer), kind), bits=4))

    with SkipInit():                                        # matrices that are never written to never take memory
        model = Transformer(config)
    matrices = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    loaded = model.load_state_dict(gguf_vectors(file, config), strict=False, assign=True)
    wrong = matrices ^ {*loaded.missing_keys} | {*loaded.unexpected_keys}               # the matrices are filled next
    require(not wrong, f"{file.path} and its settings do not belong together: see {', '.join(sorted(wrong))}.")
    swap_linear(int8_tokens(model), matrix)
    return model.eval().requires_grad_(False)


def unpermute(rows: Tensor, heads: int) -> Tensor:
    """llama.cpp rotates neighbours (0, 1), (2, 3), ...; we rotate halves (0, D/2), (1, D/2 + 1), ...: put rows back.

    rows: (heads x D, ...) to the same shape, rows reordered within each head.
    """
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def llama_config(settings: dict) -> Config:
    """Config of a Llama (Touvron et al., 2023) from its config.json."""
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    settings = settings | {"rope_type": rope.get("type", "default")} | rope
    require_settings(settings, hidden_act=("silu",), attention_bias=(False,), mlp_bias=(False,), rope_type=("default",),
                     head_dim=(settings["hidden_size"] // settings["num_attention_heads"], None),
                     partial_rotary_factor=(1.0,))
    return Config(vocabulary=settings["vocab_size"], context=settings["max_position_embeddings"],
                  d_model=settings["hidden_size"], layers=settings["num_hidden_layers"],
                  heads=settings["num_attention_heads"], kv_heads=settings.get("num_key_value_heads"),
                  d_ff=settings["intermediate_size"], norm_eps=settings["rms_norm_eps"],
                  rope_base=settings.get("rope_theta", 10_000.0), tied=settings.get("tie_word_embeddings", False))


def llama_weights(read: Read, config: Config) -> dict[str, Tensor]:
    """Weights of a Llama as transformers names them."""
    weights = {"embed.weight": read("model.embed_tokens.weight"), "norm.weight": read("model.norm.weight")}
    if not config.tied:
        weights["unembed.weight"] = read("lm_head.weight")
    for i in range(config.layers):
        def layer(name, i=i):
            return read(f"model.layers.{i}.{name}.weight")
        block = {
            "attention_norm.weight": layer("input_layernorm"),
            "attention.qkv.weight": torch.cat([layer(f"self_attn.{part}_proj") for part in "qkv"]),
            "attention.out.weight": layer("self_attn.o_proj"),
            "mlp_norm.weight": layer("post_attention_layernorm"),
            "mlp.up.weight": torch.cat([layer("mlp.gate_proj"), layer("mlp.up_proj")]),
            "mlp.down.weight": layer("mlp.down_proj"),
        }
        weights |= {f"blocks.{i}.{name}": tensor for name, tensor in block.items()}
    return weights


def gpt2_config(settings: dict) -> Config:
    """Config of a GPT-2 from its config.json."""
    require_settings(settings, activation_function=("gelu_new", "gelu_pytorch_tanh"), scale_attn_weights=(True,),
                     scale_attn_by_inverse_layer_idx=(False,), add_cross_attention=(False,),
                     tie_word_embeddings=(True,))
    return Config(vocabulary=settings["vocab_size"], context=settings["n_positions"], d_model=settings["n_embd"],
                  layers=settings["n_layer"], heads=settings["n_head"], d_ff=settings.get("n_inner"), norm="layernorm",
                  norm_eps=settings["layer_norm_epsilon"], mlp="gelu_tanh", positions="learned", bias=True)


def gpt2_weights(read: Read, config: Config) -> dict[str, Tensor]:
    """Weights of a GPT-2 as transformers names them; its matrices are stored (in, out), ours are (out, in)."""
    weights = {"embed.weight": read("wte.weight"), "position.weight": read("wpe.weight")}
    weights |= {f"norm.{kind}": read(f"ln_f.{kind}") for kind in ("weight", "bias")}
    names = {"attention_norm": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
             "mlp_norm": "ln_2", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
    for i in range(config.layers):
        for ours, theirs in names.items():
            weights[f"blocks.{i}.{ours}.weight"] = read(f"h.{i}.{theirs}.weight").t().contiguous()
            weights[f"blocks.{i}.{ours}.bias"] = read(f"h.{i}.{theirs}.bias")
    return weights


def bert_config(settings: dict) -> Config:
    """Config of a BERT (Devlin et al., 2018) from its config.json."""
    require_settings(settings, hidden_act=("gelu",), position_embedding_type=("absolute",), is_decoder=(False,),
                     add_cross_attention=(False,))
    return Config(vocabulary=settings["vocab_size"], context=settings["max_position_embeddings"],
                  d_model=settings["hidden_size"], layers=settings["num_hidden_layers"],
                  heads=settings["num_attention_heads"], d_ff=settings["intermediate_size"], norm="layernorm",
                  norm_at="after", norm_eps=settings["layer_norm_eps"], mlp="gelu", positions="learned", bias=True,
                  causal=False, token_types=settings["type_vocab_size"], embedding_norm=True, output="hidden")


def bert_weights(read: Read, config: Config) -> dict[str, Tensor]:
    """Weights of a BERT as transformers names them; the pooler, which we do not use, is left out."""
    tables = {"embed": "word_embeddings", "position": "position_embeddings", "token_type": "token_type_embeddings"}
    weights = {f"{ours}.weight": read(f"embeddings.{theirs}.weight") for ours, theirs in tables.items()}
    weights |= {f"embed_norm.{kind}": read(f"embeddings.LayerNorm.{kind}") for kind in ("weight", "bias")}
    names = {"attention.out": "attention.output.dense", "attention_norm": "attention.output.LayerNorm",
             "mlp.up": "intermediate.dense", "mlp.down": "output.dense", "mlp_norm": "output.LayerNorm"}
    for i in range(config.layers):
        for kind in ("weight", "bias"):
            qkv = [read(f"encoder.layer.{i}.attention.self.{part}.{kind}") for part in ("query", "key", "value")]
            weights[f"blocks.{i}.attention.qkv.{kind}"] = torch.cat(qkv)
            for ours, theirs in names.items():
                weights[f"blocks.{i}.{ours}.{kind}"] = read(f"encoder.layer.{i}.{theirs}.{kind}")
    return weights
