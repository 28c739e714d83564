"""The same pictures under sliders, and a chat panel.

Every view is one output with two forms: the live widget for whoever has a kernel, and a still picture (or text) for
GitHub, for a notebook that was reopened, for a reader without a kernel. Storing a notebook keeps the still form.
Only what ipywidgets 7.7 and 8 share is used.
"""
import base64
import html
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import ipywidgets
from IPython.display import display

from helpers import plots
from helpers.plots import Picture
from helpers.waiting import live

if TYPE_CHECKING:
    from helpers.chat import Chat
    from helpers.kv_cache import KVCache

WIDE = {"description_width": "130px"}


def show(widget: ipywidgets.Widget, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
    """Display a widget together with its still form, as one output. data: MIME type to content, such as a Picture's."""
    display(live(widget) | data, raw=True, metadata=metadata or {})


def show_picture(widget: ipywidgets.Widget, picture: Picture) -> None:
    """Display a widget whose still form is a picture."""
    encoded = base64.b64encode(picture.png).decode()
    show(widget, {"image/png": encoded, "text/plain": picture.alt}, picture.metadata)


def slider(label: str, value: float, low: float, high: float, step: float) -> ipywidgets.Widget:
    """A labelled slider, whole numbers when `step` is whole; it reports when it is let go."""
    kind = ipywidgets.IntSlider if isinstance(step, int) else ipywidgets.FloatSlider
    return kind(value=value, min=low, max=high, step=step, description=label, continuous_update=False, style=WIDE,
                layout={"width": "420px"})


def text(label: str, value: str) -> ipywidgets.Text:
    """A labelled line of text; it reports when Enter is pressed."""
    return ipywidgets.Text(value=value, description=label, continuous_update=False, style=WIDE,
                           layout={"width": "640px"})


def choice(label: str, options: Sequence[str]) -> ipywidgets.Widget:
    """A labelled list to choose one of; the first is chosen to begin with."""
    return ipywidgets.Dropdown(options=list(options), description=label, style=WIDE, layout={"width": "420px"})


def explore(draw: Callable[..., Picture], **controls: ipywidgets.Widget) -> None:
    """Show a picture that is drawn anew whenever a control changes.

    draw: takes the value of each control under its name, returns a Picture. Bad input it refuses with a ValueError is
    shown as a sentence below the controls, and the last good picture stays.
    """
    first = draw(**{name: control.value for name, control in controls.items()})
    image = ipywidgets.Image(value=first.png, format="png", layout={"width": f"{first.width}px", "max_width": "100%"})
    words = ipywidgets.HTML()

    def redraw(change: dict) -> None:
        try:
            picture = draw(**{name: control.value for name, control in controls.items()})
        except ValueError as error:
            words.value = f"<b>Not drawn:</b> {html.escape(str(error))}"
            return
        image.value = picture.png
        image.layout.width = f"{picture.width}px"
        words.value = described(picture.alt)

    for control in controls.values():
        control.observe(redraw, names="value")
    words.value = described(first.alt)
    show_picture(ipywidgets.VBox([*controls.values(), image, words]), first)


def described(alt: str) -> str:
    """A picture's words, folded: ipywidgets' Image takes no alt text, and a screen reader needs some."""
    return f"<details><summary>The picture in words</summary>{html.escape(alt)}</details>"


def question(question: str, choices: list[str], guess: str | None, on_guess: Callable[[str], None]) -> None:
    """A question with choices to click; `on_guess` gets each choice made.

    Without a kernel: the question, and its choices folded below it, so that the reader can think first.
    """
    buttons = ipywidgets.RadioButtons(options=choices, value=guess, description="Your guess",
                                      layout={"width": "max-content"})
    kept = ipywidgets.HTML("This was your guess. Run the next cells and see." if guess is not None else "")

    def keep(change: dict) -> None:
        try:
            on_guess(change["new"])
            kept.value = "Kept. Now run the next cells and see."
        except OSError as error:                            # nobody else sees what a callback raises
            kept.value = f"<b>Not kept:</b> {html.escape(str(error))}"

    buttons.observe(keep, names="value")
    title = f"<p><b>Before you go on:</b> {html.escape(question, quote=False)}</p>"
    items = "".join(f"<li>{html.escape(choice, quote=False)}</li>" for choice in choices)
    fold = f"<details><summary>What is your guess? The choices</summary><ul>{items}</ul></details>"
    plain = f"Before you go on: {question}\n" + "\n".join(f"  ( ) {choice}" for choice in choices)
    show(ipywidgets.VBox([ipywidgets.HTML(title), buttons, kept]),
         {"text/plain": plain, "text/html": f"{title}{fold}"})


class ChatPanel:
    """A chat with the model: each token is coloured by its probability as it streams.

    Generation runs in a thread of its own, so that Stop works while the model writes, in every front end. It is
    looked at after each token, so not before the first: a message that is being read is read to its end.
    """

    def __init__(self, chat: "Chat", message: str = "", max_new_tokens: int = 200):
        self.chat, self.max_new_tokens = chat, max_new_tokens
        self.message = text("Message", message)
        self.message.continuous_update = True               # so that Enter sends what is in the box
        self.message.placeholder = "Type, then press Enter"
        self.message.on_msg(lambda box, content, buffers: content.get("event") == "submit" and self.start())
        self.send = ipywidgets.Button(description="Send", button_style="primary", tooltip="Send the message")
        self.stop = ipywidgets.Button(description="Stop", disabled=True, tooltip="Stop writing; what is written stays")
        self.clear = ipywidgets.Button(description="New chat", tooltip="Forget this conversation")
        self.temperature = slider("Temperature", 0.7, 0.0, 2.0, 0.1)
        self.top_k = slider("Top-k (0 keeps all)", 50, 0, 200, 1)
        self.top_p = slider("Top-p", 0.95, 0.05, 1.0, 0.05)
        self.transcript = ipywidgets.HTML()
        self.gauges = ipywidgets.HTML()                     # what is measured while the model writes
        self.status = ipywidgets.HTML()
        self.pages: list[str] = []                          # finished turns, as HTML
        self.stopping = threading.Event()
        self.writer: threading.Thread | None = None
        self.send.on_click(self.start)
        self.stop.on_click(lambda button: self.stopping.set())
        self.clear.on_click(self.reset)
        self.panel = ipywidgets.VBox([
            self.transcript, ipywidgets.HBox([self.message, self.send, self.stop, self.clear]),
            self.gauges, self.temperature, self.top_k, self.top_p, self.status])

    def start(self, button: ipywidgets.Button | None = None) -> None:
        """Answer the message in the box."""
        if self.writer is not None and self.writer.is_alive():
            return
        message = self.message.value
        if not message.strip():
            self.status.value = "Type a message first."
            return
        self.message.value = ""
        self.send.disabled, self.clear.disabled, self.stop.disabled = True, True, False
        self.stopping.clear()
        self.writer = threading.Thread(target=self.write, args=(message,), daemon=True)
        self.writer.start()

    def write(self, message: str) -> None:
        """Stream one answer into the transcript."""
        mine = f"<p><b>You:</b> {html.escape(message, quote=False)}</p>"
        chips: list[str] = []
        entropies: list[float] = []
        start, first = time.perf_counter(), 0.0
        self.transcript.value = "".join(self.pages) + mine
        self.status.value = "The model reads your message …"
        try:
            stream = self.chat.stream(message, max_new_tokens=self.max_new_tokens, top_p=self.top_p.value,
                                      temperature=self.temperature.value, top_k=self.top_k.value or None)
            with closing(stream):
                for token in stream:
                    chips.append(chip(token.text, token.probability))
                    entropies.append(token.entropy)
                    now = time.perf_counter() - start
                    first = first or now
                    self.gauges.value = gauges(token.probability, entropies, first, now, self.chat.cache)
                    self.transcript.value = "".join(self.pages) + mine + answer(chips)
                    if self.stopping.is_set():
                        break
            self.status.value = f"{len(chips)} tokens{', stopped by you' if self.stopping.is_set() else ''}. " + LEGEND
        except Exception as error:                          # nobody else sees what a thread raises
            self.status.value = f"<b>{'Broken off' if chips else 'Not sent'}:</b> {html.escape(str(error))}"
            if not chips:                                   # else the chat keeps the message, and the answer so far
                self.message.value = message                # to be mended, not typed again
        finally:
            if chips:
                self.pages.append(mine + answer(chips))
            self.transcript.value = "".join(self.pages)
            self.send.disabled, self.clear.disabled, self.stop.disabled = False, False, True

    def reset(self, button: ipywidgets.Button) -> None:
        """Begin a new conversation."""
        self.chat.reset()
        self.pages.clear()
        self.transcript.value, self.status.value, self.gauges.value = "", "", ""


GAUGE_BARS = 120                                            # tokens whose entropy is shown
LEGEND = "Pale yellow: the model was sure of the token. Dark: it was one of many that could have come."


def answer(chips: list[str]) -> str:
    return f"<p><b>Model:</b> {''.join(chips)}</p>"


def chip(piece: str, probability: float) -> str:
    """A token as HTML, coloured by its probability, which is also its tooltip."""
    red, green, blue, _ = plots.share_colour(probability)
    ink = plots.INK if probability > 0.3 else "white"
    shown = html.escape(piece, quote=False).replace("\n", "<br>")
    return (f'<span title="{probability:.0%}" style="background-color: rgb({red * 255:.0f}, {green * 255:.0f}, '
            f'{blue * 255:.0f}); color: {ink}; white-space: pre-wrap">{shown}</span>')


def gauges(probability: float, entropies: Sequence[float], first: float, now: float, cache: "KVCache") -> str:
    """What was measured up to the newest token, as HTML: a line of numbers, and a bar of entropy for each token.

    probability: of the newest token. entropies: of each token, in bits. first, now: seconds from the question to the
    first and to the newest token.
    """
    pace = f"{(len(entropies) - 1) / (now - first):.0f} tokens a second" if now > first else "the first token"
    megabytes = cache.length * cache.bytes_per_token / 1e6
    line = (f"{pace}, the first after {first:.2f} s; the newest had {probability:.0%} of the probability, among "
            f"{entropies[-1]:.1f} bits of choice; the cache holds {cache.length:,} tokens, {megabytes:.1f} MB")
    shown = entropies[-GAUGE_BARS:]
    heights = [round(max(1, min(40, 4 * bits))) for bits in shown]
    bars = "".join(f'<rect x="{5 * place}" y="{40 - height}" width="4" height="{height}" fill="{plots.ACCENT}"/>'
                   for place, height in enumerate(heights))
    return (f'<p style="margin: 0">{line}</p><svg role="img" aria-label="Bits of choice at each token" height="42" '
            f'width="{5 * GAUGE_BARS}">{bars}</svg>')


def chat_panel(chat: "Chat", still: Picture, message: str = "", max_new_tokens: int = 200) -> ChatPanel:
    """Show a chat panel. still: the picture that stands in its place where no kernel runs."""
    panel = ChatPanel(chat, message, max_new_tokens)
    show_picture(panel.panel, still)
    return panel
