"""Training does what its loop by hand would do, and survives what happens to trainings: a stop, a kill, a full disk."""
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import SafetensorError

from helpers import checkpoints, training
from helpers.checkpoints import CheckpointError
from helpers.optimizers import optimizers, schedule
from helpers.token_data import Mixed
from helpers.training import Examples, TokenStream, TrainConfig, TrainingStopped, evaluate, token_loss, train
from helpers.transformer import Config, Transformer
from tests.training_script import IDS, SMALL, settings, small_model

ROOT = Path(__file__).resolve().parents[1]
DATA = TokenStream(IDS)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Stopper:
    """Asks for a stop after some step, as a button would."""

    def __init__(self, after=None, do=None):
        self.stopping, self.after, self.do, self.closed = threading.Event(), after, do, 0

    def step(self, model, history, steps):
        if history.step == self.after:
            (self.do or self.stopping.set)()

    def close(self, model, history):
        self.closed += 1


# The loop -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_train_is_the_loop_by_hand(kind):
    config = settings(optimizer=kind, weight_decay=0.1, clip=0.5, floor=0.1)
    model, by_hand = small_model(), small_model()
    history = train(model, DATA, config)
    movers = optimizers(by_hand, kind, config.learning_rate, config.muon_learning_rate, 0.1, config.betas)
    rates = [[group["lr"] for group in mover.param_groups] for mover in movers]
    losses = []
    for step in range(config.steps):
        inputs, targets = DATA.batch(step, config.batch, 8, config.seed)
        loss = F.cross_entropy(by_hand(inputs).flatten(0, 1), targets.flatten())
        by_hand.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
        for mover, own in zip(movers, rates, strict=True):
            for group, rate in zip(mover.param_groups, own, strict=True):
                group["lr"] = rate * schedule(step, config.steps, config.warmup, 0.1)
            mover.step()
        losses.append(float(loss.detach()))
    assert history.losses == pytest.approx(losses, abs=1e-5)
    torch.testing.assert_close(weights(model), weights(by_hand), atol=1e-5, rtol=0)
    assert history.step == 12 and history.tokens == 12 * 6 * 8 and history.seconds > 0


def test_it_learns_what_can_be_learned_and_no_more():
    noise = torch.randint(13, (400,), generator=torch.Generator().manual_seed(1))
    config = TrainConfig(steps=90, batch=16, evaluate_every=30, learning_rate=0.02)
    counting, coins = TokenStream(torch.arange(400) % 13), TokenStream(noise)
    history = train(small_model(), counting, config, held_out=counting)
    assert [step for step, _ in history.held_out] == [30, 60, 90]
    assert history.losses[0] == pytest.approx(2.565, abs=0.1) and history.held_out[-1][1] < 0.2      # ln 13
    assert train(small_model(), coins, config, held_out=DATA).held_out[-1][1] > 2.5


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_parts_give_the_same_weights_as_the_whole_batch(accumulate):
    examples = Examples([([1, 2, 3, 4, 5], 1), ([6, 7], 0), ([8, 9, 10, 11, 1, 2, 3], 5), ([3, 1], 1)])
    whole, parts = small_model(), small_model()
    one = train(whole, examples, settings())
    other = train(parts, examples, settings(accumulate=accumulate))
    assert one.losses == pytest.approx(other.losses, abs=1e-5)
    torch.testing.assert_close(weights(whole), weights(parts), atol=1e-4, rtol=0)


def test_frozen_parameters_stay():
    model = small_model()
    model.embed.requires_grad_(False)
    before = model.embed.weight.clone()
    train(model, DATA, settings())
    assert torch.equal(model.embed.weight, before)
    assert not torch.equal(weights(model), weights(small_model()))


@pytest.mark.parametrize("mode", [True, False])
def test_the_mode_of_the_model_is_left_as_it_was(mode):
    model = small_model().train(mode)
    train(model, DATA, settings(evaluate_every=4), held_out=DATA)
    assert model.training is mode


# Loss and evaluation --------------------------------------------------------------------------------------------------


def test_the_loss_is_minus_the_log_of_the_probability_of_each_token_that_counts():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, -100, 4], [0, 2, -100]])
    each = [-float(logits[b, t].softmax(-1)[targets[b, t]].log()) for b in range(2) for t in range(3)
            if targets[b, t] >= 0]
    assert float(token_loss(logits, targets)) == pytest.approx(sum(each) / 4, abs=1e-6)
    assert float(token_loss(logits, targets, "sum")) == pytest.approx(sum(each), abs=1e-5)
    apart = token_loss(logits, targets, "none")
    assert apart.shape == (2, 3) and apart[0, 1] == 0 and float(apart.sum()) == pytest.approx(sum(each), abs=1e-5)


def test_evaluate_is_the_mean_over_tokens_not_over_batches():
    model = small_model()
    examples = Examples([([1, 2, 3, 4, 5, 6], 0), ([6, 7], 1), ([8, 9, 10], 1)])
    losses = []
    for ids, question in (([1, 2, 3, 4, 5, 6], 1), ([6, 7], 1), ([8, 9, 10], 1)):
        logits = model(torch.tensor([ids]))[0].log_softmax(-1).detach()
        losses += [-float(logits[t - 1, ids[t]]) for t in range(question, len(ids))]
    for batch in (1, 2, 3):
        assert evaluate(model, examples, batch) == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_evaluate_can_look_at_a_few_batches():
    model = small_model()
    first = next(iter(DATA.in_order(4, 8)))
    alone = token_loss(model(first[0]).detach(), first[1])
    assert evaluate(model, DATA, 4, batches=1) == pytest.approx(float(alone), abs=1e-5)


# Stop, kill, go on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("after", [1, 5, 9])
def test_stopped_and_resumed_weights_are_bit_for_bit_those_of_an_uninterrupted_training(tmp_path, kind, after, capsys):
    config = settings(optimizer=kind)
    model, whole = small_model(), small_model()
    uninterrupted = train(whole, DATA, config, held_out=DATA)
    stopper = Stopper(after)
    first = train(model, DATA, config, held_out=DATA, folder=tmp_path, watch=stopper)
    assert first.step == after + 1                          # it is told of a step when that is over
    assert "stopped after step" in first.stopped and "The model holds" in capsys.readouterr().out
    assert stopper.closed == 1
    again = small_model(seed=9)
    second = train(again, DATA, config, held_out=DATA, folder=tmp_path)
    assert torch.equal(weights(again), weights(whole))
    assert second.losses == uninterrupted.losses and second.held_out[-1] == uninterrupted.held_out[-1]
    assert second.stopped == ""


def test_a_finished_training_is_not_trained_further(tmp_path):
    train(small_model(), DATA, settings(), folder=tmp_path)
    again = small_model(seed=3)
    history = train(again, DATA, settings(), folder=tmp_path)
    whole = small_model()
    train(whole, DATA, settings())
    assert history.step == 12 and torch.equal(weights(again), weights(whole))


def start(folder, steps=12, wait=0.0, extra=()):
    return subprocess.Popen([sys.executable, str(ROOT / "tests" / "training_script.py"), str(folder), str(steps),
                             str(wait), *extra], env=one_thread(), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def one_thread():
    """The environment of a script that takes one thread and finds `helpers`."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MKL_NUM_THREADS": "1"}


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    process = start(tmp_path / "killed", wait=0.05)
    for line in process.stdout:
        if int(line) == 8:                                  # checkpoints of steps 3 and 6 lie there
            process.kill()
            break
    process.wait()
    assert process.returncode != 0
    assert checkpoints.newest(tmp_path / "killed").step == 6
    model, whole = small_model(seed=4), small_model()
    train(model, DATA, settings(), folder=tmp_path / "killed")
    train(whole, DATA, settings())
    assert torch.equal(weights(model), weights(whole))


def test_a_kill_in_the_middle_of_writing_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    model = small_model()
    train(model, DATA, settings(steps=3), folder=tmp_path)

    class Killed(BaseException):
        pass

    for moment in ("save_file", "sha256", "flush"):
        with monkeypatch.context() as patch:
            def die(*arguments):
                raise Killed
            patch.setattr(checkpoints, moment, die)
            with pytest.raises(Killed):
                checkpoints.save(tmp_path, 6, model, [], {}, {})
        assert checkpoints.newest(tmp_path).step == 3, moment
    train(small_model(), DATA, settings(steps=3), folder=tmp_path)
    checkpoints.save(tmp_path, 6, model, [], {}, {})        # what the kill left over is in nobody's way
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step_00000003", "step_00000006"]


def test_what_another_killed_process_left_unfinished_is_deleted_by_the_next_save(tmp_path):
    left = tmp_path / "unfinished_0"                        # no process of ours has this number
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    train(small_model(), DATA, settings(steps=3), folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000003"]


def test_an_interrupt_waits_for_the_end_of_the_step(capsys):
    model = small_model()
    before = signal.getsignal(signal.SIGINT)
    history = train(model, DATA, settings(), watch=Stopper(4, lambda: signal.raise_signal(signal.SIGINT)))
    assert history.stopped == "stopped after step 5 of 12" and history.step == 5
    assert signal.getsignal(signal.SIGINT) is before
    same = small_model()
    train(same, DATA, settings(steps=12), watch=Stopper(4))
    assert torch.equal(weights(model), weights(same))


def test_a_second_interrupt_ends_the_step_and_leaves_whole_weights(monkeypatch):
    model, same = small_model(), small_model()

    def twice(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(training.Run, "slopes", twice)
        with pytest.raises(KeyboardInterrupt):
            train(model, DATA, settings())
    assert torch.equal(weights(model), weights(same)) and all(p.grad is None for p in model.parameters())


def test_training_works_in_a_thread_that_gets_no_signals():
    made = []
    thread = threading.Thread(target=lambda: made.append(train(small_model(), DATA, settings(steps=2))))
    thread.start()
    thread.join()
    assert made[0].step == 2


# Checkpoints ----------------------------------------------------------------------------------------------------------


def test_only_the_newest_two_are_kept(tmp_path):
    train(small_model(), DATA, settings(), folder=tmp_path)
    assert [path.name for path in checkpoints.steps(tmp_path)] == ["step_00000009", "step_00000012"]
    assert sorted(path.name for path in (tmp_path / "step_00000012").iterdir()) == [
        "model.safetensors", "optimizer.safetensors", "state.json"]
    state = json.loads((tmp_path / "step_00000012" / "state.json").read_text())
    assert state["model"] == asdict(SMALL) and state["training"]["batch"] == 6 and len(state["history"]["losses"]) == 12


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_truncated_checkpoint_is_named_and_nothing_is_lost(tmp_path, name):
    train(small_model(), DATA, settings(), folder=tmp_path)
    file = tmp_path / "step_00000012" / name
    file.write_bytes(file.read_bytes()[:-20])
    model = small_model(seed=2)
    with pytest.raises(CheckpointError, match=f"{name} is damaged.*delete step_00000012 to go on from step_00000009"):
        train(model, DATA, settings(), folder=tmp_path)
    assert torch.equal(weights(model), weights(small_model(seed=2)))
    assert len(checkpoints.steps(tmp_path)) == 2
    for left in file.parent.iterdir():
        left.unlink()
    file.parent.rmdir()
    assert train(model, DATA, settings(), folder=tmp_path).step == 12


def test_an_old_checkpoint_that_cannot_be_deleted_does_not_end_the_training(tmp_path, monkeypatch):
    unlink = os.unlink

    def held(path, *arguments, **options):                  # as Windows does with a file that is open elsewhere
        if os.fspath(path).endswith("state.json"):
            raise PermissionError(13, "The process cannot access the file", path)
        unlink(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", held)
        history = train(small_model(), DATA, settings(), folder=tmp_path)
    assert history.step == 12 and history.unsaved == "" and checkpoints.newest(tmp_path).step == 12
    assert len(checkpoints.steps(tmp_path)) == 4
    checkpoints.save(tmp_path, 15, small_model(), [], {}, {})
    assert [path.name for path in checkpoints.steps(tmp_path)] == ["step_00000012", "step_00000015"]


def test_a_model_of_another_vocabulary_is_refused(tmp_path):
    train(small_model(), DATA, settings(), folder=tmp_path)
    other = Transformer(Config(**asdict(SMALL) | {"vocabulary": 20}))
    before = weights(other)
    with pytest.raises(CheckpointError, match="vocabulary is 13 in .* and 20 in your model; build the model as it was"):
        train(other, DATA, settings(), folder=tmp_path)
    assert torch.equal(weights(other), before)


def test_another_training_is_refused_but_how_it_is_worked_off_may_change(tmp_path):
    train(small_model(), DATA, settings(), folder=tmp_path)
    with pytest.raises(CheckpointError, match="learning_rate is 0.003 in .* and 0.1 in your config"):
        train(small_model(), DATA, settings(learning_rate=0.1), folder=tmp_path)
    assert train(small_model(), DATA, settings(accumulate=2, checkpoint_every=5), folder=tmp_path).step == 12


def test_a_checkpoint_from_before_a_setting_was_there_is_refused(tmp_path):
    train(small_model(), DATA, settings(), folder=tmp_path)
    file = tmp_path / "step_00000012" / "state.json"
    state = json.loads(file.read_text())
    del state["training"]["clip"]
    file.write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="step_00000012 does not say clip; train into another folder"):
        train(small_model(), DATA, settings(), folder=tmp_path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"),
                                   SafetensorError("I/O error: No space left on device (os error 28)")])
def test_a_full_disk_is_said_and_the_training_goes_on(tmp_path, monkeypatch, capsys, error):
    model, same = small_model(), small_model()
    save_file, calls = checkpoints.save_file, []

    def full_after_the_first(*arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise error
        save_file(*arguments)

    monkeypatch.setattr(checkpoints, "save_file", full_after_the_first)
    with pytest.raises(TrainingStopped, match="the disk is full.*holds all 12 steps") as stopped:
        train(model, DATA, settings(), folder=tmp_path)
    assert capsys.readouterr().out.count("Not saved, training goes on") == 1
    assert stopped.value.history.step == 12
    train(same, DATA, settings())
    assert torch.equal(weights(model), weights(same))
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000003"]


def test_room_that_comes_back_is_used(tmp_path, monkeypatch):
    save_file, calls = checkpoints.save_file, []

    def full_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        save_file(*arguments)

    monkeypatch.setattr(checkpoints, "save_file", full_once)
    history = train(small_model(), DATA, settings(), folder=tmp_path)
    assert history.unsaved == "" and checkpoints.newest(tmp_path).step == 12


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.0), (torch.float16, 1e-3)])
def test_a_model_alone_can_be_saved_and_loaded(tmp_path, dtype, tolerance):
    model = small_model()
    checkpoints.save_model(model, tmp_path / "deep" / "model.safetensors", dtype)
    loaded = checkpoints.load_model(tmp_path / "deep" / "model.safetensors")
    assert loaded.config == model.config and not loaded.training
    torch.testing.assert_close(weights(loaded), weights(model), atol=tolerance, rtol=0)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model.safetensors"]


def test_a_file_that_is_no_model_is_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    with pytest.raises(CheckpointError, match="is no model that save_model wrote"):
        checkpoints.load_model(file)
    checkpoints.save_model(small_model(), file)
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="is no model that save_model wrote, or it is damaged"):
        checkpoints.load_model(file)


# What cannot go on ----------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_at_its_step_and_leaves_the_last_good_model():
    model = small_model()
    with pytest.raises(TrainingStopped, match=r"finite number at step \d+ .*after step \d+; lower learning_r") as e:
        train(model, DATA, TrainConfig(steps=200, batch=4, optimizer="adamw", learning_rate=1e30, warmup=100))
    assert torch.isfinite(weights(model)).all() and evaluate(model, DATA) < 10
    assert e.value.history.step >= 1 and "stopped at step" in e.value.history.stopped
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_nan_in_the_model_is_found_before_any_step():
    model = small_model()
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    with pytest.raises(TrainingStopped, match="at step 1 "):
        train(model, DATA, settings())


def test_a_batch_that_does_not_fit_is_named_with_the_way_out(monkeypatch):
    model = small_model()

    def too_large(self, ids, *arguments):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(Transformer, "forward", too_large)
    with pytest.raises(ValueError, match=r"batch is 6 examples of 8 tokens in 2 part\(s\).*accumulate=3 gives the"):
        train(model, DATA, settings(accumulate=2))                  # 4 would not divide the batch
    assert torch.equal(weights(model), weights(small_model()))
    with pytest.raises(ValueError, match="in 6 part.*choose a smaller context"):
        train(model, DATA, settings(accumulate=6))


def test_another_error_of_the_model_is_not_taken_for_missing_memory(monkeypatch):
    def wrong(self, ids, *arguments):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(Transformer, "forward", wrong)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train(small_model(), DATA, settings())


@pytest.mark.parametrize(("data", "words"), [
    (TokenStream([1, 2, 3]), "ids has 3 tokens, fewer than one example of context 8"),
    (TokenStream(torch.full((50,), 13)), "data holds token 13 and the model's vocabulary is 13"),
])
def test_data_that_does_not_fit_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        train(small_model(), data, settings())
    with pytest.raises(ValueError, match=words):
        evaluate(small_model(), data)


def test_held_out_data_that_does_not_fit_is_refused_before_any_step():
    model = small_model()
    before = weights(model).clone()
    with pytest.raises(ValueError, match="an example has 12 tokens; with context 8 at most 9 fit"):
        train(model, DATA, settings(), held_out=Examples([([1] * 5, 1), ([1] * 12, 1)]))
    assert torch.equal(weights(model), before)


def test_a_context_longer_than_the_models_is_refused():
    with pytest.raises(ValueError, match="context is 9; this model sees at most 8 tokens"):
        train(small_model(), DATA, settings(context=9))


def test_each_part_of_a_mixture_is_looked_at_before_any_step():
    for mixed in (Mixed(DATA, TokenStream([1, 2]), 0.5), Mixed(Examples([([1] * 12, 1)]), DATA, 0.5)):
        with pytest.raises(ValueError, match="ids has 2 tokens|an example has 12 tokens"):
            train(small_model(), mixed, settings())


@pytest.mark.parametrize(("change", "words"), [({"batch": 0}, "batch is 0; give"), ({"batches": 0}, "batches is 0; g")])
def test_evaluate_needs_an_example_and_a_batch(change, words):
    with pytest.raises(ValueError, match=words):
        evaluate(small_model(), DATA, **change)


def test_matrices_inside_the_blocks_can_be_all_that_is_trained():
    model = small_model().requires_grad_(False)
    matrix = model.blocks[0].attention.out.weight.requires_grad_(True)
    before = weights(model)
    train(model, DATA, settings())
    assert int((weights(model) != before).sum()) == matrix.numel()


def test_a_model_in_which_all_is_frozen_is_refused():
    with pytest.raises(ValueError, match="model has no parameter with requires_grad; call"):
        train(small_model().requires_grad_(False), DATA, settings())


def test_an_encoder_cannot_be_trained_to_go_on():
    encoder = Transformer(Config(vocabulary=13, context=8, d_model=16, layers=1, heads=2, causal=False))
    with pytest.raises(ValueError, match="model gives no scores of next tokens"):
        train(encoder, DATA, settings())


@pytest.mark.parametrize(("change", "words"), [
    ({"steps": 0}, "steps is 0"), ({"batch": 2.0}, "batch is 2.0"), ({"accumulate": 4}, "accumulate is 4; it must div"),
    ({"learning_rate": 0.0}, "learning_rate is 0.0"), ({"clip": float("nan")}, "clip is nan"),
    ({"optimizer": "sgd"}, "optimizer is 'sgd'; choose"), ({"warmup": 13}, "warmup is 13"),
    ({"precision": "int8"}, "precision is 'int8'"), ({"checkpoint_every": 0}, "checkpoint_every is 0"),
    ({"context": 0}, "context is 0"), ({"weight_decay": -0.1}, "weight_decay is -0.1; give"),
    ({"betas": (0.9, 1.0)}, r"betas is \(0.9, 1.0\); give"), ({"seed": 1.5}, "seed is 1.5; give a whole number, at l"),
])
def test_settings_that_cannot_be_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        settings(**change)


# Processes, compilation, precision ------------------------------------------------------------------------------------


def in_two_processes(script, *arguments):
    """Start a script of tests/ with torchrun and wait for its end."""
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                           str(ROOT / "tests" / script), *map(str, arguments)],
                          env=one_thread(), cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("accumulate", ["1", "3"])
def test_two_processes_see_the_losses_of_one(tmp_path, accumulate):
    one = start(tmp_path / "one", extra=[accumulate])
    assert one.wait(timeout=120) == 0
    in_two_processes("training_script.py", tmp_path / "two", "12", "0", accumulate)
    alone = json.loads((tmp_path / "one" / "losses_0.json").read_text())
    first, second = (json.loads((tmp_path / "two" / f"losses_{rank}.json").read_text()) for rank in (0, 1))
    assert len(alone) == 12 and first == second
    assert first == pytest.approx(alone, abs=1e-4)
    assert checkpoints.newest(tmp_path / "two").step == 12


def test_a_stop_in_one_of_two_processes_stops_both_after_the_same_step(tmp_path):
    in_two_processes("training_script.py", tmp_path, "12", "0", "1", "4")
    assert [len(json.loads((tmp_path / f"losses_{rank}.json").read_text())) for rank in (0, 1)] == [5, 5]
    assert checkpoints.newest(tmp_path).step == 5


def test_two_processes_train_many_models_in_one_program(tmp_path):
    """With a group of its own for each training, such a program failed or hung."""
    in_two_processes("many_trainings_script.py", tmp_path)
    first, second = ((tmp_path / f"losses_{rank}.txt").read_text() for rank in (0, 1))
    assert first == second and first.count("[") == 21


def test_compile_without_a_compiler_says_so_and_trains_on(monkeypatch, capsys):
    model, same = small_model(), small_model()

    def no_compiler(*arguments, **options):
        raise torch._inductor.exc.InductorError(RuntimeError("No working C++ compiler found"), None)

    monkeypatch.setattr(torch, "compile", lambda model: lambda ids: no_compiler())
    history = train(model, DATA, settings(compile=True))
    assert "compile=True has no effect here, training goes on without" in capsys.readouterr().out
    plain = train(same, DATA, settings())
    assert history.losses == plain.losses and torch.equal(weights(model), weights(same))


def test_bfloat16_trains_nearly_as_float32_and_keeps_the_weights_in_float32():
    model = small_model()
    half = train(model, DATA, settings(precision="bfloat16"))
    whole = train(small_model(), DATA, settings())
    assert half.losses == pytest.approx(whole.losses, abs=0.02) and half.losses != whole.losses
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
