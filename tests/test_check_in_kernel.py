"""A check in a real Jupyter kernel: cells as the learner runs them, and the learner's own interrupt."""
import pytest

from tests.kernel import Kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("state"))
    kernel.run("from helpers.exercises import check, hint, progress")
    yield kernel
    kernel.end()


def test_an_error_is_shown_with_the_line_of_its_own_cell(kernel):
    kernel.run("def table_of(words):\n    size = 1\n    return words[size, 'x']")
    text = kernel.run("def merge_once(words, new_id):\n    # a comment\n    return table_of(words)\n"
                      'check("1.1", merge_once)')
    assert ("It stopped with an error.\n    line 3, in table_of: return words[size, 'x']\n    KeyError: (1, 'x')\n"
            "    The call was merge_once({(1, 2): 1}, 3).\n") in text
    text = kernel.run("def merge_once(words, new_id):\n    # another, in a cell that is run again\n\n"
                      '    return words[new_id]\ncheck("1.1", merge_once)')
    assert "    line 4: return words[new_id]\n    KeyError: 3\n" in text


def test_a_cell_that_was_not_run_is_named(kernel):
    text = kernel.run('def merge_once(words, new_id):\n    return Counted(words)\ncheck("1.1", merge_once)')
    assert "line 2: return Counted(words)\n    NameError: name 'Counted' is not defined\n" in text
    assert "has that cell been run since the kernel started?" in text


def test_a_loop_without_end_can_be_interrupted_and_leaves_nothing_behind(kernel):
    text = kernel.run('def split(text):\n    while True:\n        pass\ncheck("1.3", split)', interrupted_after=0.7)
    assert text.startswith("KeyboardInterrupt")
    running = "import threading; print([one.name for one in threading.enumerate() if one.name == 'answer'])"
    assert kernel.run(running) == "[]\n"


def test_a_question_to_the_keyboard_does_not_wait(kernel):
    assert "RuntimeError: input() waits for the keyboard" in kernel.run('check("1.3", lambda text: input("?"))')


def test_what_an_answer_prints_is_seen_in_its_cell_and_cut(kernel):
    text = kernel.run('check("1.3", lambda text: print("looking at", text) or [text] * (len(text) > 0))')
    assert text.startswith("looking at \nlooking at cat\n") and len(text) < 2000
    assert "the rest is left out.)\n1.3 split: not yet. The type is right; the values are not" in text


def test_a_pass_is_in_the_progress(kernel):
    kernel.run("from helpers.exercises.lesson_01.split import split")
    assert "1.3 split: passed." in kernel.run('check("1.3", split)')
    assert "1.3 done" in kernel.run('from helpers.exercises import overview\noverview.in_notebook = lambda: False\n'
                                    'progress("01")')
