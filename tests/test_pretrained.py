"""Real weights in the course's Transformer give what transformers gives; what it cannot be is refused in a sentence."""
import json
import os
import pydoc_data.topics
import shutil
import subprocess
import sys
from functools import partial

import pytest
import torch

from helpers import assets, pretrained

transformers = pytest.importorskip("transformers")

DEVICES = ["cpu", "cuda"] if os.environ.get("COURSE_DEVICE") == "cuda" else ["cpu"]
FRANCE = "The capital of France is"


def largest_difference(ours, theirs):
    return (ours.cpu() - theirs.cpu()).abs().max().item()


# SmolLM2 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2():
    return pretrained.smollm2()


@pytest.fixture(scope="module")
def peer():
    """SmolLM2 as transformers itself reads it from the same file, with nothing of ours in between."""
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = transformers.LlamaConfig(
        vocab_size=49_152, hidden_size=576, intermediate_size=1_536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8_192, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0})
    with torch.device("meta"):
        empty = transformers.LlamaForCausalLM(config)
    read = load_gguf_checkpoint(str(assets.path("smollm2.gguf")), return_tensors=True, model_to_load=empty)
    model = transformers.LlamaForCausalLM(config)
    missing = model.load_state_dict(read["tensors"], strict=False).missing_keys
    assert missing == ["lm_head.weight"]                                            # which is the embedding
    return model.eval()


PROMPTS = [FRANCE, "def fibonacci(n):\n    ", "1 + 1 = 2, 2 + 2 = 4, 3 + 3 =",
           "<|im_start|>user\nWho wrote Hamlet?<|im_end|>\n<|im_start|>assistant\n", "Être ou ne pas être 🌍"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_smollm2_gives_the_logits_of_transformers(smollm2, peer, prompt, device):
    model, tokenizer = smollm2
    ids = torch.tensor([tokenizer.encode(prompt, allowed_special="all")])
    with torch.inference_mode():
        assert largest_difference(model.to(device)(ids.to(device)), peer(ids).logits) < 1e-4


@torch.inference_mode()
def test_smollm2_agrees_over_a_thousand_tokens_and_through_its_cache(smollm2, peer):
    model, tokenizer = smollm2
    ids = torch.tensor([tokenizer.encode(pydoc_data.topics.topics["types"])[:1_200]])
    model, cache = model.cpu(), model.cache(1, 1_200)
    theirs = peer.model(ids).last_hidden_state
    read = torch.cat([model.hidden(piece, cache) for piece in ids.split([600, 599, 1], dim=1)], dim=1)
    assert ids.shape == (1, 1_200)
    some = torch.arange(1_199, 0, -12)                                               # logits of all would take 236 MB
    assert largest_difference(model.head(read[:, some]), peer.lm_head(theirs[:, some])) < 1e-4


@pytest.mark.parametrize("side", ["left", "right"])
@torch.inference_mode()
def test_smollm2_agrees_on_a_padded_batch(smollm2, peer, side):
    model, tokenizer = smollm2
    rows = [tokenizer.encode(prompt) for prompt in (FRANCE, "Once upon a time there was a small")]
    longest = max(map(len, rows))
    fill = [(longest - len(row)) * [2] for row in rows]
    ids = torch.tensor([pad + row if side == "left" else row + pad for pad, row in zip(fill, rows)])
    mask = torch.tensor([[(i >= len(pad)) if side == "left" else (i < longest - len(pad)) for i in range(longest)]
                         for pad in fill])
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    theirs = peer(ids, attention_mask=mask.long(), position_ids=positions).logits
    assert mask.sum() < mask.numel()
    assert largest_difference(model.cpu()(ids, padding_mask=mask)[mask], theirs[mask]) < 1e-4


@torch.inference_mode()
def test_the_capital_of_france(smollm2):
    model, tokenizer = smollm2
    probabilities = model.cpu()(torch.tensor([tokenizer.encode(FRANCE)]))[0, -1].softmax(dim=-1)
    assert tokenizer.decode([int(probabilities.argmax())]) == " Paris"
    assert probabilities.max().item() == pytest.approx(0.773, abs=5e-4)


def test_smollm2_is_ready_to_use_and_takes_what_it_must(smollm2):
    model, _ = smollm2
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in model.parameters())
    assert not model.training


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory of a process is read from /proc")
def test_loading_smollm2_takes_at_most_1500_mb():
    program = "from helpers import pretrained; pretrained.smollm2(); print(open('/proc/self/status').read())"
    status = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    kilobytes = int(status.split("VmHWM:")[1].split()[0])           # the peak of this process, not of its parent
    assert kilobytes * 1024 < 1.5e9


# MiniLM --------------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_minilm_gives_the_hidden_states_of_transformers():
    from safetensors.torch import load_file

    model, tokenizer = pretrained.minilm()
    config = transformers.BertConfig(**json.loads(assets.path("minilm.config.json").read_text()))
    peer = transformers.BertModel(config, add_pooling_layer=False).eval()
    missing, _ = peer.load_state_dict(load_file(assets.path("minilm.safetensors")), strict=False)
    assert missing == []
    texts = ["A cat sat on the mat.", "Kittens like to sit on small carpets in the sun.", "GDP fell."]
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(texts)
    ids = torch.tensor([one.ids for one in encoded])
    mask = torch.tensor([one.attention_mask for one in encoded]).bool()
    theirs = peer(ids, attention_mask=mask.long()).last_hidden_state
    hidden = model(ids, padding_mask=mask)
    assert largest_difference(hidden[mask], theirs[mask]) < 1e-5
    cat, kitten, money = [row[real].mean(dim=0) for row, real in zip(hidden, mask)]
    assert torch.cosine_similarity(cat, kitten, dim=0) > 0.3 > torch.cosine_similarity(cat, money, dim=0)


def test_minilm_leaves_padding_and_length_to_the_caller():
    _, tokenizer = pretrained.minilm()
    assert len(tokenizer.encode("one two three").ids) == 5                          # [CLS] one two three [SEP]
    assert len(tokenizer.encode("word " * 600).ids) == 602


# Classes of transformers, with random weights -------------------------------------------------------------------------


LLAMA = dict(vocab_size=61, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-4)
GPT2 = dict(vocab_size=61, n_positions=32, n_embd=48, n_layer=3, n_head=4)
BERT = dict(vocab_size=61, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80,
            max_position_embeddings=32)


def rope(theta):
    return {"rope_type": "default", "rope_theta": theta}


PEERS = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", LLAMA),
    "llama, tied, rope base 500": ("LlamaForCausalLM", "LlamaConfig",
                                   LLAMA | dict(tie_word_embeddings=True, rope_parameters=rope(500.0))),
    "llama, one key-value head": ("LlamaForCausalLM", "LlamaConfig", LLAMA | dict(num_key_value_heads=1)),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2),
    "gpt2, inner width 100": ("GPT2LMHeadModel", "GPT2Config", GPT2 | dict(n_inner=100, layer_norm_epsilon=1e-3)),
    "gpt2 without head": ("GPT2Model", "GPT2Config", GPT2),
    "bert": ("BertModel", "BertConfig", BERT),
    "bert with a head": ("BertForMaskedLM", "BertConfig", BERT | dict(type_vocab_size=3)),
}


def save_peer(folder, model, config, settings):
    """A model of transformers with weights so large that every difference would show, saved in its own form."""
    torch.manual_seed(0)
    peer = getattr(transformers, model)(getattr(transformers, config)(**settings)).eval()
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.normal_(mean=1.0 if parameter.ndim == 1 else 0.0, std=0.2)
    peer.save_pretrained(folder)
    return peer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", PEERS)
@torch.inference_mode()
def test_models_of_transformers_give_the_same(name, device, tmp_path):
    peer = save_peer(tmp_path, *PEERS[name])
    model = pretrained.from_folder(tmp_path, device)
    ids = torch.randint(61, (3, 17), generator=torch.Generator().manual_seed(1))
    ours = model(ids.to(device))
    if name == "gpt2 without head":
        theirs = peer(ids).last_hidden_state @ peer.wte.weight.T
    elif name == "bert with a head":
        theirs = peer.bert(ids).last_hidden_state
    else:
        theirs = peer(ids)[0]
    assert ours.std() > 0.5
    assert largest_difference(ours, theirs) < 1e-4 * theirs.abs().max()


@torch.inference_mode()
def test_gpt2_from_a_folder_comes_with_its_tokenizer(tmp_path):
    peer = save_peer(tmp_path, "GPT2LMHeadModel", "GPT2Config", GPT2 | dict(vocab_size=50_257))
    model, tokenizer = pretrained.gpt2(tmp_path)
    ids = torch.tensor([tokenizer.encode("Hello world")])
    assert ids.tolist() == [[15496, 995]]
    assert largest_difference(model(ids), peer(ids).logits) < 1e-4


@torch.inference_mode()
def test_weights_in_half_precision_become_float32(tmp_path):
    peer = save_peer(tmp_path, "LlamaForCausalLM", "LlamaConfig", LLAMA).to(torch.bfloat16)
    peer.save_pretrained(tmp_path)
    model, ids = pretrained.from_folder(tmp_path), torch.arange(9)[None]
    assert model(ids).dtype == torch.float32
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)(ids).logits
    assert largest_difference(model(ids), theirs) < 1e-4


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One folder a kind of model."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in ("llama", "gpt2", "bert")}
    for kind, folder in made.items():
        save_peer(folder, *PEERS[kind])
    return made


def with_settings(folder, target, change):
    """A copy of a folder with other settings; None takes a setting away."""
    settings = json.loads((folder / "config.json").read_text()) | change
    kept = {key: value for key, value in settings.items() if value is not None}
    (target / "config.json").write_text(json.dumps(kept))
    shutil.copyfile(folder / "model.safetensors", target / "model.safetensors")
    return target


REFUSED = [
    ("llama", dict(attention_bias=True)), ("llama", dict(mlp_bias=True)), ("llama", dict(hidden_act="gelu")),
    ("llama", dict(head_dim=16)), ("llama", dict(rope_parameters=rope(1e4) | dict(rope_type="llama3", factor=8.0))),
    ("llama", dict(rope_parameters=None, rope_scaling=dict(type="linear", factor=2.0))),
    ("llama", dict(rope_parameters=rope(1e4) | dict(partial_rotary_factor=0.5))),
    ("gpt2", dict(activation_function="relu")), ("gpt2", dict(scale_attn_weights=False)),
    ("gpt2", dict(scale_attn_by_inverse_layer_idx=True)), ("gpt2", dict(add_cross_attention=True)),
    ("gpt2", dict(tie_word_embeddings=False)),
    ("bert", dict(hidden_act="gelu_new")), ("bert", dict(position_embedding_type="relative_key")),
    ("bert", dict(is_decoder=True)), ("bert", dict(add_cross_attention=True)),
]


@pytest.mark.parametrize("kind, change", REFUSED, ids=lambda part: part if isinstance(part, str) else "-".join(part))
def test_a_setting_we_would_have_to_ignore_is_refused(kind, change, folders, tmp_path):
    with pytest.raises(ValueError, match=r"^\w+ is .* in config.json; this course's Transformer does only .*\.$"):
        pretrained.from_folder(with_settings(folders[kind], tmp_path, change))


@pytest.mark.parametrize("change, sentence", [
    (dict(model_type="mamba"), "model_type is 'mamba'; this course's Transformer can be one of gpt2, llama, bert."),
    (dict(hidden_size=None), "config.json has no 'hidden_size', which model_type 'llama' needs"),
    (dict(vocab_size=60), "embed.weight is (61, 48) in the file and (60, 48) by the settings"),
    (dict(num_hidden_layers=4), "is not a whole file of this model's weights"),
    (dict(num_attention_heads=7), "d_model is 48; it must be a multiple of heads, 7."),
])
def test_settings_that_do_not_fit_the_weights(change, sentence, folders, tmp_path):
    with pytest.raises(ValueError) as error:
        pretrained.from_folder(with_settings(folders["llama"], tmp_path, dict(head_dim=None) | change))
    assert sentence in str(error.value)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(missing, folders, tmp_path):
    with_settings(folders["gpt2"], tmp_path, {})
    (tmp_path / missing).unlink()
    for load in (pretrained.from_folder, pretrained.gpt2):
        with pytest.raises(FileNotFoundError, match=f"holds no {missing}; it needs config.json and model.safetensors"):
            load(tmp_path)


def test_a_pickle_is_never_opened(folders, tmp_path):
    with_settings(folders["gpt2"], tmp_path, {})
    (tmp_path / "model.safetensors").unlink()
    torch.save({"wte.weight": torch.zeros(61, 48)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="pytorch_model.bin is a pickle, which can run code when it is opened"):
        pretrained.gpt2(tmp_path)


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: content[:20],
                                    lambda content: b"\xff" * 20 + content[20:], lambda content: b""])
def test_a_damaged_weights_file_is_named(damage, folders, tmp_path):
    with_settings(folders["llama"], tmp_path, {})
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").write_bytes(damage((folders["llama"] / "model.safetensors").read_bytes()))
    with pytest.raises(ValueError, match=r"model.safetensors is not a whole file of this model's weights .* again\.$"):
        pretrained.from_folder(tmp_path)


def test_a_damaged_config_is_named(folders, tmp_path):
    with_settings(folders["llama"], tmp_path, {})
    (tmp_path / "config.json").write_text("<html>Not found</html>")
    with pytest.raises(ValueError, match=r"config.json is not JSON"):
        pretrained.from_folder(tmp_path)


def test_an_unknown_gpt2_is_neither_a_folder_nor_a_size():
    with pytest.raises(ValueError, match="source is 'gpt5', and there is no such folder; .* choose one of gpt2, "):
        pretrained.gpt2("gpt5")


def test_gpt2_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download",
                        partial(huggingface_hub.snapshot_download, cache_dir=tmp_path))
    with pytest.raises(ConnectionError, match="gpt2-medium is not on this machine and the Hugging Face hub did not"):
        pretrained.gpt2("gpt2-medium")
