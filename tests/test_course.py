"""The one door: the learner's copy is safe, set-up is repeatable, and every failure is one sentence."""
import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import course
from tools import setup

TESTED_TORCH = next(pin for pin in setup.TESTED.read_text().splitlines() if pin.startswith("torch=="))


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """A course of one lesson and one exercise in a folder of its own, and a learner who has no copy yet."""
    monkeypatch.setattr(course, "ROOT", tmp_path)
    monkeypatch.setattr(course, "MINE", tmp_path / "my_course")
    for name in ("notebooks/00_a.ipynb", "exercises/01_a.ipynb", "notebooks/.ipynb_checkpoints/00_a.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    return tmp_path


def copies(lessons):
    """Name and content of each file in my_course/, less the list of hashes."""
    mine = lessons / "my_course"
    return {file.relative_to(mine).as_posix(): file.read_text() for file in sorted(mine.rglob("*"))
            if file.is_file() and file.name != ".course.json"}


# ---------------------------------------------------------------- my_course/

def test_everything_is_copied_once(lessons):
    assert course.copy_course() == ["2 files copied."]
    assert copies(lessons) == {"notebooks/00_a.ipynb": "first", "exercises/01_a.ipynb": "first"}
    assert course.copy_course() == []


def test_a_changed_copy_is_never_overwritten(lessons):
    course.copy_course()
    (lessons / "my_course/notebooks/00_a.ipynb").write_text("mine")
    assert course.copy_course() == []
    assert copies(lessons)["notebooks/00_a.ipynb"] == "mine"


def test_an_untouched_copy_follows_the_course(lessons):
    course.copy_course()
    (lessons / "notebooks/00_a.ipynb").write_text("second")
    [line] = course.copy_course()
    assert "brought up to date" in line
    assert copies(lessons) == {"notebooks/00_a.ipynb": "second", "exercises/01_a.ipynb": "first"}


def test_a_newer_version_is_laid_beside_a_changed_copy_once(lessons):
    course.copy_course()
    (lessons / "my_course/notebooks/00_a.ipynb").write_text("mine")
    (lessons / "notebooks/00_a.ipynb").write_text("second")
    [line] = course.copy_course()
    assert "00_a.new.ipynb" in line
    assert copies(lessons)["notebooks/00_a.ipynb"] == "mine"
    assert copies(lessons)["notebooks/00_a.new.ipynb"] == "second"
    (lessons / "my_course/notebooks/00_a.new.ipynb").unlink()
    assert course.copy_course() == []


@pytest.mark.parametrize("touched, third", [(False, "00_a.new.ipynb"), (True, "00_a.new2.ipynb")])
def test_a_newer_version_spares_a_changed_one_beside(lessons, touched, third):
    course.copy_course()
    (lessons / "my_course/notebooks/00_a.ipynb").write_text("mine")
    (lessons / "notebooks/00_a.ipynb").write_text("second")
    course.copy_course()
    if touched:
        (lessons / "my_course/notebooks/00_a.new.ipynb").write_text("mine too")
    (lessons / "notebooks/00_a.ipynb").write_text("third")
    course.copy_course()
    assert copies(lessons)[f"notebooks/{third}"] == "third"
    assert ("mine too" in copies(lessons).values()) == touched


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("{")])
def test_a_copy_survives_the_loss_of_the_list_of_hashes(lessons, damage):
    course.copy_course()
    (lessons / "my_course/notebooks/00_a.ipynb").write_text("mine")
    damage(lessons / "my_course/.course.json")
    course.copy_course()
    assert copies(lessons)["notebooks/00_a.ipynb"] == "mine"


def test_a_deleted_copy_is_made_afresh(lessons):
    course.copy_course()
    (lessons / "my_course/notebooks/00_a.ipynb").unlink()
    assert course.copy_course() == ["1 files copied."]
    assert copies(lessons)["notebooks/00_a.ipynb"] == "first"


def test_the_exercises_of_the_course_are_copied_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "MINE", tmp_path)
    course.copy_course()
    there = {file.name: file.read_bytes() for file in (course.ROOT / "exercises").glob("*.ipynb")}
    assert there
    assert {file.name: file.read_bytes() for file in (tmp_path / "exercises").iterdir()} == there


# ---------------------------------------------------------------- set-up

@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which nothing is really installed: what set_up would do, in order."""
    done = []
    found = setup.Interpreter("python", "3.11.7", tmp_path, True, "")
    monkeypatch.setattr(setup, "environment", lambda here, steps: found)
    monkeypatch.setattr(setup, "install", lambda interpreter, extras, here: done.append(extras))
    monkeypatch.setattr(setup, "call", lambda command, **options: done.append(command[-1]) or 0)
    return done


def test_a_second_run_installs_nothing(machine):
    for _ in range(2):
        setup.set_up({"lab"}, here=False)
    assert machine == [["lab"], "helpers.assets", "helpers.assets"]


def test_the_test_tools_are_added_and_stay(machine):
    for extras in ({"lab"}, {"lab", "test"}, {"lab"}):
        setup.set_up(extras, here=False)
    assert [done for done in machine if done != "helpers.assets"] == [["lab"], ["lab", "test"]]


@pytest.mark.parametrize("name", ["PYPROJECT", "TESTED"])
def test_changed_requirements_are_installed(machine, monkeypatch, tmp_path, name):
    setup.set_up({"lab"}, here=False)
    changed = tmp_path / "changed"
    changed.write_text(getattr(setup, name).read_text() + "\n# changed")
    monkeypatch.setattr(setup, name, changed)
    setup.set_up({"lab"}, here=False)
    assert machine.count(["lab"]) == 2


def test_an_install_cut_short_is_completed_by_the_next_run(machine, monkeypatch):
    whole = setup.install

    def cut(interpreter, extras, here):
        raise KeyboardInterrupt

    setup.set_up({"lab"}, here=False)
    monkeypatch.setattr(setup, "install", cut)
    with pytest.raises(KeyboardInterrupt):
        setup.set_up({"lab", "test"}, here=False)
    monkeypatch.setattr(setup, "install", whole)
    setup.set_up({"lab"}, here=False)
    assert machine.count(["lab"]) == 2


def test_a_package_cut_short_is_installed_again(tmp_path, monkeypatch):
    for name, whole in (("good-1.dist-info", True), ("half-1.dist-info", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("RECORD" if whole else "METADATA")).touch()
    monkeypatch.setattr(setup, "call", lambda command, **options: 0)
    setup.install(setup.Interpreter("python", "3.11.7", tmp_path, True, "2.13.0"), ["lab"], here=False)
    assert [folder.name for folder in tmp_path.iterdir()] == ["good-1.dist-info"]


def test_models_that_do_not_come_stop_the_set_up(machine, monkeypatch):
    monkeypatch.setattr(setup, "call", lambda command, **options: 1)
    with pytest.raises(setup.Stop, match="models and texts are not complete"):
        setup.set_up({"lab"}, here=False)


def test_a_second_set_up_waits_for_the_first():
    program = "from tools.setup import one_at_a_time\nwith one_at_a_time(): print('mine', flush=True)"
    with setup.one_at_a_time():
        other = subprocess.Popen([sys.executable, "-c", program], cwd=setup.ROOT, text=True,
                                 stdout=subprocess.PIPE)
        assert "waiting for it" in other.stdout.readline()
    assert other.communicate(timeout=30)[0] == "mine\n"


# ---------------------------------------------------------------- which torch

@pytest.mark.parametrize("torch, here, pinned", [
    ("", False, True),                        # a fresh .venv: the tested torch
    ("2.13.0+cpu", False, True),              # it is there
    ("2.14.1+cu130", False, False),           # the learner's CUDA build stays
    ("2.7.1", False, True),                   # too old: replaced by the tested one
])
def test_torch_in_venv(torch, here, pinned, tmp_path):
    interpreter = setup.Interpreter("python", "3.11.7", tmp_path, True, torch)
    option, file = setup.versions(interpreter, here, tmp_path)
    constraints = Path(file).read_text().splitlines()
    assert option == "--constraint" and "numpy==" in "".join(constraints)
    assert (TESTED_TORCH in constraints) == pinned
    assert not any(line.startswith("torch==") for line in constraints if line != TESTED_TORCH)


@pytest.mark.parametrize("torch, arguments", [
    ("2.11.0+cu128", []),                     # Colab: nothing named, nothing changed
    ("2.8.0", []),
    ("", [TESTED_TORCH]),                     # pip would take the newest
    ("2.7.1+cu118", [TESTED_TORCH]),
])
def test_torch_with_here(torch, arguments, tmp_path):
    interpreter = setup.Interpreter("python", "3.13.1", tmp_path, True, torch)
    assert setup.versions(interpreter, True, tmp_path) == arguments


def test_probe_tells_what_an_environment_holds():
    found = setup.probe(sys.executable)
    assert found.version.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert (found.site_packages / "pytest").is_dir()
    assert found.torch.split(".")[0] == "2"


@pytest.mark.parametrize("broken", ["absent/python", "not_a_program"])
def test_probe_of_a_broken_python_is_none(tmp_path, broken):
    (tmp_path / "not_a_program").write_text("")
    assert setup.probe(tmp_path / broken) is None


# ---------------------------------------------------------------- what went wrong, in a sentence

OUTPUTS = [                                   # as pip and venv printed it, shortened
    ("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<HTTPS>: "
     "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')'\n"
     "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/", "cannot be reached"),
    ("ERROR: Could not install packages: [Errno 28] No space left on device", "The disk is full"),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "does not match"),
    ("urllib3.exceptions.ProtocolError: ('Connection broken: IncompleteRead(1 bytes read)')", "cut short"),
    ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "cut short"),
    ("WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(SSLCertVerificationError(1, "
     "'[SSL: CERTIFICATE_VERIFY_FAILED]'))'", "certificate was refused"),
    ("error: externally-managed-environment\n× This environment is externally managed", "leave out --here"),
    ("ERROR: Cannot install a and b because these versions have conflicting dependencies.", "do not fit"),
    ("ERROR: Could not install packages: [Errno 13] Permission denied: '/x'", "cannot be written"),
    ("ERROR: No matching distribution found for torch==2.13.0", "has no version for Python 3."),
    ("The virtual environment was not created because ensurepip is not\navailable.", "venv module"),
    ("/usr/bin/python3: No module named venv", "venv module"),
    ("  note: something new\nerror: metadata-generation-failed\n", "error: metadata-generation-failed"),
    ("", "it gave no reason"),
]


@pytest.mark.parametrize("output, sentence", OUTPUTS, ids=[sentence for _, sentence in OUTPUTS])
def test_what_went_wrong_is_one_sentence(output, sentence):
    said = setup.explain(output)
    assert sentence in said
    assert "\n" not in said and "Traceback" not in said


def test_a_failed_install_shows_pips_words_and_ends_with_ours(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup, "versions", lambda *_: [])
    pip = tmp_path / "pip"
    pip.mkdir()
    (pip / "__init__.py").touch()
    (pip / "__main__.py").write_text("import sys; sys.exit('ERROR: [Errno 28] No space left on device')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(course, "set_up", lambda extras, here, steps=3: setup.install(
        setup.Interpreter(sys.executable, "3.11.7", tmp_path, True, "2.13.0"), extras, here))
    assert course.main(["lab"]) == 1
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "ERROR: [Errno 28] No space left on device"
    assert last.startswith("The disk is full")


def test_too_little_space_is_said_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "free_gb", lambda: 0.7)
    monkeypatch.setattr(setup, "call", lambda *_, **__: pytest.fail("pip was started"))
    with pytest.raises(setup.Stop, match=r"about 3 GB .* has 0\.7 GB"):
        setup.install(setup.Interpreter("python", "3.11.7", tmp_path, True, ""), ["lab"], here=False)


@pytest.mark.parametrize("installed, hint", [
    (["python3.12"], "run `python3.12 course.py lab`."),
    ([], "install one from python.org."),
])
def test_an_old_python_is_told_in_one_sentence(installed, hint):
    with pytest.raises(setup.Stop) as stop:
        course.require_python((3, 8, 18), which=lambda name: name in installed)
    assert str(stop.value).startswith("Press Enter needs Python 3.11 or newer, this is 3.8: ")
    assert hint in str(stop.value)


@pytest.mark.parametrize("file", [course.__file__, setup.__file__])
def test_an_old_python_can_read_the_door(file):
    ast.parse(Path(file).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_ctrl_c_is_one_sentence(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "set_up", interrupted)
    assert course.main(["test"]) == 130
    assert capsys.readouterr().err == f"\nStopped. {setup.AGAIN}\n"


@pytest.mark.parametrize("command", ["report", "progress"])
def test_without_an_environment_it_is_said_what_to_do(command, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    assert course.main([command]) == 1
    assert "There is no working .venv: run `python3 course.py lab` first." in capsys.readouterr().err


# ---------------------------------------------------------------- arguments

OURS = ["-n", "2", "--dist", "loadfile"]
NO_BROWSER = "--ignore=tests/test_browser.py"


@pytest.mark.parametrize("words, arguments", [
    ([], OURS),
    (["--quick"], [*OURS, NO_BROWSER, "tests"]),
    (["--quick", "-x", "conftest.py::test_x"], [*OURS, NO_BROWSER, "-x", "conftest.py::test_x"]),
    (["conftest.py", "-k", "a or b", "-n", "0"], [*OURS, "conftest.py", "-k", "a or b", "-n", "0"]),
    (["--here", "--lf", "-vv"], [*OURS, "--lf", "-vv"]),
])
def test_what_follows_test_goes_to_pytest(words, arguments):
    options, extra = course.parse(["test", *words])
    assert course.pytest_arguments(extra, options.quick) == arguments
    assert options.here == ("--here" in words)


@pytest.mark.parametrize("given, threads", [({}, "1"), ({"OMP_NUM_THREADS": "2"}, "2")])
def test_a_test_run_has_one_thread_unless_told_otherwise(given, threads):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")} | given
    program = "import conftest, os; print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])"
    said = subprocess.run([sys.executable, "-c", program], cwd=course.ROOT, env=environment, capture_output=True,
                          text=True)
    assert said.stdout.split() == [threads, threads], said.stderr


def test_lab_opens_the_learners_copy_without_news(lessons):
    (lessons / "my_course/notebooks").mkdir(parents=True)
    (lessons / "my_course" / course.FIRST_LESSON).touch()
    options, extra = course.parse(["lab", "--no-browser", "--port", "9999", "--", "--debug"])
    command = course.lab_command("python", not options.no_browser, options.port, extra)
    assert command[:4] == ["python", "-m", "jupyterlab", f"--ServerApp.root_dir={lessons}"]
    assert f"--LabApp.default_url=/lab/tree/my_course/{course.FIRST_LESSON}" in command
    assert {"--no-browser", "--port=9999", f"--LabApp.app_settings_dir={course.LAB_SETTINGS}"} <= set(command)
    [settings] = json.loads((course.LAB_SETTINGS / "overrides.json").read_text()).values()
    assert settings == {"fetchNews": "false", "checkForUpdates": False}
    assert command[-1] == "--debug"


@pytest.mark.parametrize("package", ["jupytext", "nbdime", "nbgrader", "notebook"])
def test_lab_looks_the_same_without_the_packages_of_the_tests(package):
    """What such a package adds to JupyterLab is switched off, in the page and in the server."""
    page = json.loads((course.LAB_SETTINGS / "page_config.json").read_text())
    switched_off = set(page["disabledExtensions"])
    for word in course.lab_command("python"):
        name, _, value = word.removeprefix("--ServerApp.jpserver_extensions=").partition("=")
        switched_off |= {name} if value == "False" else set()
    files = [file.as_posix() for file in importlib.metadata.files(package)]
    brought = {re.search(r"labextensions/((?:@[^/]+/)?[^/]+)/package.json$", file) for file in files} - {None}
    assert brought and {found[1] for found in brought} <= switched_off
    [config] = [file for file in importlib.metadata.files(package) if "jupyter_server_config.d" in file.as_posix()]
    assert set(json.loads(config.locate().read_text())["ServerApp"]["jpserver_extensions"]) <= switched_off


@pytest.mark.parametrize("words", [["lab", "--prot", "9999"], ["lab", "03"], ["build", "03"], ["progress", "03"], []])
def test_unknown_words_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        course.parse(words)
    assert end.value.code == 2
    assert "usage: course.py" in capsys.readouterr().err


@pytest.mark.parametrize("words, program", [
    (["execute", "03", "05b"], ["tools/execute.py", "03", "05b"]),
    (["bench", "decode"], ["-m", "benchmarks", "decode"]),
    (["stages", "--work", "w"], ["-m", "tools.stages", "--work", "w"]),
])
def test_a_command_hands_its_words_on(words, program, monkeypatch):
    interpreter = setup.Interpreter("python", "3.11.7", Path(), True, "")
    monkeypatch.setattr(course, "set_up", lambda extras, here: interpreter)
    monkeypatch.setattr(course, "call", lambda command: command)
    assert course.main(words) == ["python", *program]


def test_progress_is_printed_without_a_set_up(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(course, "set_up", lambda *_, **__: pytest.fail("the set-up was started"))
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    assert course.main(["progress", "--here"]) == 0
    assert "exercises: 0 of " in capfd.readouterr().out and list(tmp_path.iterdir()) == []


def test_call_gives_the_exit_code_and_hears_errors(capsys):
    heard = []
    program = "import sys; print('said', file=sys.stderr); sys.exit(3)"
    assert setup.call([sys.executable, "-c", program], heard=heard) == 3
    assert heard == ["said\n"] and capsys.readouterr().err == "said\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to die of")
def test_a_program_that_dies_of_a_signal_counts_as_a_shell_counts():
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert setup.call([sys.executable, "-c", program]) == 128 + 9


def test_the_tests_do_not_touch_the_learners_progress():
    state = Path(os.environ["COURSE_STATE"])
    assert state.is_dir() and state.name.startswith("press-enter-")
