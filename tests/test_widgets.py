"""Views: one output with a live and a still form, which follows its controls and says what it cannot draw."""
import re
import threading
from types import SimpleNamespace

import ipywidgets
import pytest

from helpers import plots, waiting, widgets
from helpers.chat import Chat
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, as (data, metadata)."""
    outputs = []
    monkeypatch.setattr(widgets, "display", lambda data, raw, metadata: outputs.append((data, metadata)))
    return outputs


def draw(n, word):
    if n > 8:
        raise ValueError(f"n is {n}; give at most 8.")
    return plots.tokens([word] * n, title=f"{n} tokens")


def explored(shown):
    """A view of `draw`: its box's children (two controls, the image, the words), and what was displayed."""
    boxes = []
    with pytest.MonkeyPatch.context() as patch:
        vbox = widgets.ipywidgets.VBox
        patch.setattr(widgets.ipywidgets, "VBox", lambda children: boxes.append(vbox(children)) or boxes[-1])
        widgets.explore(draw, n=widgets.slider("Count", 2, 1, 10, 1), word=widgets.text("Word", "cat"))
    (data, metadata), = shown
    return *boxes[0].children, data, metadata


def test_a_view_is_one_output_with_a_live_and_a_still_form(shown):
    *_, data, metadata = explored(shown)
    assert set(data) == {waiting.WIDGET, "image/png", "text/plain"}
    assert metadata["image/png"]["alt"] == data["text/plain"] == draw(2, "cat").alt


def test_a_control_that_moves_draws_anew(shown):
    n, word, image, words, *_ = explored(shown)
    n.value = 5
    assert image.value == draw(5, "cat").png and draw(5, "cat").alt in words.value
    word.value = "dog"
    assert image.value == draw(5, "dog").png


def test_what_cannot_be_drawn_is_said_and_the_last_picture_stays(shown):
    n, _, image, words, *_ = explored(shown)
    n.value = 9
    assert image.value == draw(2, "cat").png and "n is 9; give at most 8." in words.value
    n.value = 3
    assert image.value == draw(3, "cat").png and "Not drawn" not in words.value


def test_every_control_has_a_label_and_waits_until_it_is_let_go():
    for control in (widgets.slider("Temperature", 1.0, 0.0, 2.0, 0.1), widgets.slider("Top-k", 5, 0, 9, 1),
                    widgets.text("Prompt", "x")):
        assert control.description and control.continuous_update is False
    choice = widgets.choice("Tokenizer", ["GPT-2", "GPT-4"])                  # a click is all there is to wait for
    assert choice.description == "Tokenizer" and choice.value == "GPT-2"


def test_a_question_keeps_what_is_clicked(shown, monkeypatch):
    guesses, made, radio = [], [], widgets.ipywidgets.RadioButtons
    monkeypatch.setattr(widgets.ipywidgets, "RadioButtons", lambda **kw: made.append(radio(**kw)) or made[-1])
    widgets.question("Is 2 < 3?", ["yes & no", "no"], None, guesses.append)
    (data, _), = shown
    assert data["text/plain"] == "Before you go on: Is 2 < 3?\n  ( ) yes & no\n  ( ) no"
    seen, folded = data["text/html"].split("<details>")
    assert "Is 2 &lt; 3?" in seen and "<li>yes &amp; no</li>" in folded
    made[0].value = "no"
    assert guesses == ["no"]


def test_a_guess_made_before_is_shown_and_one_that_cannot_be_kept_is_said(shown, monkeypatch):
    radio, words = [], []
    for name, made in (("RadioButtons", radio), ("HTML", words)):
        kind = getattr(widgets.ipywidgets, name)
        monkeypatch.setattr(widgets.ipywidgets, name,
                            lambda *args, kind=kind, made=made, **kw: made.append(kind(*args, **kw)) or made[-1])

    def refuse(choice):
        raise OSError("Progress cannot be kept in <here>.")

    widgets.question("Which?", ["left", "right"], "left", refuse)
    assert radio[0].value == "left" and any("This was your guess." in one.value for one in words)
    radio[0].value = "right"
    assert any("<b>Not kept:</b> Progress cannot be kept in &lt;here&gt;." == one.value for one in words)


class Token:
    def __init__(self, text, probability):
        self.text, self.probability, self.entropy = text, probability, 8 * probability


class SlowChat:
    """Answers with "a b c d …" until closed; each token waits for permission."""

    def __init__(self, tokens=4, error=None, after=0):
        self.tokens, self.error, self.after = tokens, error, after
        self.asked, self.closed, self.resets = [], 0, 0
        self.go = threading.Semaphore(0)
        self.cache = SimpleNamespace(length=250, bytes_per_token=8_000)

    def stream(self, message, **settings):
        self.asked.append((message, settings))
        return self.write()

    def write(self):
        try:
            for i in range(self.tokens):
                if self.error and i == self.after:
                    raise self.error
                assert self.go.acquire(timeout=10)
                yield Token(f" <{i}>", i / self.tokens)
        finally:
            self.closed += 1

    def reset(self):
        self.resets += 1


def finish(panel):
    panel.writer.join(timeout=10)
    assert not panel.writer.is_alive()


def test_the_chat_streams_tokens_into_the_transcript():
    chat = SlowChat()
    panel = widgets.ChatPanel(chat, "Hello <b>")
    panel.send.click()
    chat.go.release(chat.tokens)
    finish(panel)
    assert "Hello &lt;b&gt;" in panel.transcript.value
    assert "> &lt;3&gt;</span>" in panel.transcript.value and 'title="75%"' in panel.transcript.value
    assert chat.asked == [("Hello <b>", {"max_new_tokens": 200, "temperature": 0.7, "top_k": 50, "top_p": 0.95})]
    assert panel.message.value == "" and not panel.send.disabled and panel.stop.disabled


def test_gauges_say_what_was_measured():
    cache = SimpleNamespace(length=1_250, bytes_per_token=8_000)
    page = widgets.gauges(0.25, [0.0, 2.5, 20.0], first=0.5, now=2.5, cache=cache)
    assert "1 tokens a second, the first after 0.50 s" in page and "25% of the probability, among 20.0 bits" in page
    assert "1,250 tokens, 10.0 MB" in page
    heights = [int(height) for height in re.findall(r'width="4" height="(\d+)"', page)]
    assert heights == [1, 10, 40]                                   # a bit is four high; nothing is invisible or cut
    assert "the first token, the first after 0.50 s" in widgets.gauges(1.0, [0.0], 0.5, 0.5, cache)
    assert widgets.gauges(1.0, [1.0] * 500, 0.5, 9.0, cache).count("<rect") == widgets.GAUGE_BARS


def test_gauges_move_while_the_model_writes_and_go_with_the_chat():
    chat = SlowChat()
    panel = widgets.ChatPanel(chat, "Hello")
    panel.send.click()
    chat.go.release(chat.tokens)
    finish(panel)
    assert "250 tokens, 2.0 MB" in panel.gauges.value and "6.0 bits of choice" in panel.gauges.value
    panel.clear.click()
    assert panel.gauges.value == ""


def test_stop_ends_the_answer_and_keeps_what_was_written():
    chat = SlowChat(tokens=100)
    panel = widgets.ChatPanel(chat, "Hello")
    panel.send.click()
    chat.go.release(2)
    panel.stop.click()
    chat.go.release(2)
    finish(panel)
    assert chat.closed == 1 and "stopped by you" in panel.status.value
    assert "&lt;0&gt;" in panel.transcript.value and "&lt;99&gt;" not in panel.transcript.value


def test_a_message_that_is_refused_is_said_and_given_back():
    panel = widgets.ChatPanel(SlowChat(error=ValueError("message is too long; shorten it.")), "Hello")
    panel.send.click()
    finish(panel)
    assert "message is too long; shorten it." in panel.status.value
    assert panel.message.value == "Hello" and not panel.send.disabled


def test_a_message_whose_answer_was_begun_is_not_given_back():
    """The chat keeps both, so Enter must not ask again."""
    chat = SlowChat(error=ValueError("logits hold NaN."), after=2)
    panel = widgets.ChatPanel(chat, "Hello")
    panel.send.click()
    chat.go.release(2)
    finish(panel)
    assert "Broken off" in panel.status.value and panel.message.value == "" and not panel.send.disabled
    assert "Hello" in panel.transcript.value and "&lt;1&gt;" in panel.transcript.value


def test_a_message_that_a_real_chat_refuses_is_said_and_the_panel_lives_on():
    model = Transformer(Config(vocabulary=260, context=64, d_model=8, layers=1, heads=1)).eval()
    tokenizer = BPETokenizer.train("to be or not to be", vocab_size=260)
    chat = Chat(model, tokenizer, template="{% for m in messages %}{{ m.content }}\n{% endfor %}")
    panel = widgets.ChatPanel(chat, "to be " * 100, max_new_tokens=5)
    panel.send.click()
    finish(panel)
    assert "Not sent" in panel.status.value and "shorten the message" in panel.status.value
    assert not panel.send.disabled and panel.message.value == "to be " * 100
    panel.message.value = "hi"
    panel.send.click()
    finish(panel)
    assert "Model:" in panel.transcript.value


def test_enter_sends_the_message():
    chat = SlowChat()
    panel = widgets.ChatPanel(chat, "Hello")
    panel.message._handle_custom_msg({"event": "submit"}, [])           # what the browser sends on Enter
    chat.go.release(chat.tokens)
    finish(panel)
    assert chat.asked[0][0] == "Hello"


def test_an_empty_message_is_not_sent():
    chat = SlowChat()
    panel = widgets.ChatPanel(chat, "  ")
    panel.send.click()
    assert panel.writer is None and chat.asked == [] and "Type a message" in panel.status.value


def test_a_new_chat_forgets():
    chat = SlowChat()
    panel = widgets.ChatPanel(chat, "Hello")
    panel.send.click()
    chat.go.release(chat.tokens)
    finish(panel)
    panel.clear.click()
    assert chat.resets == 1 and panel.transcript.value == ""


def test_a_bar_in_a_terminal_counts_to_its_end(capsys):
    with waiting.bar(3, "Reading") as step:
        step(1)
        step(2)
    assert "Reading" in capsys.readouterr().err


def test_a_bar_in_a_notebook_leaves_only_a_view_marked_as_passing(monkeypatch):
    outputs = []
    monkeypatch.setattr(waiting, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata: outputs.append((data, metadata)))
    with waiting.bar(3, "Reading") as step:
        step(2)
    (data, metadata), = outputs
    assert set(data) == {waiting.WIDGET} and metadata == {"press_enter": {"transient": True}}


def test_a_bar_changes_its_widget_a_hundred_times_at_most(monkeypatch):
    widget = ipywidgets.IntProgress(max=5000)
    values = []
    widget.observe(lambda change: values.append(change["new"]), "value")
    monkeypatch.setattr(waiting, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: None)
    monkeypatch.setattr("ipywidgets.IntProgress", lambda **_: widget)
    with waiting.bar(5000, "Reading") as step:
        for _ in range(5000):
            step(1)
    assert values == list(range(50, 5001, 50))
