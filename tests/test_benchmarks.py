"""The benchmarks' arithmetic: taking turns, medians of ratios, an exit code. No test here depends on a speed."""
import copy
import math
import sys
import types

import pytest
import torch

import benchmarks.__main__ as command
from benchmarks import decode, harness, inference
from helpers.quantized_models import int8, rounded
from helpers.transformer import Config, Transformer


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the benchmarked functions move."""
    now = [0.0]
    monkeypatch.setattr(harness.time, "perf_counter", lambda: now[0])
    return now


def test_ours_and_the_peer_take_turns_and_the_median_ratio_decides(clock):
    calls = []
    durations = {"ours": iter([9.0, 1.0, 1.0, 2.0, 4.0, 1.0]), "theirs": iter([9.0, 2.0, 3.0, 2.0, 4.0, 5.0])}

    def work(who):
        calls.append(who)
        clock[0] += next(durations[who])

    row = harness.compare("name", "peer", lambda: work("ours"), lambda: work("theirs"), work=6.0, unit="MB/s",
                          target=2.0)
    assert calls == ["theirs", "ours", "ours", "theirs"] * 3
    assert row.ratios == (2.0, 3.0, 1.0, 1.0, 5.0)          # the first of each only warms up
    assert row.ratio == 2.0 and row.met and row.ours == 6.0 and row.theirs == 2.0


def test_a_fresh_state_is_made_each_time_and_not_timed(clock):
    made = []

    def fresh():
        clock[0] += 100.0
        made.append(len(made))
        return made[-1]

    def ours(state):
        assert state == made[-1]
        clock[0] += 1.0

    row = harness.compare("name", "peer", ours, lambda: clock.__setitem__(0, clock[0] + 1.0), work=1.0, unit="x",
                          target=1.0, repetitions=3, fresh=fresh)
    assert made == [0, 1, 2, 3] and row.ratios == (1.0, 1.0, 1.0)


def test_too_few_repetitions_are_refused():
    with pytest.raises(ValueError, match="repetitions is 2; a median needs at least 3"):
        harness.compare("name", "peer", lambda: None, lambda: None, work=1, unit="x", target=1, repetitions=2)


def row(ratio):
    return harness.Row("write", "peer", "tokens/s", 30.0, 30.0 / ratio, (ratio,), target=1.3)


@pytest.mark.parametrize("ratio, word, code", [(1.4, "| met |", 0), (1.2, "| NOT MET |", 1)])
def test_the_command_prints_a_table_and_its_exit_code_says_whether_the_targets_are_met(ratio, word, code, monkeypatch,
                                                                                     capsys):
    monkeypatch.setitem(sys.modules, "benchmarks.decode", types.SimpleNamespace(run=lambda: [row(ratio)]))
    assert command.main(["decode"]) == code
    printed = capsys.readouterr().out
    assert word in printed and f"{ratio:.2f}" in printed and "torch threads:" in printed and "Python 3." in printed


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["speed"])
    said = ("there is no benchmark 'speed'; choose from tokenizer, decode, inference, tracing, retrieval, training, "
            "imports.")
    assert said in capsys.readouterr().err


# ---- writing, and where the text decides: the same rows with a model of two layers

@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    return Transformer(Config(vocabulary=96, context=192, d_model=64, layers=2, heads=4, kv_heads=2)
                       ).eval().requires_grad_(False)


@pytest.fixture
def small(llama, monkeypatch):
    """Both benchmarks with this model in SmolLM2's place, and less to do."""
    tokenizer = types.SimpleNamespace(encode=lambda text: [byte % 96 for byte in text.encode()][:150])
    models = {32: llama, 4: rounded(llama, 4, 32)}
    monkeypatch.setattr(decode.pretrained, "smollm2", lambda bits=32: (models[bits], tokenizer))
    monkeypatch.setattr(harness, "gc", types.SimpleNamespace(collect=lambda: None))         # slow among many tests
    for module, name, value in ((decode, "NEW_TOKENS", 4), (decode, "ROW_TOKENS", 3), (decode, "PREFILL", 20),
                                (decode, "JUDGED", 100), (decode, "MATRICES", 2), (inference, "NEW_TOKENS", 9),
                                (inference, "EARLY", 5), (inference, "LATE", 21), (inference, "STEPS", 3)):
        monkeypatch.setattr(module, name, value)


def prompts(*sizes):
    draw = torch.Generator().manual_seed(1)
    return [torch.randint(96, size, generator=draw) for size in sizes]


def scaled(model, factor):
    """A copy whose logits are as many times as large."""
    new = copy.deepcopy(model)
    new.norm.weight *= factor
    return new


def test_writing_has_a_row_for_each_promise(small, llama):
    rows = decode.run()
    assert [row.target for row in rows] == [1.3, 2.5, 2.5, 0.7, 0.4, 1.5, 1.3, 1.3, *decode.PRODUCTS.values()]
    assert len({row.name for row in rows}) == len(rows) and {row.unit for row in rows[:8]} == {"tokens/s"}
    assert all(len(row.ratios) >= 5 and math.isfinite(row.ratio) and row.ratio > 0 for row in rows)
    for row, kind in zip(rows, ("float32", "int8", "4 bits", "float32", "int8")):
        assert kind in row.name
    assert "perplexity" not in rows[0].name                             # whose tokens are the peer's own
    assert all(text in row.name for row in rows[1:3] for text in ("Shakespeare", "Python's docs", "float32's"))
    assert all("GB/s" in row.peer and "share" in row.name for row in rows[3:5])
    table = harness.table(rows).splitlines()
    assert {line.count("|") for line in table[:len(rows) + 2]} == {9}


def test_where_the_text_decides_there_are_two_rows(small):
    guesses, late = inference.run()
    assert (guesses.target, late.target) == (1.5, 1 / 1.5)
    assert "repeats" in guesses.name and "position 21" in late.name and late.peer == "ours, at position 5"


def test_all_in_one_turn_go_forwards_and_backwards_and_the_first_turn_is_left_out():
    calls = []
    runs = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "abc"}
    assert harness.in_turns(runs, 3) == {"a": [6.0, 7.0, 12.0], "b": [5.0, 8.0, 11.0], "c": [4.0, 9.0, 10.0]}
    assert "".join(calls) == "abccbaabccba"


def test_a_share_is_the_time_that_reading_the_weights_takes_over_the_time_of_writing(small, llama, monkeypatch):
    models = {name: llama for name in decode.SPEEDS}
    times = dict.fromkeys(models, [2.0, 4.0, 5.0]) | {"peer": [6.0, 6.0, 6.0], "memory": [0.5, 0.5, 1.0]}
    monkeypatch.setattr(decode, "in_turns", lambda runs, repetitions: {name: times[name] for name in runs})
    rows = decode.writing(models, None, torch.zeros(1, 3), dict.fromkeys(models, ""))
    assert rows[0].ratios == (3.0, 1.5, 1.2) and rows[0].ours == 1.0
    assert rows[3].ratios == rows[4].ratios == pytest.approx([0.5 / 2, 0.5 / 4, 1 / 5])


def test_a_smaller_model_has_as_much_higher_a_limit(small, llama, monkeypatch):
    models = {name: int8(llama) if name == "int8" else llama for name in decode.SPEEDS}
    times = dict.fromkeys([*models, "peer", "memory"], [1.0, 1.0, 1.0])
    monkeypatch.setattr(decode, "in_turns", lambda runs, repetitions: {name: times[name] for name in runs})
    float32, in_8_bits = decode.writing(models, None, torch.zeros(1, 3), dict.fromkeys(models, ""))[3:]
    assert float32.ratios == (1.0, 1.0, 1.0) and 0.25 < in_8_bits.ratio < 0.35            # a norm stays as it is


def test_the_memory_of_a_model_counts_each_weight_once(llama):
    def size(model):
        return sum(tensor.nbytes for tensor in decode.stored(model))

    norms = 5 * 64 * 4
    assert size(llama) == sum(parameter.nbytes for parameter in llama.parameters())
    weights = (size(llama) - norms) // 4
    scales = sum(len(matrix) for matrix in llama.parameters() if matrix.ndim == 2)
    assert size(int8(llama)) == norms + weights + 4 * scales


def test_all_weights_are_read_as_often_as_a_token_is_written(llama, monkeypatch):
    read = []
    monkeypatch.setattr(torch.Tensor, "sum", lambda tensor: read.append(tensor.data_ptr()))
    decode.read_often(decode.stored(llama), 3)
    assert len(read) == 3 * len(set(read)) and set(read) == {tensor.data_ptr() for tensor in llama.parameters()}


def test_our_product_and_pytorchs_are_timed_on_the_same_matrices(monkeypatch):
    monkeypatch.setattr(decode, "MATRICES", 2)
    row = decode.product(9, target=1.2)
    assert row.name == "9 rows times a matrix of 3072 x 576" and row.ours > 0 and row.theirs > 0


def test_models_that_write_other_tokens_or_give_other_logits_are_not_compared(small, llama):
    texts = prompts((1, 7), (3, 7), (1, 20))
    peer = decode.same_model(llama)
    decode.check_same_work(llama, peer, *texts)
    with pytest.raises(AssertionError, match="ours and transformers' tokens differ"):
        decode.check_same_work(scaled(llama, -1), peer, *texts)
    with pytest.raises(AssertionError, match="not close"):
        decode.check_same_work(scaled(llama, 1.01), peer, *texts)


def test_a_copy_that_reads_worse_is_not_compared(llama):
    judged = {"a text": prompts((1, 90))[0]}
    notes = decode.check_same_quality({"float32": llama, "int8": int8(llama)}, judged)
    assert notes["float32"] == "" and notes["int8"].startswith("; perplexity on a text ")
    with pytest.raises(AssertionError, match="wild has a perplexity of .* on a text .* more than 2% apart"):
        decode.check_same_quality({"float32": llama, "wild": scaled(llama, 30)}, judged)
    with pytest.raises(AssertionError, match="wild has a perplexity of nan"):
        decode.check_same_quality({"float32": llama, "wild": scaled(llama, math.nan)}, judged)


def test_perplexity_is_what_the_probabilities_say(llama):
    [ids] = prompts((1, 6))
    p = llama(ids)[0].softmax(dim=-1)                                               # (T, V)
    product = math.prod(float(p[n, ids[0, n + 1]]) for n in range(5))
    assert decode.perplexity(llama, ids) == pytest.approx(product ** (-1 / 5), rel=1e-4)


def test_guesses_that_change_the_tokens_are_not_compared(small, llama, monkeypatch):
    texts = [ids.tolist() for ids in prompts((12,), (9,))]
    inference.check_same_work(llama, texts)
    monkeypatch.setattr(inference, "guessed", lambda model, texts: [[1] * 9 for _ in texts])
    with pytest.raises(AssertionError, match="tokens with and without guesses differ"):
        inference.check_same_work(llama, texts)


def test_a_text_that_repeats_ends_as_it_begins():
    texts = inference.repeating(types.SimpleNamespace(encode=lambda text: list(text.encode())))
    assert len(texts) == 6 and all(ids[-10:] == ids[:10] and len(ids) > 400 for ids in texts)


def test_a_step_far_into_a_text_has_all_before_it_in_view_however_often_it_is_measured(small, llama):
    [ids] = prompts((1, 24))
    cache = inference.filled(llama, ids, 21)
    for _ in range(2):
        torch.testing.assert_close(inference.go_on(llama, ids, cache, 21), llama(ids)[:, -1])
