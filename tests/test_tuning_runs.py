"""Short fine-tunings: what they read, what they leave alone, and how the movement of patterns is measured."""
import pytest
import torch

from helpers import pretrained, storyteller, tales, tuning_runs
from helpers.tales_reading import ending_of


def test_the_base_is_never_changed():
    model, _ = tuning_runs.base()
    before = {name: numbers.clone() for name, numbers in model.state_dict().items()}
    tuned = tuning_runs.tune("Shakespeare")
    assert all(torch.equal(before[name], numbers) for name, numbers in model.state_dict().items())
    assert not torch.equal(tuned.embed.weight, model.embed.weight)
    assert all(p.requires_grad for p in tuned.parameters()) and not any(p.requires_grad for p in model.parameters())
    found = tuning_runs.losses(tuned)
    assert found["Shakespeare"] < tuning_runs.losses(model)["Shakespeare"] - 1


def test_adapters_leave_the_rest_alone_and_change_each_matrix_in_few_directions():
    model, _ = tuning_runs.base()
    tuned = tuning_runs.tune("happy", rank=2, steps=3)
    assert tuned.state_dict().keys() == model.state_dict().keys()           # merged
    for (name, before), after in zip(model.state_dict().items(), tuned.state_dict().values(), strict=True):
        if name.startswith("blocks") and before.ndim == 2:
            stretches = torch.linalg.svdvals((after - before).double())
            assert stretches[1] > 1e-3 and stretches[2] < 1e-2 * stretches[1]
        else:
            assert torch.equal(before, after)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="kind is 'poems'; choose one of instructions"):
        tuning_runs.data("poems")
    with pytest.raises(ValueError, match=r"one has shape \(2, 2\) and other \(3, 3\)"):
        tuning_runs.pattern_distance(torch.eye(2), torch.eye(3))
    with pytest.raises(ValueError, match="at least two tokens"):
        tuning_runs.pattern_distance(torch.eye(1), torch.eye(1))


def test_requests_count_only_if_they_shall():
    (first, asked), (_, all_of_it) = (tuning_runs.data(kind).rows[0] for kind in ("instructions", "requests too"))
    _, tokenizer = tuning_runs.base()
    assert all_of_it == 1 and tokenizer.decode(first[:asked]).endswith(tales.ASSISTANT)


def test_only_stories_of_one_ending_are_told():
    _, tokenizer = tuning_runs.base()
    for kind in ("happy", "sad"):
        told = [tokenizer.decode(ids) for ids, question in tuning_runs.data(kind).rows[:40] if question == 0]
        assert {ending_of(story.removesuffix(tales.END)) for story in told} == {kind}


def test_half_of_the_requests_name_a_place_and_none_was_trained_on():
    asked = [tale.request for tale in tuning_runs.requests(10)]
    assert [one.place is not None for one in asked] == [True] * 5 + [False] * 5
    assert all(tales.held_out_pair(one.who, one.object) for one in asked)


def test_the_distance_is_the_share_of_attention_that_moved():
    one = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    other = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
    torch.testing.assert_close(tuning_runs.pattern_distance(one, other), torch.tensor((0.5 + 0.2) / 2))
    apart = tuning_runs.pattern_distance(torch.stack([one, one]), torch.stack([one, other]))
    torch.testing.assert_close(apart, torch.tensor([0.0, 0.35]))


def test_a_model_has_not_moved_from_itself():
    model, _ = tuning_runs.base()
    assert tuning_runs.moved(model, model, "answers").abs().max() == 0
    assert set(tuning_runs.change(model, model).values()) == {0.0}
    assert "embed.weight" in tuning_runs.change(model, model)


def test_both_forms_are_read_to_the_same_length():
    _, tokenizer = tuning_runs.base()
    for form, begins in (("Tales", False), ("answers", True)):
        ids = tuning_runs.read_by_both(form)
        assert ids.shape == (16, 100)
        assert bool((ids[:, 0] == tokenizer.special_tokens[tales.USER]).all()) == begins


def test_what_follows_is_asked_in_the_chats_form():
    model, tokenizer = tuning_runs.base()
    asked = tuning_runs.requests(4)[0].request
    expected = storyteller.write(model, tokenizer, [storyteller.request_ids(tokenizer, asked.text)])
    assert tuning_runs.answers(model, [asked]) == expected
    assert len(tuning_runs.followed(model, n=2)) == 2


def test_a_request_can_be_turned_into_one_for_the_other_ending():
    for tale in tuning_runs.requests(40):
        words, other = tale.request.text.split(), tuning_runs.asks_otherwise(tale.request).split()
        changed = [pair for pair in zip(words, other, strict=True) if pair[0] != pair[1]]
        assert changed in ([("happy", "sad")], [("sad", "happy")], [("well.", "badly.")], [("badly.", "well.")])


def test_an_ending_is_heard_by_a_model_that_was_tuned_to_listen_and_not_by_the_base():
    model, _ = tuning_runs.base()
    listening, _ = pretrained.storyteller("instructed")
    assert abs(tuning_runs.heard(model)) < 0.1 and tuning_runs.heard(listening) > 0.5
    own, other = tuning_runs.asked_both_ways(8)
    assert all(torch.equal(one[asked:], two[question:]) and len(one[asked:]) == 12
               for (one, asked), (two, question) in zip(own.rows, other.rows, strict=True))
