"""Every stored notebook is in good form, and the checker that says so refuses each way of not being."""
import ast
import re
from pathlib import Path

import pytest
from nbformat import validator
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import lesson_table, notebook_form, notebook_store

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb")) + sorted(ROOT.glob("solutions/*.ipynb"))
EXERCISES = sorted(ROOT.glob("exercises/*.ipynb"))
NAME = "03_attention.ipynb"
SETUP = "import helpers"
ANSWER = "def half(x):\n    # 1. divide\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_stored_notebook(path):
    setup = notebook_form.setup_cell(notebook_store.read(NOTEBOOKS[0]))
    assert notebook_form.file_problems(path, setup) == []


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_exercises_notebook(path):
    """It is not executed; that its bytes are what follows from its solutions is shown in test_build.py."""
    notebook = notebook_store.read(path)
    assert list(validator.iter_validate(notebook)) == []
    assert notebook_form.setup_cell(notebook) == notebook_form.setup_cell(notebook_store.read(NOTEBOOKS[0]))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_readme_table_is_up_to_date():
    assert not lesson_table.rewrite(ROOT, check=True), "run: python3 course.py build"


def built_in_lessons():
    """(lesson, name) of each public class and function whose docstring says which lesson builds it."""
    for file in sorted((ROOT / "helpers").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                for lesson in re.findall(r"[Ll]esson (\d\d[a-z]?) builds it", ast.get_docstring(node) or ""):
                    yield lesson, node.name


def unproved(built, notebooks):
    """What a lesson builds and shows in no cell, by its name, to agree with the package. notebooks: their code."""
    return [(lesson, name) for lesson, name in built if lesson in notebooks and not any(
        "agree(" in source and re.search(rf"\b{name}\b", source) for source in notebooks[lesson])]


def test_what_a_lesson_builds_is_proved_equal_to_the_package():
    notebooks = {path.name.split("_")[0]: [cell.source for cell in notebook_store.read(path).cells
                                           if cell.cell_type == "code"] for path in ROOT.glob("notebooks/*.ipynb")}
    built = list(built_in_lessons())
    assert ("01", "BPETokenizer") in built
    assert unproved(built, notebooks) == []


def test_a_missing_proof_is_seen():
    cells = {"03": ["x = Block()", "agree(x, y)", "z = Blocks()\nagree(z, y)"]}
    assert unproved([("03", "Block"), ("03", "Blocks"), ("04", "Head")], cells) == [("03", "Block")]


# The checker: a notebook that keeps every rule, and changes that each break one

def good():
    """A small notebook in stored form: a claim, a picture, one cell in six free of the comparison, an exercise."""
    picture = new_output(
        "display_data",
        data={"image/png": "iVBORw0KGgo=", "text/plain": "A picture"},
        metadata={"image/png": {"alt": "Two bars: the second is twice as high as the first."}},
    )
    verdict = {"press_enter": {"verdict": {"id": "A1"}}}
    proof = new_output("display_data", data={"text/plain": "A1 holds"}, metadata=verdict)
    free = {"tags": ["nbval-ignore-output"]}
    cells = [
        new_markdown_cell("# 03 · Attention\n## How a token finds what it needs\n\nThree words here."),
        new_code_cell(SETUP, outputs=[stream("cpu")]),
        new_code_cell("plots.bars([1, 2])", outputs=[picture]),
        new_code_cell("verdict('A1', 2.0)", outputs=[proof], metadata={"tags": ["claim:A1"]}),
        new_code_cell("x = 2\nprint(x)", outputs=[stream("2")]),
        new_code_cell("if x:\n    assert seconds() < 9\n", outputs=[stream("0.31 s")], metadata=free),
        new_markdown_cell("## 3.1 Half of it"),
        new_code_cell(ANSWER),
        new_code_cell('check("3.1", half)', outputs=[stream("3.1 half: passed. 9 inputs.")]),
        new_code_cell('hint("3.1")'),
    ]
    notebook = new_notebook(cells=cells, metadata={"press_enter": {"minutes": 1, "memory_mb": 900}})
    for number, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), 1):
        cell.execution_count = number
    notebook_store.tidy_source(notebook)
    notebook_store.tidy(notebook)
    return notebook


def stream(text, name="stdout"):
    return new_output("stream", text=text + "\n", name=name)


def code(notebook, number):
    return [cell for cell in notebook.cells if cell.cell_type == "code"][number - 1]


BREAKS = []


def breaks(rule, place):
    """Register a change to the good notebook that breaks `rule`, and no other rule, at `place`."""

    def register(change):
        BREAKS.append(pytest.param(rule, place, change, id=f"{rule}-{change.__name__}"))
        return change

    return register


@breaks("setup", "code cell 1")
def another_setup(notebook):
    code(notebook, 1).source = "import helpers, this"


@breaks("counts", "code cell 4")
def never_run(notebook):
    code(notebook, 4).execution_count = None


@breaks("counts", "code cell 4")
def run_twice(notebook):
    code(notebook, 4).execution_count = 7


@breaks("counts", "code cell 5")
def result_of_another_run(notebook):
    code(notebook, 5).outputs = [new_output("execute_result", data={"text/plain": "2"}, execution_count=9)]


@breaks("counts", "code cell 9")
def empty_cell(notebook):
    notebook.cells.append(new_code_cell("", id="empty"))


@breaks("errors", "code cell 4")
def stored_error(notebook):
    code(notebook, 4).outputs = [new_output("error", ename="NameError", evalue="x", traceback=[])]


@breaks("stderr", "code cell 4")
def warning_printed(notebook):
    code(notebook, 4).outputs.append(stream("UserWarning: old", name="stderr"))


@breaks("empty_outputs", "code cell 4")
def blank_line_alone(notebook):
    code(notebook, 4).outputs = [stream("")]


@breaks("empty_outputs", "code cell 4")
def bundle_of_nothing(notebook):
    code(notebook, 4).outputs = [new_output("display_data", data={})]


@breaks("kernelspec", "file")
def another_kernel(notebook):
    notebook.metadata.kernelspec.name = "conda-env"


@breaks("kernelspec", "file")
def python_version(notebook):
    notebook.metadata.language_info["version"] = "3.11.7"


@breaks("metadata", "file")
def widget_state(notebook):
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}


@breaks("metadata", "cell 5")
def execution_times(notebook):
    code(notebook, 4).metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}


@breaks("widget_views", "code cell 2")
def widget_view(notebook):
    code(notebook, 2).outputs[0].data[notebook_store.WIDGET] = {"model_id": "1"}


@breaks("ids", "cell 2")
def no_id(notebook):
    del notebook.cells[1]["id"]


@breaks("ids", "cell 2")
def id_with_a_space(notebook):
    notebook.cells[1].id = "first cell"


@breaks("machine_paths", "code cell 4")
def home_folder(notebook):
    code(notebook, 4).outputs = [stream("loaded /home/ada/.cache/model.gguf")]


@breaks("machine_paths", "code cell 4")
def this_checkout(notebook):
    code(notebook, 4).outputs = [stream(f"reading {ROOT}/notebooks")]


@breaks("machine_paths", "code cell 2")
def drive_letter(notebook):
    code(notebook, 2).outputs[0].data["text/html"] = r"<b>C:\Users\ada</b>"


@breaks("code_lines", "code cell 4")
def thirteen_lines(notebook):
    code(notebook, 4).source = "\n\n".join(["x = 2"] * 13)


@breaks("code_lines", "code cell 4")
def class_of_26_lines(notebook):
    code(notebook, 4).source = "class A:\n" + "    # a line\n" * 24 + "    x = 1"


@breaks("code_lines", "code cell 6")
def answer_of_31_lines(notebook):
    code(notebook, 6).source = ANSWER.replace("    return", "    x += 1\n" * 26 + "    return")


@breaks("words", "file")
def too_many_words(notebook):
    notebook.cells.append(new_markdown_cell("word " * 2500, id="long"))


@breaks("alt_text", "code cell 2")
def no_alt_text(notebook):
    code(notebook, 2).outputs[0].metadata = {}


@breaks("alt_text", "code cell 2")
def alt_text_of_one_word(notebook):
    code(notebook, 2).outputs[0].metadata["image/png"]["alt"] = "bars"


@breaks("semicolons", "code cell 4")
def semicolon_before_a_comment(notebook):
    code(notebook, 4).source += "; # hide it"


@breaks("skipped", "code cell 4")
def skip_tag(notebook):
    code(notebook, 4).metadata["tags"] = ["nbval-skip"]


@breaks("skipped", "code cell 4")
def skip_comment(notebook):
    code(notebook, 4).source += "\n# NBVAL_SKIP"


@breaks("ignored", "code cell 5")
def assertion_in_a_comment(notebook):
    code(notebook, 5).source = "seconds()  # assert seconds() < 9"


@breaks("ignored", "code cell 5")
def assertion_never_reached(notebook):
    code(notebook, 5).source = "def later():\n    assert seconds() < 9"


@breaks("ignored", "file")
def two_cells_in_six(notebook):
    code(notebook, 3).metadata["tags"].append("nbval-ignore-output")


@breaks("claims", "code cell 3")
def claim_without_verdict(notebook):
    code(notebook, 3).outputs[0].metadata = {}


@breaks("claims", "code cell 3")
def verdict_without_claim(notebook):
    code(notebook, 3).metadata["tags"] = []


@breaks("exercises", "cell 8, line 3")
def solution_without_its_end(notebook):
    code(notebook, 6).source = ANSWER.replace("END", "FIN")


@breaks("exercises", "cell 9, line 1")
def hint_for_another_exercise(notebook):
    code(notebook, 8).source = 'hint("3.2")'


@breaks("grading", "cell 8")
def answer_that_nbgrader_does_not_know(notebook):
    del code(notebook, 6).metadata["nbgrader"]


@breaks("grading", "cell 9")
def check_that_gives_two_points(notebook):
    code(notebook, 7).metadata["nbgrader"]["points"] = 2


@breaks("grading", "cell 10")
def hint_that_is_graded(notebook):
    code(notebook, 8).metadata["nbgrader"] = {"grade": True}


@breaks("passed", "cell 9")
def solution_that_does_not_pass(notebook):
    code(notebook, 7).outputs = [stream("3.1 half: not yet. The type is right; the values are not.")]


@pytest.mark.parametrize("rule, place, change", BREAKS)
def test_broken_rule_is_named(rule, place, change):
    notebook = good()
    change(notebook)
    expected = f"{NAME}, {place}: {rule}: "
    found = notebook_form.problems(notebook, NAME, SETUP)
    assert [sentence[: len(expected)] for sentence in found] == [expected]


def test_every_rule_is_proved():
    assert {rule.__name__ for rule in notebook_form.RULES} | {"setup"} == {case.values[0] for case in BREAKS}


def test_good_notebook_has_no_problems():
    assert notebook_form.problems(good(), NAME, SETUP) == []


@pytest.mark.parametrize("source", [
    "\n\n".join(["x = 2"] * 12),
    "class A:\n" + "    # a line\n" * 23 + "    x = 1",
    "x = 'a;'\ny = 1; z = 2",
    "%config InlineBackend.figure_format = 'png'",
])
def test_source_within_the_rules(source):
    notebook = good()
    code(notebook, 4).source = source
    assert notebook_form.problems(notebook, NAME, SETUP) == []


@pytest.mark.parametrize("shown", [
    "either/or", "https://x.org/home/y.html", "a ratio of 3/4", "B: C", "~/.cache/press-enter", "square/root",
])
def test_output_that_is_no_machine_path(shown):
    notebook = good()
    code(notebook, 4).outputs = [stream(shown)]
    assert notebook_form.problems(notebook, NAME, SETUP) == []


def test_code_formulas_and_links_are_not_prose():
    markdown = "Two words ```python\nnot these\n``` $$ n o r $$ <summary>more</summary> [link](to/some where)"
    notebook = good()
    notebook.cells.append(new_markdown_cell((markdown + "\n") * 600, id="mixed"))  # 4 words each
    assert notebook_form.problems(notebook, NAME, SETUP) == []


@pytest.mark.parametrize("rule, spoil", [
    ("line_ends", lambda raw: raw.replace(b"\n", b"\r\n")),
    ("json", lambda raw: raw[:-20]),
    ("json", lambda raw: raw.replace(b'"nbformat": 4', b'"nbformat": 3')),
    ("format", lambda raw: raw.replace(b'"cell_type": "markdown"', b'"cell_type": "prose"', 1)),
    ("layout", lambda raw: raw.rstrip()),
    ("layout", lambda raw: raw.replace(b'\n "', b'\n  "')),
    ("head", lambda raw: raw.replace(b"# 03", b"03")),
    ("head", lambda raw: raw.replace(b'"memory_mb": 900', b'"memory_mb": 0')),
])
def test_spoilt_file_is_refused(tmp_path, rule, spoil):
    path = tmp_path / "notebooks" / NAME
    path.parent.mkdir()
    notebook_store.write(good(), path)
    assert notebook_form.file_problems(path, SETUP) == []
    path.write_bytes(spoil(path.read_bytes()))
    expected = f"{NAME}, file: {rule}: "
    found = notebook_form.file_problems(path, SETUP)
    assert [sentence[: len(expected)] for sentence in found] == [expected]
