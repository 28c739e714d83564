"""Lesson 00 in a real browser: JupyterLab as `course.py lab` opens it, used as a learner would.

Skipped where there is no Chromium or no playwright; with REQUIRE_BROWSER=1 that is a failure.
COURSE_SCREENSHOTS names a folder for the pictures of the whole lesson, in both themes, to look at.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import course
from tools import notebook_store

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
             "--disable-component-update --disable-sync").split()
SECOND = 1000  # playwright counts milliseconds
RUN_ALL, ANSWER = 240 * SECOND, 120

PROMPTS = ".jp-Notebook .jp-CodeCell .jp-InputPrompt"
WIDGET_ERRORS = ("Error displaying widget", "Loading widget...", "Error creating widget")
HARMLESS = ()  # console errors that are not ours


def missing(why):
    """Skip, or fail where a browser was promised."""
    (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(why)


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


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab over a new learner's copy of the course: its address, and the lesson's file."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "MINE", home / "my_course")
        course.copy_course()
        patch.setattr(course, "ROOT", home)
        command = course.lab_command(sys.executable, browser=False, port=port, extra=["--IdentityProvider.token="])
    log = home / "lab.log"
    with log.open("w") as output:
        server = psutil.Popen(command, cwd=home, env=environment(home), stdout=output, stderr=output)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/api"), 60, log.read_text)
        yield f"http://127.0.0.1:{port}/lab/tree/my_course/{course.FIRST_LESSON}", home / "my_course" / course.FIRST_LESSON
    finally:
        end(server)


def environment(home):
    """This user's Jupyter settings and progress are neither read nor written."""
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
           "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "COURSE_STATE")
    return {**os.environ, **{name: str(home / name.lower()) for name in own}, "COURSE_DEVICE": "cpu"}


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def end(server):
    """End the server and the kernels it started, by their process ids."""
    started = [server, *server.children(recursive=True)]
    server.terminate()
    _, alive = psutil.wait_procs(started, timeout=15)
    for process in alive:
        process.kill()


def wait_until(condition, seconds, complaint):
    """The first true value of `condition`, asked ten times a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(complaint() if callable(complaint) else complaint)


@contextmanager
def page_at(browser, url, complaints):
    """A page in a fresh profile; what it reports as an error is added to `complaints`."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(30 * SECOND)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    page.on("console", lambda message: message.type == "error" and complaints.append(f"{message.text} {message.location}"))
    page.goto(url)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # in the status bar: the kernel has answered
    yield page
    context.close()


@pytest.fixture(scope="module")
def complaints():
    return []


@pytest.fixture(scope="module")
def lesson(browser, lab, complaints):
    """The page that `course.py lab` opens, with all cells run."""
    address, path = lab
    with page_at(browser, address, complaints) as page:
        choose(page, "Run", "Run All Cells")
        page.locator(PROMPTS, has_text="[*]").first.wait_for()  # before, the lesson shows its stored counts
        cells = [cell for cell in notebook_store.read(path).cells if cell.cell_type == "code"]
        expected = [f"[{number}]:" for number in range(1, len(cells) + 1)]
        page.wait_for_function(
            "([prompts, expected]) => [...document.querySelectorAll(prompts)].map(p => p.textContent).join() === expected",
            arg=[PROMPTS, ",".join(expected)], timeout=RUN_ALL)
        yield page


def choose(page, *path):
    """Click through the menus."""
    for item in path:
        page.get_by_role("menuitem", name=item, exact=True).click()


def outputs(page, *holding):
    """The outputs of cells that hold all of these."""
    found = page.locator(".jp-OutputArea-output")
    for locator in holding:
        found = found.filter(has=locator)
    return found


def chat_panel(page):
    return outputs(page, page.get_by_role("button", name="Send")).first


def test_all_cells_run(lesson):
    assert lesson.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts() == []
    assert lesson.locator('[data-mime-type="application/vnd.jupyter.stderr"]').all_inner_texts() == []
    for error in WIDGET_ERRORS:
        assert lesson.get_by_text(error).count() == 0


def test_moving_a_slider_redraws_its_picture(lesson):
    view = outputs(lesson, lesson.get_by_role("slider"), lesson.locator("img")).first
    picture, slider = view.locator("img").first, view.get_by_role("slider").first
    before, value = picture.get_attribute("src"), slider.get_attribute("aria-valuenow")
    slider.focus()
    slider.press("ArrowRight")
    if slider.get_attribute("aria-valuenow") == value:  # it stood at its right end
        slider.press("ArrowLeft")
    wait_until(lambda: picture.get_attribute("src") != before, 30, "the slider moved and its picture did not change")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def test_chat_streams_an_answer(lesson):
    panel = chat_panel(lesson)
    panel.get_by_role("textbox", name="Message").fill("What is the capital of France?")
    panel.get_by_role("button", name="Send").click()
    lengths = [len(panel.inner_text())]
    changed = time.monotonic()
    while time.monotonic() - changed < 3:
        if len(panel.inner_text()) != lengths[-1]:
            lengths.append(len(panel.inner_text()))
            changed = time.monotonic()
        time.sleep(0.03)
    assert len(lengths) > 5 and lengths == sorted(lengths), lengths


def test_page_reports_no_error(lesson, complaints):
    assert [line for line in complaints if not any(known in line for known in HARMLESS)] == []
