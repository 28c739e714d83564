"""Executing a notebook: what is stored, what is refused, what stays untouched; and the README's table."""
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import build, execute, lesson_table, notebook_store

VIEW = notebook_store.WIDGET
HEAD = new_markdown_cell("# 03 · Attention\n## How a token finds what it needs")
ALT = {"image/png": {"alt": "Two bars of the same height."}}
ANSWER = "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION"
CHECKS = """\
def check(id, half):
    print(f"{id} half: {'passed.' if half(3) == 1.5 else 'not yet.'}")
hint = print"""
BUNDLE = {VIEW: {"model_id": "1"}, "image/png": "iVBORw0KGgo=", "text/plain": "Two bars"}


@pytest.fixture
def lesson(tmp_path):
    """Write a lesson of these code cells; gives its path."""

    def write(*sources):
        path = tmp_path / "notebooks" / "03_attention.ipynb"
        path.parent.mkdir(exist_ok=True)
        notebook_store.write(new_notebook(cells=[HEAD, *map(new_code_cell, sources)]), path)
        return path

    return write


def test_executed_lesson_is_in_good_form_and_stays_the_same(lesson, capsys):
    path = lesson(
        "import os\nprint(os.environ['COURSE_DEVICE'], os.listdir(os.environ['COURSE_STATE']))",
        "import helpers   \nprint(os.path.basename(os.getcwd()))\nprint('50%', end='\\r')\nprint('end')\n\n",
        f"display({BUNDLE!r}, raw=True, metadata={ALT!r})\n5",
    )
    assert execute.store(path)
    assert "[3/3]" in capsys.readouterr().out
    _, first, second, third = notebook_store.read(path).cells
    assert first.outputs[0].text == "cpu []\n"
    assert second.source.splitlines()[0] == "import helpers" and second.source.endswith("print('end')")
    assert second.outputs[0].text == "notebooks\nend\n"
    assert sorted(third.outputs[0].data) == ["image/png", "text/plain"]
    assert [out.get("execution_count") for out in third.outputs] == [None, 3]
    stored = path.read_bytes()
    assert execute.store(path)
    assert path.read_bytes() == stored


@pytest.mark.parametrize("source, timeout, why", [
    ("def half(x):\n    return x / 0\n\nhalf(1)", 60, "ZeroDivisionError: division by zero"),
    ("import os; os._exit(1)", 60, "The kernel died"),
    ("import time; time.sleep(60)", 1, "It ran for more than 1 seconds."),
    (f"display({{{VIEW!r}: {{'model_id': '1'}}, 'text/plain': 'IntSlider(value=3)'}}, raw=True)", 60,
     "shows a widget and nothing else"),
    ("for number in range(1001): display(number)", 60,
     "It sent 1,004 messages, and nbval may lose those beyond 1,000."),
])
def test_failing_cell_is_named_and_the_notebook_left_as_it_was(lesson, capsys, source, timeout, why):
    path = lesson("x = 1", source)
    before = path.read_bytes()
    assert not execute.store(path, timeout)
    said = capsys.readouterr().err
    assert said.startswith("03_attention.ipynb: code cell 2 (id ") and why in said
    assert source.splitlines()[-1] in said or why.startswith("shows")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_lesson_in_bad_form_is_stored_and_refused(lesson, capsys):
    path = lesson("import sys\nprint('oh', file=sys.stderr)")
    assert not execute.store(path)
    assert "03_attention.ipynb, code cell 1: stderr: " in capsys.readouterr().out
    assert notebook_store.read(path).cells[1].execution_count == 1


@pytest.fixture
def solutions(tmp_path):
    """Write a solutions notebook with this answer; gives its path."""

    def write(answer):
        path = tmp_path / "solutions" / "03_attention.ipynb"
        path.parent.mkdir(exist_ok=True)
        first, *exercise = map(new_code_cell, [CHECKS, answer, 'check("3.1", half)', 'hint("3.1")'])
        notebook = new_notebook(cells=[HEAD, first, new_markdown_cell("## 3.1 Half"), *exercise])
        notebook.cells[2].metadata["nbgrader"] = {"grade_id": "typed by hand"}
        notebook_store.write(notebook, path)
        return path

    return write


def test_stored_solutions_are_marked_for_nbgrader_and_their_exercises_built(solutions):
    path = solutions(ANSWER)
    assert execute.store(path)
    assert (path.parents[1] / "exercises" / path.name).read_bytes() == build.exercises_of(path)
    marked = {cell.metadata.nbgrader.grade_id: (cell.metadata.nbgrader.solution, cell.metadata.nbgrader.grade)
              for cell in notebook_store.read(path).cells if "nbgrader" in cell.metadata}
    assert marked == {"answer-3-1": (True, False), "check-3-1": (False, True)}


def test_a_solution_that_does_not_pass_its_check_is_refused(solutions, capsys):
    assert not execute.store(solutions(ANSWER.replace("/ 2", "/ 3")))
    assert "03_attention.ipynb, cell 5: passed: the check of 3.1 does not say" in capsys.readouterr().out


def test_solutions_with_a_fault_are_not_even_run(solutions, capsys, monkeypatch):
    monkeypatch.setattr(execute, "NotebookClient", lambda *_, **__: pytest.fail("a kernel was started"))
    path = solutions(ANSWER.replace("### END", "## END"))
    before = path.read_bytes()
    assert not execute.store(path)
    assert "03_attention.ipynb: cell 4, line 4: '## END SOLUTION' is nearly a marker" in capsys.readouterr().err
    assert path.read_bytes() == before and not (path.parents[1] / "exercises").exists()


@pytest.mark.parametrize("measured, stored, step, expected", [
    (0.4, None, 1, 1), (1.2, None, 1, 2), (1.2, 2, 1, 2), (1.7, 2, 1, 2), (2.05, 2, 1, 2), (2.2, 2, 1, 3),
    (0.9, 2, 1, 1), (1210, None, 100, 1300), (1110, 1300, 100, 1300), (1350, 1300, 100, 1300),
    (1000, 1300, 100, 1000),
])
def test_measures_are_rounded_up_and_rarely_change(measured, stored, step, expected):
    assert execute.steady(measured, stored, step) == expected


def test_lessons_are_found_by_number(tmp_path):
    for name in ("notebooks/03_a", "notebooks/05b_b", "notebooks/05_c", "solutions/03_a"):
        (tmp_path / f"{name}.ipynb").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.ipynb").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in execute.find(["03", "05b"], tmp_path)]
    assert found == ["notebooks/03_a.ipynb", "notebooks/05b_b.ipynb", "solutions/03_a.ipynb"]
    assert len(execute.find([], tmp_path)) == 4
    with pytest.raises(ValueError, match="no lesson '3': there are 03, 05, 05b"):
        execute.find(["3"], tmp_path)


# What JupyterLab saves

@pytest.mark.parametrize("data, kept", [
    (BUNDLE, ["image/png", "text/plain"]),
    ({VIEW: {}, "text/html": "<p>Which?</p>"}, ["text/html"]),
    ({VIEW: {}, "text/plain": ["A chat with\n", "the model"]}, ["text/plain"]),
    ({VIEW: {}, "text/plain": "VBox(children=(Text(value=''),))"}, [VIEW, "text/plain"]),
    ({VIEW: {}}, [VIEW]),
])
def test_saving_keeps_what_shows_without_a_kernel(data, kept):
    cell = new_code_cell(outputs=[new_output("display_data", data=dict(data))])
    model = {"type": "notebook", "content": {"cells": [HEAD, cell]}}
    notebook_store.keep_pictures(model=model, path="x.ipynb")
    assert sorted(cell.outputs[0].data) == kept


def test_saving_drops_what_was_there_while_the_cell_ran():
    bar = new_output("display_data", data={VIEW: {}}, metadata={"press_enter": {"transient": True}})
    cell = new_code_cell(outputs=[bar, new_output("stream", text="done")])
    notebook_store.keep_pictures(model={"type": "notebook", "content": {"cells": [cell]}})
    assert [out.output_type for out in cell.outputs] == ["stream"]


def test_saving_another_file_changes_nothing():
    model = {"type": "file", "content": "cells"}
    notebook_store.keep_pictures(model=model)
    assert model == {"type": "file", "content": "cells"}


# The README's table

README = "# Course\n\n<!-- lessons -->\nold\n<!-- /lessons -->\n\nMore.\n"


@pytest.fixture
def folder(tmp_path):
    """A notebooks folder with one measured lesson; gives a function that changes its head or its metadata."""
    (tmp_path / "notebooks").mkdir()

    def write(head=HEAD.source, **own):
        own = {"minutes": 2, "memory_mb": 1310} | own
        notebook = new_notebook(cells=[new_markdown_cell(head)], metadata={"press_enter": own})
        notebook_store.write(notebook, tmp_path / "notebooks" / "03_attention.ipynb")
        return tmp_path / "notebooks"

    return write


def test_table_is_written_from_the_notebooks(folder):
    end = "\n<!-- /lessons -->\n\nMore.\n"
    row = "| 03 | [Attention](notebooks/03_attention.ipynb) | "
    row += "How a token finds what it needs | 2 min | 1.4 GB |"
    readme = lesson_table.with_table(README, folder())
    assert readme.startswith("# Course\n\n<!-- lessons -->\n| ") and readme.endswith(f"\n{row}{end}")
    assert lesson_table.with_table(readme, folder()) == readme
    assert lesson_table.with_table(readme, folder(minutes=3)) != readme
    assert "| Who \\| what? |" in lesson_table.with_table(readme, folder(question="Who | what?"))


@pytest.mark.parametrize("head, own, why", [
    ("Attention", {}, "does not begin with '# ' and a title"),
    ("# 03 · Attention", {}, "no '## question' below its title"),
    (HEAD.source, {"memory_mb": 0}, "no measured minutes and memory"),
])
def test_lesson_that_cannot_stand_in_the_table_is_named(folder, head, own, why):
    with pytest.raises(ValueError, match=f"03_attention.ipynb: .*{why}"):
        lesson_table.with_table(README, folder(head, **own))


@pytest.mark.parametrize("readme", ["", README * 2, "<!-- /lessons --> <!-- lessons -->"])
def test_readme_without_its_markers_is_refused(folder, readme):
    with pytest.raises(ValueError, match="README.md needs the line <!-- lessons -->"):
        lesson_table.with_table(readme, folder())
