"""The Storyteller: its data follow the recipe, its stages can be made again, and those that ship are as scored."""
import json
import shutil

import pytest
import torch

from helpers import preference_runs, pretrained, storyteller, tales
from helpers.corpora import tales as tell
from helpers.labellers import ROBIN
from helpers.preference import Pair
from helpers.pretrained import STAGES
from helpers.reward import last_places
from helpers.token_data import IGNORE
from helpers.tokenizer import BPETokenizer
from helpers.training import evaluate
from tools import stages

SHORTER = 100


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.load(STAGES / "tokenizer.json")


def test_base_data_begins_where_stories_begin(tokenizer):
    data = storyteller.base_data(tokenizer, 30)
    end = tokenizer.special_tokens[tales.END]
    inputs, targets = data.batch(0, 8, 40, 0)
    firsts = {tokenizer.encode(tale.text)[0] for tale in tell(30)}
    assert set(inputs[:, 0].tolist()) <= firsts and torch.equal(inputs[:, 1:], targets[:, :-1])
    assert int((data.ids == end).sum()) == 30
    assert tokenizer.decode(data.ids.tolist()) == "".join(tale.text + tales.END for tale in tell(30))


def test_instruction_data_asks_for_the_answer_alone(tokenizer):
    inputs, targets = next(iter(storyteller.instruction_data(tokenizer, 3).in_order(3, 256)))
    for row, tale in enumerate(tell(3, seed=1)):
        read = tokenizer.decode([token for token in inputs[row].tolist() if token])
        answer = tokenizer.decode([token for token in targets[row].tolist() if token != IGNORE])
        assert answer == tale.text + tales.END
        assert read.startswith(f"{tales.USER}{tale.request.text}{tales.ASSISTANT}{tale.text}")


def test_deciding_data_asks_for_the_first_words_of_the_turn_alone(tokenizer):
    inputs, targets = next(iter(storyteller.deciding_data(tokenizer, 3).in_order(3, 256)))
    for row, tale in enumerate(tell(3, seed=1)):
        read = tokenizer.decode([token for token in inputs[row].tolist() if token])
        asked = [token for token in targets[row].tolist() if token != IGNORE]
        before = f"{tales.USER}{tale.request.text}{tales.ASSISTANT}{tale.text[:tale.turn_at]}"
        assert len(asked) == 3 and tale.text[tale.turn_at:].startswith(tokenizer.decode(asked))
        assert read == before + tokenizer.decode(asked[:2])


def test_a_quarter_of_the_batches_of_both_are_whole_answers(tokenizer):
    data = storyteller.both(storyteller.instruction_data(tokenizer, 40), storyteller.deciding_data(tokenizer, 120))
    _, targets = data.batch(0, 32, 256, 0)
    counts = (targets != IGNORE).sum(dim=1)
    assert bool((counts[:8] > 40).all()) and counts[8:].tolist() == [3] * 24


def test_a_new_model_does_not_depend_on_what_was_drawn_before(tokenizer):
    one = storyteller.new_model(tokenizer, seed=3)
    torch.rand(5)
    other = storyteller.new_model(tokenizer, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not torch.equal(one.embed.weight, storyteller.new_model(tokenizer, seed=4).embed.weight)


def test_a_new_model_gives_every_token_the_same_chance(tokenizer):
    model = storyteller.new_model(tokenizer)
    loss = evaluate(model, storyteller.base_data(tokenizer, 20))
    assert loss == pytest.approx(torch.tensor(float(model.config.vocabulary)).log().item(), abs=0.1)


def test_the_stages_can_be_made_again(tmp_path, monkeypatch, capsys):
    """A hundredth of the way: the files load, and each stage has moved from the one before."""
    scores = stages.make(tmp_path / "stages", tmp_path / "work", shorter=SHORTER)
    assert json.loads((tmp_path / "stages" / "scores.json").read_text()) == scores
    monkeypatch.setattr(pretrained, "STAGES", tmp_path / "stages")
    base, tokenizer = pretrained.storyteller("base")
    instructed, _ = pretrained.storyteller("instructed")
    new = storyteller.new_model(tokenizer)
    stories = storyteller.story_data(tokenizer, tell(20, seed=2, split="held_out"))
    assert base.config == new.config and scores["base"]["loss"] < evaluate(new, stories)
    for one, other in ((new, base), (base, instructed)):
        assert not torch.equal(one.embed.weight, other.embed.weight)
    before = (tmp_path / "stages" / "base.safetensors").read_bytes()
    again = stages.make(tmp_path / "stages", tmp_path / "work", shorter=SHORTER)      # finished trainings: read back
    assert again == scores and (tmp_path / "stages" / "base.safetensors").read_bytes() == before


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="stage is 'preferable'; choose one of base, instructed, preferred"):
        pretrained.storyteller("preferable")


def test_the_shipped_tokenizer_is_the_one_that_the_recipe_makes(tokenizer):
    made = storyteller.train_tokenizer()
    assert (made.pattern, made.special_tokens) == (tokenizer.pattern, tokenizer.special_tokens)
    text = "".join(tale.text for tale in tell(50, seed=7))
    assert made.encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("stage", ["base", "instructed"])
def test_a_shipped_stage_is_small_and_as_good_as_its_scores_say(stage):
    assert (STAGES / f"{stage}.safetensors").stat().st_size <= 6_000_000
    model, tokenizer = pretrained.storyteller(stage)
    scores = json.loads((STAGES / "scores.json").read_text())[stage]
    held_out = tell(storyteller.HELD_OUT, seed=2, split="held_out")
    found = stages.score(model, tokenizer, held_out[:100])
    assert found["consistent"] >= 0.9 and abs(found["follows"] - scores["follows"]) <= 0.1
    alone = evaluate(model, storyteller.story_data(tokenizer, held_out))
    assert alone == pytest.approx(scores["loss"], abs=2e-3)                         # made from today's Tales
    assert scores["consistent"] >= 0.9 and (scores["follows"] >= 0.9 or stage == "base")


def test_the_shipped_preferred_stage_is_liked_better_than_the_instructed_one():
    model, _ = pretrained.storyteller("preferred")
    assert model.config == pretrained.storyteller("instructed")[0].config
    scores = json.loads((STAGES / "scores.json").read_text())["preferred"]
    found = preference_runs.judged(model, n=40)
    assert 0.65 < found["win"] and abs(found["win"] - scores["win"]) < 0.2
    assert 1 < found["kl"] < 2 * scores["kl"] and scores["win"] > 0.75
    assert found["consistent"] > 0.6 and abs(found["words"] - scores["words"]) < 10


def test_the_shipped_reward_model_agrees_with_robin_and_the_value_model_foresees_it():
    reward, value = pretrained.reward_models()
    groups = preference_runs.written(20, seed=33)
    found, ceiling = preference_runs.agreement(reward, groups, ROBIN)
    assert found > 0.65 and found > ceiling - 0.15
    ids, mask = preference_runs.data([Pair(group.request.text, *group.answers) for group in groups]).tensors(range(20))
    with torch.inference_mode():
        rewards, values = reward(ids, mask), value.values(ids)                      # (2 B,), (2 B, T)
    last = values[torch.arange(40), last_places(mask)]                              # nearly all has been told
    assert float((last - rewards).square().mean()) < 0.5 * float(rewards.var())


@pytest.mark.parametrize("name", ["reward", "value", "preferred"])
def test_what_follows_the_instructed_stage_is_small(name):
    assert (STAGES / f"{name}.safetensors").stat().st_size <= 1_500_000


def test_what_follows_the_instructed_stage_can_be_made_again(tmp_path, monkeypatch):
    """A hundredth of the way: the files load, and each model has moved from the one that it began as."""
    monkeypatch.setattr(pretrained, "STAGES", tmp_path)
    for name in ("tokenizer.json", "instructed.safetensors", "scores.json"):
        shutil.copy(STAGES / name, tmp_path)
    scores = stages.make_preferred(tmp_path, shorter=SHORTER)
    assert scores.keys() == {"win", "kl", "consistent", "asked", "words"}
    stages.write(tmp_path, {"preferred": scores})
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written == json.loads((STAGES / "scores.json").read_text()) | {"preferred": scores}
    instructed, preferred = (pretrained.storyteller(stage)[0] for stage in ("instructed", "preferred"))
    reward, value = pretrained.reward_models()
    assert not torch.equal(preferred.embed.weight, instructed.embed.weight)
    assert not torch.equal(reward.head.weight, value.head.weight) and bool(reward.head.weight.any())
    assert not torch.equal(value.model.embed.weight, reward.model.embed.weight)
    stages.make_preferred(tmp_path / "again", shorter=SHORTER)                      # a folder that is not there yet
    for name in ("reward", "value", "preferred"):
        first, again = ((folder / f"{name}.safetensors").read_bytes() for folder in (tmp_path, tmp_path / "again"))
        assert first == again


def test_the_second_line_can_be_made_alone(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(stages, "STAGES", tmp_path)
    monkeypatch.setattr(stages, "make", lambda *_: made.append("stages"))
    monkeypatch.setattr(stages, "make_preferred", lambda folder: made.append(folder) or {"win": 0.5})
    assert stages.main(["--preferred"]) == 0 and made == [tmp_path]
    assert stages.main([]) == 0 and made == [tmp_path, "stages", tmp_path]
    assert json.loads((tmp_path / "scores.json").read_text()) == {"preferred": {"win": 0.5}}
