"""One truth about versions, and a package that is whole, light to import and licensed."""
import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import course
from tools import notebook_store

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
RANGES = [Requirement(line) for line in sum(EXTRAS.values(), PROJECT["dependencies"])]
DISTRIBUTION = {"yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn"}      # where the imported name is another


def versions(file):
    """{name: version} of a list of exact versions."""
    text = (ROOT / file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in lines)
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    assert len(pins) == len(lines), "a package is named twice"
    return pins


# ---------------------------------------------------------------- versions

def test_no_package_has_two_ranges():
    assert len({canonicalize_name(package.name) for package in RANGES}) == len(RANGES)


@pytest.mark.parametrize("package", RANGES, ids=lambda package: package.name)
def test_the_tested_version_is_in_range(package):
    assert package.specifier.contains(versions("requirements/tested.txt")[canonicalize_name(package.name)])


def test_the_tested_versions_suit_any_build_of_torch():
    assert not [pin for pin in versions("requirements/tested.txt").values() if "+" in pin]


@pytest.mark.skipif(sys.platform != "linux", reason="the tested environment is on Linux")
def test_everything_that_is_installed_is_pinned():
    wanted = {canonicalize_name(package.name) for package in RANGES}
    seen = {"torch"}                                         # its GPU builds need more
    while wanted - seen:
        name = (wanted - seen).pop()
        seen.add(name)
        needed = map(Requirement, importlib.metadata.requires(name) or ())
        wanted |= {canonicalize_name(package.name) for package in needed
                   if package.marker is None or package.marker.evaluate({"extra": ""})}
    assert seen <= versions("requirements/tested.txt").keys()


@pytest.mark.parametrize("package", RANGES, ids=lambda package: package.name)
def test_colab_changes_nothing_preinstalled(package):
    colab = versions("tests/data/colab.txt")
    if canonicalize_name(package.name) in colab:
        assert package.specifier.contains(colab[canonicalize_name(package.name)])


def test_every_import_is_declared():
    declared = {canonicalize_name(package.name) for package in RANGES}
    folders = ("helpers", "tools", "tests", "benchmarks")
    files = [*ROOT.glob("*.py"), *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]
    ours, imported = {*folders, *(file.stem for file in files if "helpers" not in file.parts)}, set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    others = imported - ours - sys.stdlib_module_names
    assert {canonicalize_name(DISTRIBUTION.get(name, name)) for name in others} <= declared


def test_conda_installs_what_course_py_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, packages = environment["dependencies"]
    assert (environment["name"], pip) == (PROJECT["name"], "pip")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1])
    assert packages == {"pip": ["--constraint requirements/tested.txt", "--editable .[lab]"]}


def test_the_oldest_python_is_the_same_everywhere():
    assert PROJECT["requires-python"] == ">=" + ".".join(map(str, course.OLDEST_PYTHON))


# ---------------------------------------------------------------- the package

@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The files of the wheel, built offline from a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "notebooks").mkdir()
    subprocess.run([sys.executable, "-m", "pip", "wheel", ".", "--quiet", "--no-deps", "--no-build-isolation",
                    "--no-index", "--disable-pip-version-check"], cwd=folder, check=True)
    [file] = folder.glob("press_enter-*.whl")
    return zipfile.ZipFile(file).namelist()


def test_the_wheel_holds_all_of_helpers_and_nothing_else(wheel):
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "helpers").rglob("*")
             if file.is_file() and "__pycache__" not in file.parts}
    assert {name for name in wheel if ".dist-info/" not in name} == files
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_importing_helpers_brings_nothing_heavy():
    program = ("import sys, torch; before = set(sys.modules)\n"
               "import helpers; from helpers import transformer\n"
               "print(*{name.split('.')[0] for name in set(sys.modules) - before})")
    loaded = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).split()
    assert "helpers" in loaded
    assert not {"transformers", "gguf", "matplotlib", "IPython", "ipywidgets", "tokenizers"} & set(loaded)


def test_what_lessons_call_by_its_full_name_is_there_without_an_import():
    import helpers
    used = set()
    for path in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("solutions/*.ipynb")]:
        for cell in notebook_store.read(path).cells:
            if cell.cell_type == "code":
                used |= {node.attr for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Attribute)
                         and isinstance(node.value, ast.Name) and node.value.id == "helpers"}
    assert used and used <= {*helpers.MODULES, *helpers.SHORTCUTS}
    assert all(getattr(helpers, name) for name in dir(helpers))


def test_version_and_course_are_named_once():
    import helpers
    assert helpers.__course__ == PROJECT["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", helpers.__version__) and "version" in PROJECT["dynamic"]


# ---------------------------------------------------------------- documents

@pytest.mark.parametrize("file, words", [
    ("LICENSE", ["MIT License", "The Press Enter authors", 'THE SOFTWARE IS PROVIDED "AS IS"']),
    ("LICENSE-CONTENT", ["CC BY 4.0", "The Press Enter authors", "creativecommons.org/licenses/by/4.0/"]),
])
def test_licences(file, words):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_documents_name_commands_and_files_that_exist(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    commands = set(re.findall(r"python3? course\.py (\w+)", text))
    assert commands and commands <= {function.__name__ for function in course.COMMANDS}
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    for heading in re.findall(r"\]\(#([\w-]+)\)", text):
        assert heading in [re.sub(r"[^\w ]", "", line.lower()).strip().replace(" ", "-")
                           for line in text.splitlines() if line.startswith("#")]


def test_the_hint_of_the_set_up_is_in_the_readme():
    said = (ROOT / "tools" / "setup.py").read_text(encoding="utf-8")
    [heading] = re.findall(r"read '([^']+)' in README\.md", said)
    assert f"# {heading}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no executable bit")
def test_ci_runs_the_whole_course_and_may_not_skip_the_browser():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "REQUIRE_BROWSER=1 python3 course.py test" in script.read_text(encoding="utf-8")


# ---------------------------------------------------------------- form

def python_files():
    """Every Python file of the project."""
    return [*ROOT.glob("*.py"), *(file for folder in ("helpers", "tools", "benchmarks", "tests")
                                  for file in sorted((ROOT / folder).rglob("*.py")))]


def test_lines_have_at_most_120_characters():
    long = [f"{file.relative_to(ROOT)}:{number}" for file in python_files()
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 120]
    assert len(python_files()) > 60 and long == []


def test_modules_have_at_most_350_lines():
    lengths = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
               for file in python_files() if "tests" not in file.relative_to(ROOT).parts}
    assert {name: length for name, length in lengths.items() if length > 350} == {}
