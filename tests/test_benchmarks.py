"""The benchmarks' arithmetic: taking turns, medians of ratios, an exit code. No test here depends on a speed."""
import sys
import types

import pytest

import benchmarks.__main__ as command
from benchmarks import harness


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
    said = "there is no benchmark 'speed'; choose from tokenizer, decode, tracing, retrieval, training, imports."
    assert said in capsys.readouterr().err
