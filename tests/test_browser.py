"""Lesson 00 and an exercise in a real browser: JupyterLab as `course.py lab` opens it, used as a learner would.

Skipped where there is no Chromium or no playwright; with REQUIRE_BROWSER=1 that is a failure.
COURSE_SCREENSHOTS names a folder for pictures of the whole lesson, in both themes, to look at.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import course
from tools import notebook_store

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
             "--disable-component-update --disable-sync").split()
REPOSITORY = Path(course.__file__).parent              # where course.py starts JupyterLab
SECOND = 1000                                          # playwright counts milliseconds
RUN_ALL = 400 * SECOND
PROMPTS = ".jp-Notebook .jp-CodeCell .jp-InputPrompt"
WIDGET_ERRORS = ("Error displaying widget", "Error creating widget", "Loading widget...")


# What a learner does

def test_all_cells_run(lesson):
    for kind in ("error", "stderr"):
        assert lesson.locator(f'[data-mime-type="application/vnd.jupyter.{kind}"]').all_inner_texts() == []
    for error in WIDGET_ERRORS:
        assert lesson.get_by_text(error).count() == 0


def test_moving_sliders_redraws_their_picture(lesson):
    view = outputs(lesson, lesson.get_by_role("slider"), lesson.locator("img")).first
    picture = view.locator("img").first
    before = picture.get_attribute("src")
    for slider in view.get_by_role("slider").all():
        value = slider.get_attribute("aria-valuenow")
        slider.press("ArrowRight")
        if slider.get_attribute("aria-valuenow") == value:             # it stands at its right end
            slider.press("ArrowLeft")
    wait_until(lambda: picture.get_attribute("src") != before, 60, "the picture did not follow its sliders")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


# The page itself looks: whoever asks from outside misses most states of a short answer while the machine is busy.
KEEP_LENGTHS = """element => {
    element.lengths = [element.innerText.length];
    new MutationObserver(() => {
        const length = element.innerText.length;
        if (length !== element.lengths.at(-1)) element.lengths.push(length);
    }).observe(element, {childList: true, subtree: true});
}"""


def test_chat_streams_an_answer(lesson):
    panel = outputs(lesson, lesson.get_by_role("button", name="Send")).first
    send = panel.get_by_role("button", name="Send")
    panel.get_by_role("textbox", name="Message").fill("What is the capital of France?")
    transcript = panel.locator(".widget-html").first
    transcript.evaluate(KEEP_LENGTHS)
    send.click()

    def lengths():
        return transcript.evaluate("element => element.lengths")

    wait_until(lambda: len(lengths()) > 1 and send.is_enabled(), 120,
               lambda: f"no answer ended; the transcript grew as {lengths()}")
    seen = lengths()
    assert len(seen) > 4, f"the answer came in one piece: {seen}"
    assert seen == sorted(seen), f"the answer lost text while it streamed: {seen}"


def test_a_guess_is_kept(lesson, lab):
    view = outputs(lesson, lesson.get_by_text("From which on is ' Paris' the favourite"), lesson.get_by_role("radio"))
    view.first.get_by_text("one of the last two").click()
    view.first.get_by_text("Kept. Now run the next cells and see.").wait_for()
    guess = json.loads((state_of(lab) / "progress.json").read_text(encoding="utf-8"))["guesses"]["0.a"]
    assert guess["guess"] == guess["outcome"] == "one of the last two"      # all cells had run before


def test_lesson_is_seen_in_both_themes(lesson, screenshots):
    for theme, is_light in {"JupyterLab Dark": "false", "JupyterLab Light": "true"}.items():
        choose(lesson, "Settings", "Theme", theme)
        lesson.locator(f'body[data-jp-theme-light="{is_light}"]').wait_for(state="attached")
        photograph(lesson, screenshots / f"live {theme.split()[1].lower()}.png")


def test_reopened_lesson_shows_pictures(reopened, lab, screenshots):
    photograph(reopened, screenshots / "reopened light.png")
    stored = [out for cell in notebook_store.read(lab[1]).cells for out in cell.get("outputs", ())]
    pictures = [out for out in stored if "image/png" in out.get("data", {})]
    shown = outputs(reopened, reopened.locator("img"))
    assert pictures
    wait_until(lambda: shown.count() == len(pictures), 20, f"not all {len(pictures)} pictures are shown")
    for error in WIDGET_ERRORS:
        assert reopened.get_by_text(error).count() == 0


def test_reopened_lesson_folds_the_choices_of_a_question(reopened):
    question = outputs(reopened, reopened.get_by_text("From which on is ' Paris' the favourite")).first
    choice = question.get_by_text("one of the last two")
    assert not choice.is_visible()
    question.locator("summary").click()
    assert choice.is_visible() and question.get_by_role("radio").count() == 0


WRONG = ['return [piece.decode("latin-1") for piece in pieces]']
RIGHT = ["import codecs", 'decoder = codecs.getincrementaldecoder("utf-8")()',
         "return [decoder.decode(piece) for piece in pieces]"]


def test_an_exercise_answers_and_its_pass_outlives_the_kernel(exercise, lab, screenshots):
    stub, check = cell(exercise, "def stream_text("), cell(exercise, 'check("1.2", stream_text)')
    run(cell(exercise, "from helpers.exercises import"))
    run(check)
    printed(check, "NameError")                       # as its cell was not run yet
    run(stub, check)
    printed(check, "1.2 stream_text: not started.")
    write(stub, "raise NotImplementedError()", WRONG)
    run(stub, check)
    printed(check, "1.2 stream_text: not yet.", "latin-1 makes one character of every byte")
    check.screenshot(path=screenshots / "exercise wrong.png")
    write(stub, WRONG[0], RIGHT)
    run(stub, check)
    printed(check, "1.2 stream_text: passed.")
    check.screenshot(path=screenshots / "exercise right.png")

    choose(exercise, "Kernel", "Restart Kernel and Clear Outputs of All Cells…")
    exercise.get_by_role("button", name="Confirm Kernel Restart").click()
    wait_until(lambda: check.locator(".jp-OutputArea-output").count() == 0, 30, "the outputs were not cleared")
    exercise.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    run(cell(exercise, "from helpers.exercises import"))
    progress = cell(exercise, 'progress("01")')
    run(progress)
    printed(progress, "1.1 open", "1.2 done", "1 of 6")
    progress.screenshot(path=screenshots / "progress.png")
    photograph(exercise, screenshots / "exercises.png")
    command = [sys.executable, "-m", "helpers.exercises"]
    told = subprocess.check_output(command, cwd=REPOSITORY, text=True, encoding="utf-8",
                                   env={**os.environ, "COURSE_STATE": str(state_of(lab)), "PYTHONIOENCODING": "utf-8"})
    assert "1.1 open" in told and "1.2 done" in told


TRAINING = [
    "import torch\nfrom helpers.training import TokenStream, TrainConfig, evaluate, train\n"
    "from helpers.training_view import LiveView\nfrom helpers.transformer import Config, Transformer\n"
    "model = Transformer(Config(vocabulary=9, context=16, d_model=32, layers=2, heads=2))\n"
    "data = TokenStream(torch.arange(900) % 9)",
    "history = train(model, data, TrainConfig(steps=50_000), watch=LiveView(lambda model: 'a sample'))",
    "print('kept', history.step == len(history.losses) < 50_000, evaluate(model, data) < 2)",
]


def test_a_training_is_watched_and_stopped_by_its_button(training, screenshots):
    first, long, last = (cell(training, source.split("\n")[-1]) for source in TRAINING)
    run(first)
    long.locator(".cm-content").click()
    training.keyboard.press("Shift+Enter")
    panel = long.locator(".jp-OutputArea-output", has=training.get_by_role("button", name="Stop"))
    panel.locator("img").wait_for(timeout=200 * SECOND)                 # the loss so far
    assert "tokens a second" in panel.inner_text() and "learning rate" in panel.inner_text()
    long.screenshot(path=screenshots / "training.png")
    panel.get_by_role("button", name="Stop").click()
    printed(long, "Training stopped after step", "The model holds what it had learned by then.")
    assert long.get_by_role("button", name="Stop").count() == 0
    run(last)
    printed(last, "kept True True")
    long.screenshot(path=screenshots / "training stopped.png")


def test_nothing_stands_before_the_lesson(reopened):
    assert reopened.get_by_role("dialog").all_inner_texts() == []
    assert reopened.locator(".Toastify__toast").all_inner_texts() == []     # such as a question about news


def test_page_reports_no_error(lesson, reopened, exercise, complaints):
    assert complaints == []


# The pages

@pytest.fixture(scope="module")
def complaints():
    """What any page of this module wrote to its console as an error, or did not catch."""
    return []


@pytest.fixture(scope="module")
def lesson(browser, lab, complaints):
    """The page that `course.py lab` opens, with all cells run."""
    address, path = lab
    cells = [cell for cell in notebook_store.read(path).cells if cell.cell_type == "code"]
    counts = ",".join(f"[{number}]:" for number in range(1, len(cells) + 1))
    with page_at(browser, address, complaints) as page:
        choose(page, "Run", "Run All Cells")
        page.locator(PROMPTS, has_text="[*]").first.wait_for()         # until then it shows the stored counts
        page.wait_for_function(
            "([prompts, counts]) => "
            "[...document.querySelectorAll(prompts)].map(prompt => prompt.textContent).join() === counts",
            arg=[PROMPTS, counts], timeout=RUN_ALL)
        yield page


@pytest.fixture(scope="module")
def reopened(browser, lab, lesson, complaints):
    """The lesson saved, closed, its kernel shut down, and opened again without running a cell."""
    address, path = lab
    before = path.stat().st_mtime_ns
    choose(lesson, "File", "Save Notebook")
    wait_until(lambda: path.stat().st_mtime_ns != before, 20, "the notebook was not saved")
    sessions = f"{address}/api/sessions"
    token = next(cookie["value"] for cookie in lesson.context.cookies() if cookie["name"] == "_xsrf")
    for session in lesson.request.get(sessions).json():
        assert lesson.request.delete(f"{sessions}/{session['id']}", headers={"X-XSRFToken": token}).ok
    lesson.close()
    with page_at(browser, address, complaints) as page:
        yield page


@pytest.fixture(scope="module")
def exercise(browser, lab, complaints):
    """The exercises of lesson 01 in the learner's copy, in a window in which all its cells are drawn."""
    with page_at(browser, f"{lab[0]}/lab/tree/my_course/exercises/01_tokenization.ipynb?reset", complaints) as page:
        page.set_viewport_size({"width": 1280, "height": 9000})
        yield page


@pytest.fixture(scope="module")
def training(browser, lab, complaints):
    """A notebook that trains a small model for longer than anybody would wait."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in TRAINING], metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}})
    (lab[1].parents[1] / "training.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    with page_at(browser, f"{lab[0]}/lab/tree/my_course/training.ipynb?reset", complaints) as page:
        yield page


def cell(page, source):
    """The code cell that holds this text."""
    return page.locator(".jp-Notebook .jp-CodeCell", has=page.locator(".jp-InputArea", has_text=source)).first


def run(*cells):
    """Run cells as a learner does, with Shift+Enter, and wait for the end of each."""
    for cell in cells:
        prompt = cell.locator(".jp-InputPrompt")
        waiting = prompt.inner_text(), "[*]:", "[ ]:"
        cell.locator(".cm-content").click()
        cell.page.keyboard.press("Shift+Enter")
        wait_until(lambda: prompt.inner_text() not in waiting, 60, "the cell did not run to its end")


def write(cell, old, lines):
    """Replace a line of a cell's code by others, on the keyboard."""
    keyboard = cell.page.keyboard
    cell.locator(".cm-line", has_text=old).click()
    keyboard.press("End")
    keyboard.press("Shift+Home")                       # back to where the line is indented
    for i, line in enumerate(lines):
        if i:
            keyboard.press("Enter")
        keyboard.type(line)


def printed(cell, *words):
    """Wait until a cell's output holds all of these."""
    output = cell.locator(".jp-OutputArea-output")
    wait_until(lambda: all(word in " ".join(output.all_inner_texts()) for word in words), 30,
               lambda: f"{words} are not in {output.all_inner_texts()}")


def state_of(lab):
    """The folder in which the lab's kernels keep progress."""
    return lab[1].parents[2] / "course_state"


@contextmanager
def page_at(browser, url, complaints):
    """A page in a fresh profile, once its kernel has answered."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60 * SECOND)
    page.on("pageerror", lambda error: complaints.append(f"not caught: {error}"))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.goto(url)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()         # in the status bar
    yield page
    context.close()


def choose(page, *path):
    """Click through the menus."""
    for item in path:
        page.locator(f'.lm-MenuBar-itemLabel:text-is("{item}"), .lm-Menu-itemLabel:text-is("{item}")').click()


def outputs(page, *inside):
    """The outputs that hold all of these."""
    found = page.locator(".jp-OutputArea-output")
    for locator in inside:
        found = found.filter(has=locator)
    return found


def photograph(page, path):
    """The whole lesson in one picture, in a window as tall as the lesson."""
    end = """() => {
        document.querySelector('.jp-Notebook .jp-WindowedPanel-outer').scrollTop = 0
        return [...document.querySelectorAll('.jp-Notebook .jp-Cell')].at(-1).getBoundingClientRect().bottom
    }"""
    for _ in range(3):                                 # cells that come into sight are drawn, and may grow
        page.set_viewport_size({"width": 1280, "height": min(int(page.evaluate(end)) + 60, 16000)})
        page.wait_for_timeout(SECOND / 2)
    page.screenshot(path=path)
    page.set_viewport_size({"width": 1280, "height": 1000})


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    folder = os.environ.get("COURSE_SCREENSHOTS")
    folder = Path(folder) if folder else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# The browser and JupyterLab

@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        missing("Chromium is not installed: on Debian and Ubuntu, apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def missing(why):
    """Skip, or fail where a browser was promised."""
    (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(why)


@pytest.mark.parametrize("required, outcome", [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_missing_browser_is_skipped_unless_required(monkeypatch, required, outcome):
    monkeypatch.setenv("REQUIRE_BROWSER", required)
    with pytest.raises(outcome, match="no browser here"):
        missing("no browser here")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab over a learner's new copy: its address, which leads to lesson 00, and that lesson's file."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "MINE", home / "my_course")
        course.copy_course()
        patch.setattr(course, "ROOT", home)            # JupyterLab's file browser begins here
        open_to_us = ["--IdentityProvider.token="]
        command = course.lab_command(sys.executable, browser=False, port=port, extra=open_to_us)
    log = home / "lab.log"
    with log.open("w") as output:
        server = psutil.Popen(command, cwd=REPOSITORY, env=environment(home), stdout=output, stderr=output)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{address}/api"), 60, log.read_text)
        yield address, home / "my_course" / course.FIRST_LESSON
    finally:
        end(server)


def environment(home):
    """This user's Jupyter settings, and progress in the course, are neither read nor written."""
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
           "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "COURSE_STATE")
    return {**os.environ, **{name: str(home / name.lower()) for name in own}, "COURSE_DEVICE": "cpu"}


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def end(server):
    """End the server and the kernels it started, and only these."""
    started = [server, *server.children(recursive=True)]
    server.terminate()
    _, alive = psutil.wait_procs(started, timeout=15)
    for process in alive:
        process.kill()


def wait_until(condition, seconds, complaint):
    """Ask twenty times a second until it is true; fail with the complaint when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(complaint() if callable(complaint) else complaint)
        time.sleep(0.05)
