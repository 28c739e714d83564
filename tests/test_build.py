"""exercises/ follows from solutions/, with the same bytes every time; and every fault is named with its place."""
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import course
from tools import build, exercise_cells, notebook_store

ROOT = Path(__file__).resolve().parents[1]
README = "# Course\n\n<!-- lessons -->\n<!-- /lessons -->\n"
ANSWER = '''\
def half(x):
    """Half of a number."""
    # 1. divide by two
    ### BEGIN SOLUTION
    divisor = 2
    return x / divisor
    ### END SOLUTION'''
STUB = '''\
def half(x):
    """Half of a number."""
    # 1. divide by two
    raise NotImplementedError()'''
CHECK, HINT = 'check("3.1", half)', 'hint("3.1")'


def cells(answer=ANSWER, check=CHECK, hint=HINT, statement="## 3.1 Half of it"):
    head = [new_markdown_cell("# 03 · Attention: exercises", id="head"), new_code_cell("import helpers", id="setup")]
    return [*head, new_markdown_cell(statement, id="statement"), new_code_cell(answer, id="answer"),
            new_code_cell(check, id="check"), new_code_cell(hint, id="hint")]


@pytest.fixture
def project(tmp_path):
    """A project without lessons; gives a function that stores a solutions notebook of these cells as it was run."""
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    (tmp_path / "solutions").mkdir()
    (tmp_path / "notebooks").mkdir()
    build.build(tmp_path)

    def write(*contents, name="03_attention"):
        for number, cell in enumerate(contents, 1):
            cell.metadata |= {"tags": ["a"], "press_enter": {"x": 1}}
            if cell.cell_type == "code":
                cell |= {"outputs": [new_output("stream", text="said\n")], "execution_count": number}
        own = {"kernelspec": notebook_store.KERNELSPEC, "press_enter": {"minutes": 1, "memory_mb": 900}}
        path = tmp_path / "solutions" / f"{name}.ipynb"
        notebook_store.write(new_notebook(cells=contents, metadata=own), path)
        return path

    write.root = tmp_path
    return write


# ---------------------------------------------------------------- this project

def test_exercises_are_what_the_solutions_make_of_them():
    wanted, wrong = build.exercises(ROOT)
    assert wrong == []
    assert build.differences(ROOT, wanted) == [], "run: python3 course.py build"


def test_checking_starts_at_once_and_needs_no_package():
    started = time.perf_counter()
    bare = [sys.executable, "-S", "-E", "course.py", "build", "--check"]         # -S: no installed package
    run = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True)
    assert time.perf_counter() - started < 2
    assert run.returncode in (0, 1) and "Traceback" not in run.stderr, run.stderr


# ---------------------------------------------------------------- what is built

def test_a_solution_becomes_a_stub_and_nothing_of_the_run_stays(project):
    path = project(*cells())
    assert build.build(project.root) == 0
    built = notebook_store.read(build.target(path))
    assert [cell.id for cell in built.cells] == ["head", "setup", "statement", "answer", "check", "hint"]
    assert built.cells[3].source == STUB and built.cells[4].source == CHECK
    assert all(cell.outputs == [] and cell.execution_count is None for cell in built.cells if cell.cell_type == "code")
    assert set(built.metadata) == {"kernelspec"}
    assert [set(cell.metadata) for cell in built.cells] == [set()] * 3 + [{"nbgrader"}] * 2 + [set()]
    assert not list(nbformat.validator.iter_validate(built))


def test_several_solutions_in_a_cell_each_become_a_stub():
    source = "class A:\n" + "".join(f"    def {name}(self):\n        ### BEGIN SOLUTION\n        return 1\n\n"
                                    "        ### END SOLUTION\n" for name in "fg") + "\n    x = 2"
    assert exercise_cells.stub(source) == (
        "class A:\n    def f(self):\n        raise NotImplementedError()\n"
        "    def g(self):\n        raise NotImplementedError()\n\n    x = 2")


def test_building_twice_changes_no_byte_and_writes_nothing(project, capsys):
    path = build.target(project(*cells(ANSWER + "\n    # naïve 🦙")))
    build.build(project.root)
    first, when = path.read_bytes(), path.stat().st_mtime_ns
    assert "exercises/03_attention.ipynb: written" in capsys.readouterr().out
    assert build.build(project.root) == 0 and capsys.readouterr() == ("", "")
    assert path.read_bytes() == first and path.stat().st_mtime_ns == when
    assert b"\r" not in first and first.endswith(b"}\n") and "naïve 🦙".encode() in first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*.ipynb")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_stored_notebook_has_the_bytes_that_nbformat_writes(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook_store.text(notebook) == nbformat.v4.writes_json(notebook) + "\n"
    plain = notebook_store.plain(path.read_bytes())
    assert [cell["source"] for cell in plain["cells"]] == [cell.source for cell in notebook.cells]


def test_every_kind_of_output_is_written_as_nbformat_writes_it():
    data = {"text/plain": "a\nb", "text/html": "<p>\n</p>", "image/svg+xml": "<svg>\n</svg>", "image/png": "iVBO\nRw0=",
            "application/json": {"a": "b\nc"}, "application/javascript": "f()\ng()", "application/x+json": "d\ne"}
    outputs = [new_output("display_data", data=data), new_output("execute_result", data=data, execution_count=1),
               new_output("stream", text="x\ny\n"), new_output("error", ename="E", evalue="a\nb", traceback=["c\nd"])]
    notebook = new_notebook(cells=[new_code_cell("a\n\nb\n", outputs=outputs), new_markdown_cell("")])
    assert notebook_store.text(notebook) == nbformat.v4.writes_json(notebook) + "\n"
    assert notebook_store.parse(notebook_store.text(notebook).encode()) == notebook


# ---------------------------------------------------------------- what is refused

B, E = exercise_cells.BEGIN, exercise_cells.END
OTHER = [new_markdown_cell("## 3.1 Again"), new_code_cell(ANSWER), new_code_cell(CHECK), new_code_cell(HINT)]

FAULTS = [
    (cells(ANSWER.replace("    divisor", f"    {B}\n    divisor")), "cell 4, line 5: '### BEGIN SOLUTION' inside the "
                                                                    "solution that begins in line 4"),
    (cells(ANSWER.replace(E, "# done")), "cell 4, line 4: '### BEGIN SOLUTION' without '### END SOLUTION' below it"),
    (cells(ANSWER.replace(B, "# here")), "cell 4, line 7: '### END SOLUTION' without '### BEGIN SOLUTION' above it"),
    (cells(f"{ANSWER}\n    {E}"), "cell 4, line 8: '### END SOLUTION' without '### BEGIN SOLUTION' above it"),
    (cells(f"def half(x):\n    {B}\n    {E}"), "cell 4, line 2: the solution is empty"),
    (cells(f"def half(x):\n    {B}\n\n    # later\n    {E}"), "cell 4, line 2: the solution is empty"),
    (cells(ANSWER.replace(f"    {E}", E)), "cell 4, line 4: '### BEGIN SOLUTION' is indented by 4, "
                                           "'### END SOLUTION' by 0"),
    (cells(ANSWER.replace(f"    {B}", B).replace(f"    {E}", E)), "cell 4, line 4: '### BEGIN SOLUTION' is "
                                                                          "indented by 0, the solution by 4"),
    (cells(f"x = (\n    {B}\n    1\n    {E}\n)"), "cell 4, line 2: without its solution it is no Python"),
    (cells(statement=f"## 3.1 Half\n\n{B}"), "cell 3, line 3: '### BEGIN SOLUTION' in Markdown: a solution is code"),
    *[(cells(ANSWER.replace(marker, almost)), f"cell 4, line {4 if marker == B else 7}: {almost!r} is nearly a marker: "
       "write '### BEGIN SOLUTION' or '### END SOLUTION' on a line of its own")
      for marker, almost in [
          (B, "### Begin solution"), (B, "###BEGIN SOLUTION"), (B, "## BEGIN SOLUTION"), (B, "### BEGIN  SOLUTION"),
          (B, "### BEGIN SOLUTION:"), (B, "### BEGIN_SOLUTION"), (B, "### BEGIN SOLUTIONS"), (B, "# begin solution"),
          (B, "x = 1 ### BEGIN SOLUTION"), (E, "### End Solution"), (E, "#### END SOLUTION"), (E, "### END-SOLUTION"),
          (E, "pass  ### END SOLUTION")]],
    (cells(ANSWER.replace(f"    {B}", f"\t{B}")), "cell 4, line 4: '### BEGIN SOLUTION' is nearly a marker"),
    (cells(check="half(2)"), 'cell 4, line 1: the cell after an answer must be its check alone, such as check("1.1", '),
    (cells(check=CHECK + "\nhalf(2)"), "cell 4, line 1: the cell after an answer must be its check alone"),
    (cells()[:-1], 'cell 5, line 1: the cell after this check must be hint("3.1") alone'),
    (cells(hint='hint("3.2")'), 'cell 5, line 1: the cell after this check must be hint("3.1") alone'),
    (cells(statement="## 3.2 Half"), "cell 4, line 1: the heading above it must begin with '## 3.1 ', not '## 3.2 '"),
    (cells()[:2] + cells()[3:], "cell 3, line 1: the cell before an answer must be Markdown, its statement"),
    (cells(answer=STUB), "cell 5, line 1: the cell before a check must be an answer, with its solution between "),
    (cells() + [new_code_cell(HINT)], "cell 7, line 1: the cell before a hint must be a check"),
    (cells() + OTHER, "cell 8, line 1: there is an exercise 3.1 above it already"),
]


@pytest.mark.parametrize("contents, why", FAULTS, ids=lambda value: value[:70] if isinstance(value, str) else "cells")
def test_a_fault_is_named_with_its_place_and_nothing_is_written(project, capsys, contents, why):
    project(*cells(), name="02_embeddings")
    build.build(project.root)
    project(*cells(ANSWER.replace("two", "2")), name="02_embeddings")
    project(*contents)
    before = {file: file.read_bytes() for file in (project.root / "exercises").iterdir()}
    for check in (True, False):
        capsys.readouterr()
        assert build.build(project.root, check) == 1
        said = capsys.readouterr().err.splitlines()
        assert said[0].startswith(f"03_attention.ipynb, {why}"), said
        assert not any(line.startswith("02") for line in said)
    assert {file: file.read_bytes() for file in (project.root / "exercises").iterdir()} == before


def test_all_faults_of_all_notebooks_are_said_at_once(project, capsys):
    second = cells(ANSWER.replace(B, ""))
    for cell in second:
        cell.id += "-2"
    project(*cells(ANSWER.replace(E, "")), *second)
    (project.root / "solutions" / "04_x.ipynb").write_text("{")
    assert build.build(project.root) == 1
    starts = ["03_attention.ipynb, cell 4, line 4: ", "03_attention.ipynb, cell 10, line 7: ", "04_x.ipynb, file: "]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and all(line.startswith(start) for line, start in zip(said, starts)), said


@pytest.mark.parametrize("source", [
    "# the beginning of a solution\nx = 1", "print('begin', 'solution')", "# begin with the solution of the lesson",
    "begin_solution = 1", "def solution(): return 'END'",
])
def test_what_is_no_marker(source):
    assert exercise_cells.regions(source) == []


# ---------------------------------------------------------------- --check

def state(root):
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in root.rglob("*") if file.is_file()}


def drop(project):
    (project.root / "exercises/03_attention.ipynb").unlink()


def edit(project):
    (project.root / "exercises/03_attention.ipynb").write_text("{}")


def change(project):
    project(*cells(ANSWER.replace("Half of", "The half of")))


def forget(project):
    (project.root / "solutions/03_attention.ipynb").unlink()


def add_lesson(project):
    head = new_markdown_cell("# 03 · Attention\n## How a token finds what it needs")
    own = {"press_enter": {"minutes": 1, "memory_mb": 900}}
    notebook_store.write(new_notebook(cells=[head], metadata=own), project.root / "notebooks/03_attention.ipynb")


@pytest.mark.parametrize("spoil, said, done", [
    (drop, "exercises/03_attention.ipynb: missing", "exercises/03_attention.ipynb: written"),
    (edit, "exercises/03_attention.ipynb: stale", "exercises/03_attention.ipynb: written"),
    (change, "exercises/03_attention.ipynb: stale", "exercises/03_attention.ipynb: written"),
    (forget, "exercises/03_attention.ipynb: left over: there is no solutions/03_attention.ipynb",
     "exercises/03_attention.ipynb: removed"),
    (add_lesson, "README.md: the table of lessons is stale", "README.md: the table of lessons is written"),
])
def test_check_says_what_is_not_as_it_should_be_and_build_mends_it(project, capsys, spoil, said, done):
    project(*cells())
    build.build(project.root)
    assert build.build(project.root, check=True) == 0
    spoil(project)
    before = state(project.root)
    capsys.readouterr()
    assert build.build(project.root, check=True) == 1
    assert capsys.readouterr() == (f"{said}\n", "Run: python3 course.py build\n")
    assert state(project.root) == before
    assert build.build(project.root) == 0 and capsys.readouterr().out == f"{done}\n"
    assert build.build(project.root, check=True) == 0 and capsys.readouterr().out == ""


def test_a_lesson_that_cannot_stand_in_the_table_does_not_hinder_the_exercises(project, capsys):
    path = build.target(project(*cells()))
    notebook_store.write(new_notebook(cells=[new_markdown_cell("No title")]), project.root / "notebooks/03_x.ipynb")
    assert build.build(project.root) == 1
    assert path.exists() and "03_x.ipynb: its first cell" in capsys.readouterr().err


@pytest.mark.parametrize("words, check", [(["build"], False), (["build", "--check"], True)])
def test_the_door_builds_without_setting_anything_up(words, check, monkeypatch):
    monkeypatch.setattr(course, "set_up", lambda *_, **__: pytest.fail("the set-up was started"))
    monkeypatch.setattr(build, "build", lambda root, check: (root, check))
    assert course.main(words) == (course.ROOT, check)
