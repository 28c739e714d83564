"""nbgrader, as an instructor runs it: it hands out the stubs that we do, and marks what comes back with our checks."""
import os
import shutil
import sys
from pathlib import Path

import pytest
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from helpers.exercises import check, exercises as declared
from helpers.progress import read
from tools import exercise_cells, notebook_store

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = sorted(ROOT.glob("solutions/*.ipynb"))
GRADED = SOLUTIONS[0]                                  # each submission takes a kernel and some seconds
ITS_COMMENT = "# YOUR CODE HERE"                       # nbgrader writes it above the stub

every_notebook = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def nbgrader(tmp_path_factory):
    """nbgrader with its own settings, for a course in an empty folder that has the solutions as its source."""
    folder = tmp_path_factory.mktemp("course")
    for path in SOLUTIONS:
        assignment = folder / "course" / "source" / path.stem
        assignment.mkdir(parents=True)
        shutil.copy(path, assignment)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "COURSE_STATE"):
            patch.setenv(name, str(folder / name.lower()))
        for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)      # it runs alembic by name
        yield NbGraderAPI(CourseDirectory(root=str(folder / "course"), course_id="press-enter"))


def released(nbgrader, path):
    """The notebook that nbgrader hands out for a solutions notebook."""
    result = nbgrader.generate_assignment(path.stem)
    assert result["success"], result
    return notebook_store.read(Path(nbgrader.coursedir.root) / "release" / path.stem / path.name)


def exercises(path):
    return notebook_store.read(ROOT / "exercises" / path.name)


@every_notebook
def test_nbgrader_hands_out_what_course_py_builds(nbgrader, path):
    given, built = released(nbgrader, path), exercises(path)
    sources = ["\n".join(line for line in cell.source.split("\n") if line.strip() != ITS_COMMENT)
               for cell in given.cells]
    assert sources == [cell.source for cell in built.cells]
    assert [cell.id for cell in given.cells] == [cell.id for cell in built.cells]


@every_notebook
def test_every_exercise_gives_one_point(nbgrader, path):
    released(nbgrader, path)
    count = len(exercise_cells.exercises(notebook_store.read(path)))
    with nbgrader.gradebook as gradebook:
        assignment = gradebook.find_assignment(path.stem)
        assert (assignment.max_score, assignment.max_code_score) == (count, count) and count > 0
        [notebook] = assignment.notebooks
        assert len(notebook.grade_cells) == len(notebook.solution_cells) == count


def with_answers(path, spoil=()):
    """The exercises with the solutions written in; those with an id in `spoil` return nothing."""
    notebook, solutions = exercises(path), notebook_store.read(path)
    for one in exercise_cells.exercises(solutions):
        cell = notebook.cells[one.answer]
        cell.source = solutions.cells[one.answer].source
        if one.id in spoil:
            name = solutions.cells[one.check].source.rstrip(")").split(", ")[1]
            cell.source += f"\n\n{name} = lambda *given: None"
    return notebook


@pytest.mark.filterwarnings("ignore:Object of type <Submitted")       # nbgrader's way with SQLAlchemy
def test_nbgrader_marks_what_learners_hand_in(nbgrader):
    released(nbgrader, GRADED)
    ids = [one.id for one in exercise_cells.exercises(notebook_store.read(GRADED))]
    submissions = {"ada": with_answers(GRADED), "bob": exercises(GRADED), "eve": with_answers(GRADED, ids[1:2])}
    for student, notebook in submissions.items():
        folder = Path(nbgrader.coursedir.root) / "submitted" / student / GRADED.stem
        folder.mkdir(parents=True)
        notebook_store.write(notebook, folder / GRADED.name)
        result = nbgrader.autograde(GRADED.stem, student)
        assert result["success"], result
    with nbgrader.gradebook as gradebook:
        found = {student: gradebook.find_submission(GRADED.stem, student) for student in submissions}
        assert {student: (one.score, one.max_score) for student, one in found.items()} == {
            "ada": (len(ids), len(ids)), "bob": (0, len(ids)), "eve": (len(ids) - 1, len(ids))}
        [lost] = [grade.name for grade in found["eve"].notebooks[0].grades if grade.score == 0]
    assert lost == f"check-{ids[1]}".replace(".", "-")
    assert not Path(os.environ["COURSE_STATE"]).exists(), "the instructor's progress was written"


@pytest.mark.parametrize("running", ["autograde", "validate"])
def test_no_progress_is_kept_where_nbgrader_runs(running, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    one = next(iter(declared().values()))
    monkeypatch.setenv("NBGRADER_EXECUTION", running)
    check(one.id, one.oracle)
    with pytest.raises(AssertionError):
        check(one.id, one.mistakes[0].answer)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("NBGRADER_EXECUTION")
    check(one.id, one.oracle)
    assert read()["exercises"] == {one.id: {"passed": True}}
