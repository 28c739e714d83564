"""What the comparison of stored and fresh outputs catches, proved by running it on made-up notebooks."""
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).resolve().parents[1]
SANITIZE = ROOT / "tests" / "sanitize.cfg"
TIMEOUT = 3                                            # seconds a cell
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def said(stored, printed):
    """A notebook that stores one line and prints another."""
    output = new_output("stream", text=stored + "\n")
    return new_code_cell(f"print({printed!r})", execution_count=1, outputs=[output])


def bundle(text, stored):
    """A notebook that shows a widget with a picture and text, and stores less."""
    data = {WIDGET_VIEW: {"model_id": "1"}, "image/png": "iVBORw0KGgo=", "text/plain": text}
    alt = {"image/png": {"alt": "Two bars of equal height."}}
    output = new_output("display_data", data=stored, metadata=alt)
    return new_code_cell(f"display({data!r}, raw=True)", execution_count=1, outputs=[output])


PICTURE = {"image/png": "AAAA", "text/plain": "a slider over 'steps'"}
BARE = new_code_cell(f"display({ {WIDGET_VIEW: {}} }, raw=True)", execution_count=1)
CASES = {                                              # name: (cell, whether it passes)
    "same": (said("loss 1.87", "loss 1.87"), True),
    "number": (said("loss 1.87", "loss 1.88"), False),
    "word": (said("the loss fell", "the loss rose"), False),
    "measured number": (said("loss ≈1.87", "loss ≈2.03"), True),
    "measured number, word beside it": (said("loss ≈1.87 fell", "loss ≈2.03 rose"), False),
    "measured number, unit": (said("≈1.87 GB", "≈1.87 MB"), False),
    "measured number, another after it": (said("≈1.87, 3.10", "≈1.87, 3.20"), False),
    "measured sign lost": (said("loss ≈1.87", "loss 1.87"), False),
    "measured table": (said("a |  ≈9.8 |\nb | ≈11.2 |", "a | ≈10.1 |\nb |  ≈9.9 |"), True),
    "address": (said("<f at 0x7f3c5a1b2c3d>", "<f at 0x7f0000000abc>"), True),
    "hexadecimal": (said("byte 0xe2", "byte 0xe3"), False),
    "progress bar": (said(" 99%|#9| 20/20 [00:01<00:00, 12.3it/s]", "100%|##| 20/20 [00:02<00:00]"), True),
    "progress bar, count": (said("100%|##| 20/20 [00:01<00:00]", "100%|##| 19/19 [00:01<00:00]"), False),
    "versions": (said("Press Enter 0.1.0 · Python 3.11.7", "Press Enter 0.2.1 · Python 3.13.1 · cuda"), True),
    "widget view dropped": (bundle("a slider over 'steps'", PICTURE), True),
    "widget view dropped, text": (bundle("a slider over 'words'", PICTURE), False),
    "widget alone dropped": (BARE, True),
    "picture dropped": (bundle("a slider over 'steps'", {"text/plain": "a slider over 'steps'"}), True),
    "text dropped": (bundle("a slider over 'steps'", {"image/png": "AAAA"}), False),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What pytest with nbval, as the project runs it, says of each case and of a cell whose kernel dies."""
    folder = tmp_path_factory.mktemp("nbval")
    dying = new_code_cell("import os; os._exit(1)", execution_count=1)
    nbformat.write(new_notebook(cells=[cell for cell, _ in CASES.values()]), folder / "cases.ipynb")
    nbformat.write(new_notebook(cells=[dying]), folder / "dies.ipynb")
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--nbval",
               "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}", f"--nbval-cell-timeout={TIMEOUT}"]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=100, cwd=folder)
    found = re.findall(r"^(PASSED|FAILED) (cases|dies)\.ipynb::Cell (\d+)", run.stdout, re.M)
    return {(name, int(cell)): outcome == "PASSED" for outcome, name, cell in found}, run.stdout


@pytest.mark.parametrize("number, name", list(enumerate(CASES)))
def test_comparison(number, name, outcomes):
    assert outcomes[0]["cases", number] is CASES[name][1]


def test_dying_kernel_fails_within_the_timeout(outcomes):
    passed, report = outcomes
    assert passed["dies", 0] is False
    assert f"Timeout of {TIMEOUT} seconds exceeded" in report


def test_project_compares_every_notebook():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    options = project["tool"]["pytest"]["ini_options"]
    flags = [word.partition("=")[::2] for word in options["addopts"].split()]
    assert {"notebooks", "solutions"} <= set(options["testpaths"])
    assert {"--nbval", "--nbval-current-env"} <= {name for name, _ in flags}
    assert ("--nbval-sanitize-with", "tests/sanitize.cfg") in flags
    assert 0 < float(dict(flags)["--nbval-cell-timeout"]) <= 600


# The sanitize file


def entries(text):
    """Each section's pair, read strictly: nbval passes over an entry that is not written exactly so."""
    found = {}
    lines = [line for line in text.splitlines(keepends=True) if line.strip() and not line.startswith("#")]
    for section in filter(None, re.split(r"^(?=\[)", "".join(lines), flags=re.M)):
        match = re.fullmatch(r"\[(.+)\]\nregex: (\S.*\S)\nreplace: (\S.*)\n", section)
        if not match:
            raise ValueError(f"not a section with one regex and one replace: {section!r}")
        found[match[1]] = re.compile(match[2]), match[3]
    return found


def test_sanitize_file_is_what_nbval_reads():
    text = SANITIZE.read_bytes().decode("ascii")
    found = [(regex.pattern, replace) for regex, replace in entries(text).values()]
    assert found == get_sanitize_patterns(text)


@pytest.mark.parametrize("spoilt", [
    ("regex: ", "regex:"), ("regex: ", " regex: "), ("replace: ", "replaced: "), ("replace: ADDRESS", ""),
    ("replace: ADDRESS", "\nADDRESS"), (r"{7,16}\b", "{7,16}(")
])
def test_malformed_sanitize_file_is_noticed(spoilt):
    text = SANITIZE.read_text(encoding="ascii")
    assert spoilt[0] in text
    with pytest.raises((ValueError, re.error)):
        entries(text.replace(*spoilt))


@pytest.mark.parametrize("shown, sanitized", [
    ("≈1.87", "~"), ("≈ 1.87 s", "~s"), ("≈-0.5", "~"), ("≈−0.5", "~"), ("≈1,234,567 tokens", "~tokens"),
    ("≈1.2e-05", "~"), ("≈97%", "~%"), ("≈1.3×", "~×"), ("It took ≈3.", "It took~."), ("≈1, 2", "~, 2"),
    ("≈1–2", "~–2"), ("≈nan", "≈nan"), ("≈inf", "≈inf"), ("≈", "≈"), ("a ≈ b", "a ≈ b"), ("1.87≈", "1.87≈"),
])
def test_what_counts_as_a_measured_number(shown, sanitized):
    regex, replace = entries(SANITIZE.read_text(encoding="ascii"))["measured"]
    assert regex.sub("~", shown) == sanitized
