"""SmolLM2 and a reader in a hurry: which pairs are made, what is measured. The model itself is tuned in the lesson."""
import copy

import pytest
import torch

from helpers import chat_runs, pretrained, unread
from helpers.chat_runs import first_sentence, nats_a_token
from helpers.preference import sequence_logps
from tests.small_preferences import tiny


@pytest.fixture(scope="module")
def smollm2():
    return pretrained.smollm2()


def test_no_question_is_for_both():
    tuning, judging = chat_runs.questions("tuning"), chat_runs.questions("judging")
    assert (len(tuning), len(judging)) == (24, 12) and len({*tuning, *judging}) == 36
    assert all(question.endswith("?") for question in (*tuning, *judging))
    with pytest.raises(ValueError, match="use is 'test'; choose one of tuning, judging"):
        chat_runs.questions("test")


@pytest.mark.parametrize("text, first", [
    ("One. Two.", "One."), ("  What? This! ", "What?"), ("It costs 3.5 euros. Good.", "It costs 3.5 euros."),
    ("No end", "No end"), ("", ""), ("A line.\nAnother.", "A line.")])
def test_the_first_sentence_ends_at_the_first_mark_before_a_space(text, first):
    assert first_sentence(text) == first


def test_the_first_sentence_is_better_than_the_whole_answer(smollm2):
    _, tokenizer = smollm2
    end = chat_runs.end_of(tokenizer)
    whole = [*tokenizer.encode("It is blue. That is all."), end]
    single = [*tokenizer.encode("It is blue."), end]
    cut = tokenizer.encode("It is blue. And then")         # no end token: it was cut off
    data = chat_runs.brief_pairs(tokenizer, ["Why?", "How?", "What?"], [whole, single, cut])
    assert len(data.rows) == 2                              # the answer of one sentence is left out
    for (question, chosen, rejected), told in zip(data.rows, (whole, cut), strict=True):
        assert chosen.tolist() == single and rejected.tolist() == told
        assert tokenizer.decode(question.tolist()).endswith("<|im_start|>assistant\n")
    assert chat_runs.text_of(tokenizer, whole) == "It is blue. That is all."


def test_answers_end_with_their_end_token_unless_they_are_cut_off(smollm2):
    model, tokenizer = smollm2
    short, = chat_runs.answers(model, tokenizer, ["What is 2 + 2? Answer with the number alone."], longest=12)
    cut, = chat_runs.answers(model, tokenizer, ["What is a volcano?"], longest=4)
    assert short[-1] == chat_runs.end_of(tokenizer) and short.count(short[-1]) == 1
    assert len(cut) == 4 and chat_runs.end_of(tokenizer) not in cut


def test_nats_a_token_count_the_answers_alone():
    model = tiny(1)
    rows = [([1, 2, 3, 4, 5], 2), ([6, 7, 8], 1)]
    summed = sum(sequence_logps(model, torch.tensor([ids]), torch.tensor([[i >= read for i in range(len(ids))]])).item()
                 for ids, read in rows)
    assert nats_a_token(model, rows) == pytest.approx(-summed / 5, abs=1e-5)


def test_a_model_that_forgot_its_language_is_strange_to_the_one_it_was(smollm2):
    """Answers that the untuned model would never give, at the same length, are what `strange` finds."""
    model, tokenizer = smollm2
    asked = chat_runs.questions("judging")
    plain, odd = ([[*tokenizer.encode(text), chat_runs.end_of(tokenizer)]] * len(asked)
                  for text in ("It is because of the light of the sun.", "Goose it because purple the it moon of sun."))
    before = [float(numbers.double().sum()) for numbers in model.parameters()]
    usual, other = (chat_runs.judged(model, model, tokenizer, told) for told in (plain, odd))
    assert usual.keys() == {"words", "strange", "perplexity"} and usual["words"] == other["words"] == 9
    assert other["strange"] > usual["strange"] + 1 and other["perplexity"] == usual["perplexity"]
    assert 20 < usual["perplexity"] < 100
    assert [float(numbers.double().sum()) for numbers in model.parameters()] == before
    worse = copy.deepcopy(model)
    worse.norm.weight.mul_(0.3)
    rows = [(tokenizer.encode(passage), 1) for passage in unread.passages()]
    assert nats_a_token(worse, rows) > nats_a_token(model, rows)
