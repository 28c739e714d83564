"""The models that translate: cross-attention against PyTorch's, masks by what they hide, and what training reaches."""
import pytest
import torch
from torch import nn

from helpers import translation
from helpers.number_words import END, PAD, TOKEN, VOCABULARY, aligned, batch, german, pieces
from helpers.sweeps import stored
from helpers.transformer import Config
from helpers.translation import KINDS, CrossAttention, MeanOnly, exact, hits, looks, make, shifts, started, train, write

CONFIG = Config(len(VOCABULARY), context=32, d_model=24, layers=2, heads=3)


def texts(*lengths, seed=0):
    return torch.randn(2, *lengths, 24, generator=torch.Generator().manual_seed(seed))


def model_of(kind, seed=0):
    return started(make(kind), seed)


def test_cross_attention_is_pytorchs():
    cross, theirs = CrossAttention(CONFIG), nn.MultiheadAttention(24, 3, bias=False, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([cross.q.weight, cross.kv.weight]).detach()
    theirs.out_proj.weight.data = cross.out.weight.detach()
    x, memory, seen = texts(5), texts(7, seed=1), torch.tensor([[True] * 7, [False] * 3 + [True] * 4])
    out, weights = theirs(x, memory, memory, key_padding_mask=~seen, average_attn_weights=False)
    torch.testing.assert_close(cross(x, memory, seen), out)
    torch.testing.assert_close(cross.looks(x, memory, seen), weights)


def test_without_looking_every_token_gets_the_mean_of_the_values():
    mean, x, memory = MeanOnly(CONFIG), texts(5), texts(7, seed=1)
    seen = torch.tensor([[True] * 7, [False] * 3 + [True] * 4])
    values = mean.kv(memory)[..., 24:]                              # (B, S, C)
    expected = torch.stack([values[0].mean(dim=0), values[1, 3:].mean(dim=0)])
    torch.testing.assert_close(mean(x, memory, seen), mean.out(expected)[:, None].expand(2, 5, 24))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    model, (source, target, labels) = model_of(kind), batch([47_206, 31])
    alone = model(*batch([31])[:2])                                 # (1, 4, V)
    torch.testing.assert_close(model(source, target)[1:, :4], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_target_is_hidden_and_all_of_the_source_is_seen(kind):
    model, (source, target, _) = model_of(kind), batch([47_206])
    before = model(source, target)
    later, other = target.clone(), source.clone()
    later[0, -1], other[0, -1] = TOKEN["elf"], TOKEN["eight"]
    torch.testing.assert_close(model(source, later)[:, :-1], before[:, :-1])
    assert (model(source, later)[:, -1] != before[:, -1]).any()
    assert (model(other, target) - before).abs().amax(dim=-1).min() > 1e-5


@pytest.mark.parametrize("kind, notices", [("decoder only", False), ("prefix", True)])
def test_only_a_prefix_is_seen_from_both_sides(kind, notices):
    """The first source token's vector after the first block, when the last source token changes."""
    model, (source, target, _) = model_of(kind), batch([47_206])
    kept = []
    model.model.blocks[0].register_forward_hook(lambda block, given, out: kept.append(out[0, 0]))
    other = source.clone()
    other[0, -1] = TOKEN["eight"]
    model(source, target), model(other, target)
    assert torch.equal(*kept) != notices


def test_all_kinds_have_equally_many_parameters():
    sizes = {kind: sum(weight.numel() for weight in make(kind).parameters()) for kind in KINDS}
    assert max(sizes.values()) < 1.01 * min(sizes.values())
    with pytest.raises(ValueError, match="kind is 'encoder'; choose one of encoder-decoder, decoder only"):
        make("encoder")


def test_a_start_follows_from_its_seed():
    one, again, other = model_of("decoder only"), model_of("decoder only"), model_of("decoder only", seed=1)
    source, target, _ = batch([31])
    assert torch.equal(one(source, target), again(source, target))
    assert not torch.equal(one(source, target), other(source, target))


@pytest.mark.parametrize("kind", KINDS)
def test_looks_are_weights_over_the_source(kind):
    model, (source, target, _) = model_of(kind), batch([47_206])
    found = looks(model, source, target)                            # (B, layers, H, T, S)
    layers = 1 if kind in ("encoder-decoder", "mean only") else 2
    assert found.shape == (1, layers, 4, 8, 8)
    sums = found.sum(dim=-1)
    assert (sums - 1).abs().max() < 1e-5 if layers == 1 else 0 < sums.min() < sums.max() < 1
    assert not any(module._forward_hooks for module in model.modules())
    if kind == "mean only":
        assert (found - 1 / 8).abs().max() < 1e-6


class Oracle(nn.Module):
    """Knows all German, so that what is measured of a model is known; `spoil` numbers get a wrong second piece."""

    def __init__(self, numbers, spoil=()):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.answers = {}
        for number in numbers:
            ids = [TOKEN[piece] for piece in pieces(german(number))] + [END]
            if number in spoil:
                ids[1] = TOKEN["elf"]
            self.answers[tuple(batch([number])[0][0].tolist())] = ids

    def forward(self, source, target):
        scores = torch.zeros(*target.shape, len(VOCABULARY))
        for row, tokens in enumerate(source.tolist()):
            ids = self.answers[tuple(token for token in tokens if token != PAD)]
            for place in range(target.shape[1]):
                scores[row, place, ids[min(place, len(ids) - 1)]] = 1
        return scores


def test_exact_is_what_a_model_would_write_to_the_letter():
    numbers = [47_206, 31, 999, 120_000]
    model = Oracle(numbers, spoil=[999])
    assert exact(model, numbers).tolist() == [True, True, False, True]
    written = ["".join(words) for words in write(model, batch(numbers)[0])]
    assert [text == german(number) for text, number in zip(written, numbers)] == [True, True, False, True]


def test_writing_ends():
    source = batch([31])[0]
    assert len(write(model_of("decoder only"), source, most=5)[0]) <= 5


def test_hits_count_the_right_words(monkeypatch):
    def straight_across(model, source, target):                     # (B, layers, H, T, S): one head right, one across
        T, S = target.shape[1], source.shape[1]
        found = torch.zeros(1, 1, 2, T, S)
        for row, at in enumerate([*aligned(47_206), None]):
            found[0, 0, 0, row, at if at is not None else 0] = 1
            found[0, 0, 1, row, row] = 1
        return found

    monkeypatch.setattr(translation, "looks", straight_across)
    counted = hits(make("encoder-decoder"), [47_206])               # aligned: 2, None, 0, 3, 4, 5, 7
    assert counted.tolist() == [[True] * 6, [False, False, True, True, True, False]]
    assert shifts(make("decoder only"), [47_206])[1].tolist() == [-2, 2, 0, 0, 0, -1]


@pytest.mark.parametrize("kind", ["encoder-decoder", "decoder only"])
def test_a_short_training_lowers_the_loss_and_repeats_itself(kind):
    losses = train(model_of(kind), 40, 0.005, seed=3)
    assert losses[-1] < 0.7 * losses[0] and len(losses) == 40
    assert train(model_of(kind), 40, 0.005, seed=3)[:5] == pytest.approx(losses[:5], abs=1e-5)
    assert train(model_of(kind), 5, 0.005, seed=4)[0] != losses[0]


def test_the_stored_sweep_holds_every_kind_with_five_seeds():
    sweep = stored("encoder_decoder")
    for kind in KINDS:
        points = sweep.where(kind=kind, run="main")
        assert len({point["seed"] for point in points}) == 5 and len({point["rate"] for point in points}) == 1
    for point in sweep.points:
        assert 0 <= point["exact"] <= 1 and 0 <= point["aligned"] <= 1 and point["loss"] > 0
