"""The README's table of lessons, written from the notebooks, so that it is never out of step with them."""
import math
import re
from pathlib import Path
from typing import NamedTuple

from tools import notebook_store

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "notebooks"
BEGIN, END = "<!-- lessons -->", "<!-- /lessons -->"


class Lesson(NamedTuple):
    number: str  # "00", "05b"
    title: str
    question: str
    minutes: int
    memory_mb: int


def lesson(notebook, name: str) -> Lesson:
    """What a notebook says about itself; `ValueError` naming what is missing.

    The title is the first cell's `# 03 · Attention`, the question its `## How a token finds what it needs` or
    the notebook's `press_enter.question`; minutes and memory are what `tools/execute.py` measured.
    """
    first = notebook["cells"][0] if notebook["cells"] else None
    head = first["source"] if first is not None and first["cell_type"] == "markdown" else ""
    title = re.match(r"# +(.+)", head)
    if not title:
        raise ValueError("its first cell does not begin with '# ' and a title")
    own = notebook["metadata"].get("press_enter", {})
    subtitle = re.search(r"^## +(.+)", head, re.MULTILINE)
    question = own.get("question") or (subtitle and subtitle[1])
    if not question:
        raise ValueError("no '## question' below its title and none in its metadata (press_enter.question)")
    if not own.get("minutes") or not own.get("memory_mb"):
        raise ValueError(f"no measured minutes and memory: run python3 course.py execute {_number(name)}")
    return Lesson(_number(name), re.sub(r"^\d\w* · ", "", title[1]).strip(), question.strip(),
                  own["minutes"], own["memory_mb"])


def table(folder: Path) -> str:
    """A Markdown table with one row for each notebook in `folder`, linked relative to the folder's parent."""
    rows = ["| | lesson | what it answers | run time | memory |", "|---|---|---|---|---|"]
    for path in sorted(folder.glob("*.ipynb")):
        try:
            number, title, question, minutes, memory_mb = lesson(notebook_store.plain(path.read_bytes()), path.name)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        link = f"[{_cell(title)}]({folder.name}/{path.name})"
        gigabytes = math.ceil(memory_mb / 100) / 10
        rows.append(f"| {number} | {link} | {_cell(question)} | {minutes} min | {gigabytes:.1f} GB |")
    return "\n".join(rows)


def with_table(readme: str, folder: Path) -> str:
    """The README's text with the lines between its two markers replaced by the table of today."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"README.md needs the line {BEGIN} once and {END} below it: the table goes between")
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(folder)}\n{END}{after}"


def rewrite(root: Path = ROOT, check: bool = False) -> bool:
    """Bring the README's table up to date; True when it changed. `check` tells whether it would, and writes nothing."""
    readme = root / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = with_table(old, root / FOLDER)
    if new != old and not check:
        readme.write_text(new, encoding="utf-8", newline="\n")
    return new != old


def _number(name: str) -> str:
    return name.split("_")[0]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
