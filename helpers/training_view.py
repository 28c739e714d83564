"""Look on while a model trains: the loss, the learning rate, tokens a second, what it writes, and a Stop button.

    history = train(model, data, config, held_out=other, watch=LiveView(lambda model: write(model, "Once")))

When the training has ended, the panel gives way to a still picture of the loss, which is what a stored notebook keeps.
"""
import html
import threading
import time
from collections.abc import Callable

import ipywidgets
from IPython.display import display

from helpers import charts
from helpers.plots import Picture
from helpers.proof import approximately
from helpers.training import History
from helpers.transformer import Transformer, evaluating
from helpers.waiting import in_notebook, live

UPDATES, PICTURES, SAMPLES = 100, 20, 10        # at most, over a whole training: each is a message to the browser


class LiveView:
    """A panel that `train` keeps up to date. In a terminal it prints a line instead.

    sample: writes something with the model as it is now; shown ten times in a training, beside the step. What it
        raises ends the training: it is your code.
    title: what the picture at the end is called; None says how far the loss fell.
    The Stop button ends the training after its step, in a front end that delivers clicks while a cell runs: JupyterLab
    from 4.4 on, with ipykernel from 7 on. Elsewhere (Colab) interrupt the kernel, which does the same.
    """

    def __init__(self, sample: Callable[[Transformer], str] | None = None, title: str | None = None):
        self.sample, self.title = sample, title
        self.stopping = threading.Event()
        self.samples: list[tuple[int, str]] = []            # after how many steps, what it wrote
        self.panel: ipywidgets.Widget | None = None
        self.looking = False                                # from the first step of a training to its end

    def open(self, steps: int) -> None:
        """Show the panel."""
        self.bar = ipywidgets.IntProgress(value=0, max=steps, description="Training",
                                          style={"description_width": "initial"}, layout={"width": "420px"})
        self.stop = ipywidgets.Button(description="Stop", tooltip="End after this step; what is learned stays. "
                                                                "Interrupting the kernel does the same.")
        self.stop.on_click(lambda button: self.stopping.set())
        heard_while_busy(self.stop)
        self.status, self.words = ipywidgets.HTML(), ipywidgets.HTML()
        self.image = ipywidgets.Image(format="png", layout={"width": "720px", "max_width": "100%"})
        self.image.layout.display = "none"                  # until there is a picture
        self.panel = ipywidgets.VBox([ipywidgets.HBox([self.bar, self.stop]), self.status, self.image, self.words])
        display(live(self.panel), raw=True, metadata={"press_enter": {"transient": True}})

    def step(self, model: Transformer, history: History, steps: int) -> None:
        """Called by `train` after each step: show what is new, not more often than anybody can read."""
        if not self.looking:
            self.looking, self.told, self.clock, self.seen = True, -1, 0.0, (0, 0.0)
            self.samples.clear()
            if in_notebook():
                self.open(steps)
        done, last = history.step, history.step == steps
        if self.sample is not None and (last or due(done, steps, SAMPLES)):
            with evaluating(model):
                self.samples.append((done, self.sample(model)))
        if self.panel is None:
            if last or due(done, steps, PICTURES):
                print(self.line(history), *(text for at, text in self.samples[-1:] if at == done), sep="\n", flush=True)
            return
        if not last and (not due(done, steps, UPDATES) or time.perf_counter() - self.clock < 0.5):
            return
        self.clock = time.perf_counter()
        self.bar.value, self.status.value = done, html.escape(self.line(history))
        if self.samples:
            at, text = self.samples[-1]
            self.words.value = f"<p>After step {at}:</p><blockquote>{html.escape(text, quote=False)}</blockquote>"
        if done * PICTURES // steps > self.told and len(history.losses) > 1:
            self.told = done * PICTURES // steps
            self.image.value, self.image.layout.display = self.picture(history).png, ""

    def line(self, history: History) -> str:
        """Where it stands, in one line."""
        tokens, seconds = history.tokens - self.seen[0], history.seconds - self.seen[1]
        self.seen = (history.tokens, history.seconds)
        speed = f"{tokens / seconds:,.0f} tokens a second" if seconds > 0 else ""
        held = f", held-out {history.held_out[-1][1]:.3f}" if history.held_out else ""
        return (f"step {history.step}: loss {history.losses[-1]:.3f}{held}, learning rate at "
                f"{history.rates[-1]:.0%}, {speed}")

    def close(self, model: Transformer, history: History) -> None:
        """Called by `train` at the end: the still picture takes the panel's place."""
        if self.panel is not None:
            self.panel.close()
            self.panel = None
        self.looking = False
        self.stopping.clear()                               # the next training with this view is another one
        if in_notebook() and len(history.losses) > 1:
            display(self.picture(history))

    def picture(self, history: History) -> Picture:
        """The loss of each batch, smoothed, and that of held-out text."""
        losses = smoothed(history.losses)
        series = {"batches, smoothed": (range(1, len(losses) + 1), losses)}
        points = {}
        if history.held_out:
            points["held-out text"] = tuple(zip(*history.held_out, strict=True))
        title = self.title or (f"The loss goes from {approximately(history.losses[0])} to {approximately(losses[-1])} "
                               f"in {len(losses)} steps")
        return charts.lines(series, title, "step", "loss a token, in nats", points=points)


class Silent:
    """A watcher that shows nothing and stops nothing: such a training is one step of somebody else's progress bar."""

    def __init__(self):
        self.stopping = threading.Event()

    def step(self, model: Transformer, history: History, steps: int) -> None:
        """Say nothing."""

    def close(self, model: Transformer, history: History) -> None:
        """Say nothing."""


def heard_while_busy(widget: ipywidgets.Widget) -> None:
    """Let a widget's events come in while its cell runs, where the front end sends them to a subshell, a second thread.

    ipykernel from 7.4 on brings them to the thread that last wrote to the widget instead. That is the cell's, which
    reads nothing before its end. Without its lookup on this widget's comm, they go where the front end sent them.
    """
    widget.comm._reply_subshell_for = None


def due(done: int, steps: int, times: int) -> bool:
    """Whether one of `times` moments, evenly spread over the steps, falls on this step."""
    return done * times // steps > (done - 1) * times // steps


def smoothed(losses: list[float], keep: float = 0.9) -> list[float]:
    """A running mean that forgets a tenth a step; it begins at the first loss, without looking back."""
    mean, weight, made = 0.0, 0.0, []
    for loss in losses:
        mean, weight = keep * mean + (1 - keep) * loss, keep * weight + (1 - keep)
        made.append(mean / weight)
    return made
