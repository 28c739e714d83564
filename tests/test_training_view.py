"""The live view shows a training, stops it, and leaves a still picture; a kernel survives an interrupt."""
import threading

import pytest

from helpers import training_view
from helpers.training import History, TokenStream, TrainConfig, train
from helpers.training_view import LiveView, Silent, due, smoothed
from tests.kernel import Kernel
from tests.training_script import IDS, small_model

DATA = TokenStream(IDS)


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would display, in order."""
    outputs = []
    monkeypatch.setattr(training_view, "in_notebook", lambda: True)
    monkeypatch.setattr(training_view, "display", lambda *what, **how: outputs.append((what[0], how)))
    return outputs


def test_the_panel_lives_while_the_model_trains_and_a_picture_stays(shown):
    view = LiveView(lambda model: f"wrote, training={model.training}")
    panels = []
    opened = view.open

    def open_and_keep(steps):
        opened(steps)
        panels.append((view.panel, view.bar, view.status, view.words, view.image))
    view.open = open_and_keep
    history = train(small_model(), DATA, TrainConfig(steps=30, batch=4), held_out=DATA, watch=view)
    (live, how), (picture, _) = shown
    assert list(live) == ["application/vnd.jupyter.widget-view+json"] and how["metadata"]["press_enter"]["transient"]
    panel, bar, status, words, image = panels[0]
    assert bar.value == 30 and "step 30: loss" in status.value and "tokens a second" in status.value
    assert "held-out" in status.value and "wrote, training=False" in words.value and len(image.value) > 1000
    assert panel.comm is None and view.panel is None         # closed
    assert "30 steps" in picture.alt and "held-out text: 1 points" in picture.alt
    assert [step for step, _ in view.samples] == list(range(3, 31, 3)) and history.step == 30


def test_the_stop_button_ends_the_training_after_its_step(shown):
    view = LiveView()
    opened = view.open

    def open_and_click(steps):
        opened(steps)
        view.stop.click()
    view.open = open_and_click
    history = train(small_model(), DATA, TrainConfig(steps=30, batch=4), watch=view)
    assert history.step == 2 and history.stopped == "stopped after step 2 of 30"     # clicked when step 1 was shown


def test_a_silent_watcher_shows_nothing_and_stops_nothing(shown, capsys):
    assert train(small_model(), DATA, TrainConfig(steps=5, batch=4), watch=Silent()).step == 5
    assert shown == [] and capsys.readouterr() == ("", "")


def test_a_view_can_be_used_again_after_a_stop(shown):
    view = LiveView(lambda model: "Once")
    opened = view.open

    def open_and_click(steps):
        opened(steps)
        view.stop.click()
    view.open = open_and_click
    assert train(small_model(), DATA, TrainConfig(steps=30, batch=4), watch=view).step == 2
    view.open = opened
    assert train(small_model(), DATA, TrainConfig(steps=10, batch=4), watch=view).step == 10
    assert [step for step, _ in view.samples] == list(range(1, 11))
    assert [isinstance(what, dict) for what, _ in shown] == [True, False, True, False]      # panel, picture, twice


def test_the_panel_does_not_flood_the_browser(shown, monkeypatch):
    view, sent = LiveView(), []
    opened = view.open

    def open_and_count(steps):
        opened(steps)
        for widget in (view.bar, view.status, view.words, view.image):
            widget.observe(lambda change: sent.append(change["name"]), names="value")
    view.open = open_and_count
    clock = [0.0]
    monkeypatch.setattr(training_view.time, "perf_counter", lambda: clock.append(clock[-1] + 1.0) or clock[-1])
    history = History()
    for _ in range(5_000):
        history.losses.append(1.0)
        history.rates.append(1.0)
        view.step(small_model(), history, 5_000)
    assert len(sent) <= 2 * training_view.UPDATES + training_view.PICTURES + 5 and len(sent) > 100


def test_in_a_terminal_it_prints_lines(capsys):
    view = LiveView(lambda model: "Once there was a fox.")
    train(small_model(), DATA, TrainConfig(steps=20, batch=4), watch=view)
    said = capsys.readouterr().out
    assert said.count("step ") == 20 and said.count("Once there was a fox.") == 10
    assert "step 20: loss" in said and "tokens a second" in said


def test_an_error_in_the_sample_is_the_learners_to_see_and_the_panel_goes(shown):
    def wrong(model):
        raise KeyError("fox")
    view = LiveView(wrong)
    with pytest.raises(KeyError, match="fox"):
        train(small_model(), DATA, TrainConfig(steps=30, batch=4), watch=view)
    assert view.panel is None and len(shown) == 2


def test_moments_are_spread_evenly_whatever_the_steps():
    for steps in (7, 10, 99, 1_000):
        moments = [step for step in range(1, steps + 1) if due(step, steps, 10)]
        assert len(moments) == min(10, steps) and moments[-1] == steps


def test_smoothing_begins_at_the_first_loss_and_forgets_slowly():
    assert smoothed([3.0]) == [pytest.approx(3.0)] and smoothed([2.0] * 50)[-1] == pytest.approx(2.0)
    steps = smoothed([4.0] * 20 + [0.0] * 20)
    assert 2.5 < steps[22] < 4.0 and steps[39] < 0.6


# In a real kernel -----------------------------------------------------------------------------------------------------

CELL = """
import torch
from helpers.training import TokenStream, TrainConfig, evaluate, train
from helpers.training_view import LiveView
from helpers.transformer import Config, Transformer
model = Transformer(Config(vocabulary=9, context=16, d_model=32, layers=2, heads=2))
data = TokenStream(torch.arange(900) % 9)
_ = train(model, data, TrainConfig(steps=1))        # PyTorch imports half of itself at the first step
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("state"))
    assert kernel.run(CELL) == ""
    yield kernel
    kernel.end()


@pytest.mark.parametrize("watch", ["None", "LiveView()"])
def test_an_interrupted_kernel_returns_the_last_good_state_and_goes_on(kernel, watch):
    said = kernel.run(f"history = train(model, data, TrainConfig(steps=500_000), watch={watch})", interrupted_after=3)
    assert "Training stopped after step" in said and "KeyboardInterrupt" not in said
    assert kernel.run("print(history.step == len(history.losses) > 3, history.stopped[:18], evaluate(model, data) < 3)"
                      ) == "True stopped after step True\n"
    assert "Training" not in kernel.run("train(model, data, TrainConfig(steps=3)).step")


def test_the_stop_button_is_heard_while_the_cell_runs(kernel):
    said = kernel.run("history = train(model, data, TrainConfig(steps=500_000), watch=LiveView())", clicked="Stop")
    assert "Training stopped after step" in said and "KeyboardInterrupt" not in said
    assert kernel.run("print(history.step == len(history.losses), history.step < 500_000)") == "True True\n"


def test_a_view_from_a_thread_does_not_hang():
    seen = []
    thread = threading.Thread(daemon=True, target=lambda: seen.append(
        train(small_model(), DATA, TrainConfig(steps=3, batch=2), watch=LiveView()).step))
    thread.start()
    thread.join(timeout=60)
    assert seen == [3]
