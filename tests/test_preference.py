"""Preferences: log-probabilities are those of transformers, DPO's loss is TRL's, and only what shall learn moves."""
import copy
import math
import signal

import pytest
import torch
from torch import nn

from helpers import lora, preference, pretrained
from helpers.preference import (Pair, PairData, PreferenceConfig, answers_logps, dpo_loss, load_pairs, pad, save_pairs,
                                sequence_logps, token_logps, train_dpo)
from helpers.training import TrainingStopped
from tests.small_preferences import V, pair_data, random_rows, tiny, weights, with_filling

transformers = pytest.importorskip("transformers")

SEEDS = range(25)
SHORT = PreferenceConfig(steps=5, batch=4, learning_rate=1e-2)
LN2 = math.log(2)


def answers(seed):
    """Random answers as tensors: ids (B, T) and completion_mask (B, T)."""
    return pair_data(seed, pairs=3).tensors(range(3))


# What the tokens of an answer say -------------------------------------------------------------------------------------


PEERS = {"GPT2": dict(n_embd=16, n_positions=24, n_layer=2, n_head=2),
         "Llama": dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                       max_position_embeddings=24)}


@pytest.mark.parametrize("kind, head", [("GPT2", "LMHeadModel"), ("Llama", "ForCausalLM")])
@torch.inference_mode()
def test_log_probabilities_are_those_of_transformers(kind, head, tmp_path):
    torch.manual_seed(0)
    settings = getattr(transformers, f"{kind}Config")(vocab_size=V, **PEERS[kind])
    peer = getattr(transformers, kind + head)(settings).eval()
    for parameter in peer.parameters():
        parameter.normal_(mean=float(parameter.ndim == 1), std=0.3)
    peer.save_pretrained(tmp_path)
    model = pretrained.from_folder(tmp_path)
    for seed in range(5):
        ids, mask = answers(seed)
        logps = peer(ids).logits.log_softmax(dim=-1)
        expected = torch.zeros(ids.shape)
        for row, place in mask.nonzero().tolist():
            expected[row, place] = logps[row, place - 1, ids[row, place]]
        torch.testing.assert_close(token_logps(model, ids, mask), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(sequence_logps(model, ids, mask), expected.sum(dim=1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@torch.inference_mode()
def test_what_stands_after_an_answer_never_counts(seed):
    model, (ids, mask) = tiny(), answers(seed)
    other, wider = with_filling(ids, mask, seed)
    one, two = token_logps(model, ids, mask), token_logps(model, other, wider)
    torch.testing.assert_close(one, two[:, :ids.shape[1]], atol=1e-5, rtol=1e-5)
    assert not two[~wider].any() and one[mask].all()
    reference = tiny(seed=1)
    losses = [dpo_loss(*sequence_logps(model, *given).chunk(2), *sequence_logps(reference, *given).chunk(2), 0.5)[0]
              for given in ((ids, mask), (other, wider))]
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)


def test_what_the_model_made_of_the_tokens_can_be_given():
    model, (ids, mask) = tiny(), answers(0)
    given = token_logps(model, ids, mask, model.hidden(ids))
    assert torch.equal(given, token_logps(model, ids, mask)) and given.requires_grad


def test_pad_fills_up_on_the_right():
    ids, mask = pad([([5, 6, 7], 1), ([8, 9], 1), ([1, 2, 3, 4], 3)])
    assert ids.tolist() == [[5, 6, 7, 0], [8, 9, 0, 0], [1, 2, 3, 4]]
    assert mask.int().tolist() == [[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("mask, said", [
    (torch.ones(2, 4).bool(), r"completion_mask is torch.bool \(2, 4\); give bool \(2, 3\)"),
    (torch.ones(2, 3), r"completion_mask is torch.float32 \(2, 3\); give bool"),
    (torch.tensor([[False, True, True], [True, True, False]]), "completion_mask is True at a first token")])
def test_a_mask_that_cannot_be_is_refused(mask, said):
    with pytest.raises(ValueError, match=said):
        token_logps(tiny(), torch.ones(2, 3, dtype=torch.int64), mask)


# Pairs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows, said", [
    ([], "rows holds no pair"), ([([], [1], [2])], r"rows\[0\] has a request without a token"),
    ([([3], [1], [2]), ([3], [], [2])], r"rows\[1\] has a chosen answer without"),
    ([([3], [1], [])], "rejected answer without"), ([([3], [1.5], [2])], r"rows\[0\].*whole numbers"),
    ([([3], [1, 2], [1, 2]), ([4], [5], [5])], "in all 2 pairs the chosen answer equals the rejected one")])
def test_pairs_that_teach_nothing_are_refused(rows, said):
    with pytest.raises(ValueError, match=said):
        PairData(rows)


def test_some_equal_answers_are_borne():
    assert len(PairData([([3], [1], [1]), ([4], [5], [6])]).rows) == 2


def test_a_pair_longer_than_the_context_is_refused_before_anything_moves():
    data, model = PairData([([1], [2], [3]), ([1] * 20, [2] * 5, [3])]), tiny()
    before = weights(model)
    with pytest.raises(ValueError, match=r"rows\[1\] has 25 tokens of request and answer; this model sees at most 24"):
        train_dpo(model, data, SHORT)
    assert torch.equal(weights(model), before)
    PairData([([1] * 19, [2] * 5, [3])]).check(24)          # just fits


@pytest.mark.parametrize("pairs", [1, 3, 4, 16])
def test_every_pair_comes_once_before_one_comes_again(pairs):
    data = pair_data(pairs=7)
    order = [number for batch in range(15) for number in data.batch(batch, pairs, seed=3)]
    epochs = [order[first:first + 7] for first in range(0, len(order) - 6, 7)]
    assert epochs and all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert order[:7] != order[7:14] and order[pairs:2 * pairs] == pair_data(pairs=7).batch(1, pairs, seed=3)


def test_a_batch_holds_the_chosen_answers_first():
    rows = random_rows()
    ids, mask = PairData(rows).tensors([4, 2])
    expected = [rows[4][0] + rows[4][1], rows[2][0] + rows[2][1], rows[4][0] + rows[4][2], rows[2][0] + rows[2][2]]
    for row, tokens, asked in zip(range(4), expected, [rows[4][0], rows[2][0]] * 2, strict=True):
        assert ids[row, :len(tokens)].tolist() == tokens
        assert ids[row][mask[row]].tolist() == tokens[len(asked):]


def test_pairs_are_kept_as_they_were(tmp_path):
    pairs = [Pair("Écris !", "Once\nthere\twas.", 'He said "no".'), Pair("故事🌍", "\u2028a\x85b\x0cc\u2029", "\\n{}"),
             Pair("", "", "x")]
    save_pairs(pairs, tmp_path / "pairs.jsonl")
    assert load_pairs(tmp_path / "pairs.jsonl") == pairs
    assert "故事🌍" in (tmp_path / "pairs.jsonl").read_text(encoding="utf-8")
    save_pairs([], tmp_path / "pairs.jsonl")
    assert load_pairs(tmp_path / "pairs.jsonl") == []


WHOLE = b'{"prompt": "a", "chosen": "b", "rejected": "c"}\n'


@pytest.mark.parametrize("damaged", [WHOLE[:20], b"[1]", b"null", b'{"prompt": "a", "chosen": "b"}', b"\xff\xfe",
                                     b'{"prompt": "a", "chosen": 3, "rejected": null}',
                                     '{"prompt": "é'.encode()[:-1]])
def test_a_damaged_line_is_named(tmp_path, damaged):
    (tmp_path / "pairs.jsonl").write_bytes(WHOLE + damaged + b"\n" + WHOLE)
    with pytest.raises(ValueError, match="^line 2 of pairs.jsonl is no pair"):
        load_pairs(tmp_path / "pairs.jsonl")


# DPO ------------------------------------------------------------------------------------------------------------------


def test_dpo_starts_at_ln_2():
    model, data = tiny(), pair_data()
    history = train_dpo(model, data, PreferenceConfig(steps=1, batch=9))
    assert history.losses == [pytest.approx(LN2, abs=1e-6)] and history.margins == [pytest.approx(0, abs=1e-6)]


@pytest.mark.parametrize("seed", SEEDS)
def test_dpo_is_its_formula(seed):
    torch.manual_seed(seed)
    numbers, beta = 10 * torch.randn(4, 6, dtype=torch.float64), 0.1 + seed / 10
    losses, margins = dpo_loss(*numbers, beta)
    for pair in range(6):
        chosen, rejected, ref_chosen, ref_rejected = numbers[:, pair].tolist()
        margin = beta * (math.log(math.exp(chosen - ref_chosen)) - (rejected - ref_rejected))
        assert float(margins[pair]) == pytest.approx(margin, abs=1e-9)
        assert float(losses[pair]) == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-9, abs=1e-12)


@pytest.fixture
def peers(tmp_path):
    """A trainer of TRL, about to learn from `rows`, and the rows: pairs of words that are ids at once."""
    trl = pytest.importorskip("trl")
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    words = Tokenizer(WordLevel({f"t{number}": number for number in range(V)}, unk_token="t0"))
    words.pre_tokenizer = WhitespaceSplit()
    settings = transformers.LlamaConfig(vocab_size=V, tie_word_embeddings=False, **PEERS["Llama"])
    peer, reference = (transformers.LlamaForCausalLM(settings) for _ in range(2))
    torch.manual_seed(0)
    for parameter in (*peer.parameters(), *reference.parameters()):
        nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.3)
    rows = random_rows(pairs=4)
    text = [{name: "".join(f" t{token}" for token in ids)
             for name, ids in zip(("prompt", "chosen", "rejected"), row, strict=True)} for row in rows]
    trainer = trl.DPOTrainer(
        peer, reference, train_dataset=Dataset.from_list(text),
        args=trl.DPOConfig(tmp_path / "out", beta=0.3, per_device_train_batch_size=4, use_cpu=True, report_to="none",
                           gradient_checkpointing=False, bf16=False, disable_tqdm=True, max_steps=1),
        processing_class=transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="t0", eos_token="t29"))
    return trainer, peer, reference, [(asked, chosen + [29], rejected + [29]) for asked, chosen, rejected in rows]


def ours(peer, folder):
    peer.save_pretrained(folder)
    return pretrained.from_folder(folder).requires_grad_(True)


def test_dpo_is_that_of_trl(peers, tmp_path):
    trainer, peer, reference, rows = peers
    batch = next(iter(trainer.get_train_dataloader()))
    model, before = ours(peer, tmp_path / "model"), ours(reference, tmp_path / "reference")
    theirs = trainer.compute_loss(trainer.model, batch)
    ids, mask = batch["input_ids"], batch["completion_mask"].bool()
    losses, margins = dpo_loss(*sequence_logps(model, ids, mask).chunk(2),
                               *sequence_logps(before, ids, mask).chunk(2), beta=0.3)
    torch.testing.assert_close(losses.mean(), theirs, atol=1e-5, rtol=1e-5)
    assert abs(float(theirs.detach()) - LN2) > 0.1 and float(margins.detach().std()) > 0.1
    theirs.backward()
    losses.mean().backward()
    torch.testing.assert_close(model.embed.weight.grad, peer.model.embed_tokens.weight.grad, atol=1e-5, rtol=1e-4)
    own, own_mask = PairData(rows).tensors(range(4))        # and these are the tokens that the trainer takes
    assert sorted(own[own_mask].tolist()) == sorted(ids[mask].tolist())
    losses, _ = dpo_loss(*sequence_logps(model, own, own_mask).chunk(2),
                         *sequence_logps(before, own, own_mask).chunk(2), beta=0.3)
    torch.testing.assert_close(losses.mean(), theirs, atol=1e-5, rtol=1e-5)
    history = train_dpo(model, PairData(rows), PreferenceConfig(steps=1, batch=4), beta=0.3, reference=before)
    trainer.train()
    assert history.losses[0] == pytest.approx(trainer.state.log_history[-1]["train_loss"], abs=1e-5)
    assert history.margins[0] == pytest.approx(trainer.state.log_history[-1]["rewards/margins"], abs=1e-5)


def test_dpo_raises_the_margin_and_keeps_its_place():
    model, data = tiny().eval(), pair_data()
    reference = copy.deepcopy(model)
    history = train_dpo(model, data, PreferenceConfig(steps=40, batch=9, learning_rate=1e-2), beta=0.5)
    assert history.losses[-1] < 0.5 * LN2 and history.margins[-1] > 1 and history.accuracies[-1] == 1.0
    gained = answers_logps(model, data) - answers_logps(reference, data)            # (2, N)
    assert bool((gained[0] > gained[1]).all()) and not model.training
    assert len(history.losses) == len(history.margins) == len(history.accuracies) == 40 and history.stopped == ""


def test_the_smaller_beta_goes_further():
    """By its formula: at a small beta much distance is needed for the same loss."""
    moved = []
    for beta in (0.1, 2.0):
        model = tiny()
        before = sequence_logps(model, *answers(0)).detach()
        train_dpo(model, pair_data(0, 3), PreferenceConfig(steps=60, batch=3, learning_rate=1e-2), beta=beta)
        moved.append(float((sequence_logps(model, *answers(0)).detach() - before).abs().sum()))
    assert moved[0] > moved[1]


def test_the_reference_is_left_alone():
    model, reference = tiny(), tiny(seed=1)
    before = weights(reference)
    train_dpo(model, pair_data(), SHORT, reference=reference)
    assert torch.equal(weights(reference), before) and all(p.grad is None for p in reference.parameters())
    assert not torch.equal(weights(model), weights(tiny())) and all(p.grad is None for p in model.parameters())
    found = answers_logps(reference, pair_data())
    assert not found.requires_grad


def test_answers_are_read_in_any_order():
    model, data = tiny(), pair_data(seed=1, pairs=7)
    found = answers_logps(model, data, pairs=2)
    for number in range(7):
        torch.testing.assert_close(found[:, number], sequence_logps(model, *data.tensors([number])).detach(),
                                   atol=1e-5, rtol=1e-5)


def test_what_is_frozen_stays():
    model = tiny()
    lora.add_lora(model, 2)
    before = {name: numbers.detach().clone() for name, numbers in model.named_parameters()}
    train_dpo(model, pair_data(), SHORT)
    for name, numbers in model.named_parameters():
        assert torch.equal(numbers, before[name]) != (".A" in name or ".B" in name), name
        assert numbers.requires_grad == (".A" in name or ".B" in name)


def test_a_model_without_anything_to_learn_is_refused():
    with pytest.raises(ValueError, match="nothing in the model learns"):
        train_dpo(tiny().requires_grad_(False), pair_data(), SHORT)


@pytest.mark.parametrize("beta", [0, -0.1, math.nan, math.inf, True])
def test_a_beta_that_teaches_nothing_is_refused(beta):
    with pytest.raises(ValueError, match=f"beta is {beta!r}; give a number above 0"):
        dpo_loss(*torch.zeros(4, 2), beta)
    with pytest.raises(ValueError, match=f"beta is {beta!r}"):
        train_dpo(tiny(), pair_data(), SHORT, beta=beta)


def test_log_probabilities_of_different_pairs_are_refused():
    one, two = torch.zeros(3), torch.zeros(3, 1)
    with pytest.raises(ValueError, match=r"have shapes \(3,\), \(3, 1\); give the same"):
        dpo_loss(one, one, one, two, 0.1)


@pytest.mark.parametrize("settings, said", [
    ({"steps": 0}, "steps is 0"), ({"steps": 2.0}, "steps is 2.0"), ({"batch": 0}, "batch is 0"),
    ({"learning_rate": 0}, "learning_rate is 0; give a number above 0"), ({"learning_rate": -1}, "learning_rate is -1"),
    ({"learning_rate": math.nan}, "learning_rate is nan"), ({"clip": 0.0}, "clip is 0.0"),
    ({"weight_decay": -0.1}, "weight_decay is -0.1"), ({"seed": -1}, "seed is -1"), ({"warmup": -1}, "warmup is -1"),
    ({"warmup": 6}, "warmup is 6; give from 0 to steps, 5")])
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        PreferenceConfig(**{"steps": 5} | settings)


# The loop -------------------------------------------------------------------------------------------------------------


def at_call(number, do):
    """dpo_loss, which does something at one of its calls: with its losses, if that gives others."""
    calls, usual = [], preference.dpo_loss

    def changed(*arguments):
        losses, margins = usual(*arguments)
        calls.append(1)
        return (do(losses) if len(calls) == number else losses), margins

    return changed


def interrupt(losses):
    signal.raise_signal(signal.SIGINT)
    return losses


def test_an_interrupt_waits_for_the_end_of_the_step(monkeypatch, capsys):
    model, before = tiny(), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(preference, "dpo_loss", at_call(2, interrupt))
    history = train_dpo(model, pair_data(), SHORT)
    assert history.stopped == "stopped after step 2 of 5" and len(history.losses) == 2
    assert signal.getsignal(signal.SIGINT) is before and "stopped after step 2 of 5" in capsys.readouterr().out


def test_a_loss_that_is_no_number_leaves_the_model_as_it_was(monkeypatch):
    model, same = tiny(), tiny()
    with monkeypatch.context() as patch:
        patch.setattr(preference, "dpo_loss", at_call(2, interrupt))
        train_dpo(same, pair_data(), SHORT)
    model.eval()
    monkeypatch.setattr(preference, "dpo_loss", at_call(3, lambda losses: losses * math.nan))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingStopped, match=r"number in step 3 \(loss nan\).*lower the learning rate") as caught:
        train_dpo(model, pair_data(), SHORT)
    assert torch.equal(weights(model), weights(same)) and len(caught.value.history.losses) == 2
    assert all(p.grad is None for p in model.parameters()) and not model.training
    assert signal.getsignal(signal.SIGINT) is before


def test_a_slope_that_is_no_number_moves_nothing():
    point = nn.Parameter(torch.tensor([0.0, 4.0]))
    mover = torch.optim.AdamW([point])
    with pytest.raises(TrainingStopped):
        preference.move([point], mover, point.sqrt().sum(), 1.0, 0.1, "step 1", None)
    assert point.tolist() == [0.0, 4.0] and point.grad is None


def test_no_step_is_steeper_than_the_longest_gradient():
    moved = []
    for size in (1.0, 1e6):
        point = nn.Parameter(torch.tensor([1.0, 2.0]))
        preference.move([point], torch.optim.SGD([point]), (size * point).sum(), 0.5, 0.1, "step 1", None)
        moved.append(float((point.detach() - torch.tensor([1.0, 2.0])).norm()))
    assert moved == [pytest.approx(0.05, abs=1e-5)] * 2


def test_the_learning_rate_rises_and_falls(monkeypatch):
    rates = []
    usual = preference.move
    monkeypatch.setattr(preference, "move", lambda *args: rates.append(args[4]) or usual(*args))
    train_dpo(tiny(), pair_data(), PreferenceConfig(steps=6, batch=2, learning_rate=0.1, warmup=2))
    assert rates[:3] == [0.05, 0.1, 0.1] and rates[2:] == sorted(rates[2:], reverse=True) and 0 < rates[-1] < 0.03


def test_the_same_seed_gives_the_same_weights():
    made = []
    for seed in (3, 3, 4):
        model = tiny()
        train_dpo(model, pair_data(), PreferenceConfig(steps=4, batch=3, learning_rate=1e-2, seed=seed))
        made.append(weights(model))
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
