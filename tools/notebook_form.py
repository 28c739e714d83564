"""What every stored notebook must be: the rules nbval does not check, as one pure function.

`problems(notebook, name)` returns one sentence for each broken rule, and nothing for a notebook in good form.
A rule is a generator below: it yields the place it complains about and why, and is named in `RULES`.
"""
import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode, validator
from IPython.core.inputtransformer2 import TransformerManager

from helpers.waiting import WIDGET
from tools import exercise_cells, lesson_table, notebook_store

CODE_LINES, CLASS_LINES = 12, 25
ANSWER_LINES = 30                                      # the learner's stub and steps stand in the same cell
WORDS = 2500
IGNORED_SHARE = 4                                      # one output cell in four may depend on the machine

IGNORE_TAG = "nbval-ignore-output"
FORBIDDEN_TAGS = ("nbval-skip", "nbval-raises-exception", "nbval-check-output", "raises-exception",
                  "skip-execution")
CLAIM_TAG = "claim:"
ASSERTIONS = ("agree", "measured", "verdict")          # of helpers.proof: they raise, or judge

_MARKER = re.compile(r"^\s*#+\s*((?:PYTEST_VALIDATE|NBVAL)_[A-Z_]+)\s*$", re.MULTILINE)
_ID = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_SENTENCE = re.compile(r"[A-Z0-9\"'“‘(].*[.!?…][\"'”’)]?", re.DOTALL)
_HERE = [str(path) for path in (Path(__file__).resolve().parents[1], Path.home()) if len(path.parts) > 1]
_MACHINE_PATH = re.compile(
    r"(?<![\w.:/~-])/(?:home|Users|root|tmp|var|private|opt|mnt|srv|usr|etc|content|workspace)/[\w.@+-]+"
    r"|\b[A-Za-z]:\\\w|/site-packages/"
    rf"|(?<![\w.:/~-])(?:{'|'.join(map(re.escape, _HERE))})(?![\w-])"
)

Found = Iterator[tuple[str, str]]                      # places, and what is wrong there


def problems(notebook: NotebookNode, name: str, setup: str | None = None) -> list[str]:
    """One sentence for each thing wrong with a notebook's form; `setup` is the set-up cell it must share."""
    found = [f"{name}, {place}: {rule.__name__}: {why}" for rule in RULES for place, why in rule(notebook)]
    if setup is not None and setup_cell(notebook) != setup:
        found.append(f"{name}, code cell 1: setup: not the set-up cell of the other notebooks: copy theirs")
    return found


def file_problems(path: Path, setup: str | None = None) -> list[str]:
    """The problems of a notebook file: those of its bytes, then those of what they say."""
    content = path.read_bytes()
    if b"\r" in content:
        return [f"{path.name}, file: line_ends: it has carriage returns: store it with LF alone"]
    try:
        notebook = notebook_store.parse(content)
    except ValueError as error:
        return [f"{path.name}, file: json: {error}"]
    invalid = [error.message[:200] for error in validator.iter_validate(notebook)]
    if invalid:  # the rules below take a valid notebook for granted
        return [f"{path.name}, file: format: {why}" for why in invalid]
    found = problems(notebook, path.name, setup)
    if not found and notebook_store.text(notebook).encode("utf-8") != content:
        found.append(f"{path.name}, file: layout: not written as tools/execute.py writes it")
    if path.parent.name == lesson_table.FOLDER:
        try:
            lesson_table.lesson(notebook, path.name)
        except ValueError as error:
            found.append(f"{path.name}, file: head: {error}")
    return found


def setup_cell(notebook: NotebookNode) -> str | None:
    """The source of the first code cell, which all notebooks share."""
    return next((cell.source for _, cell in _code(notebook)), None)


# Run, once and completely

def counts(notebook: NotebookNode) -> Found:
    """Every code cell ran exactly once, in order."""
    number = 0
    for number, (place, cell) in enumerate(_code(notebook), 1):
        count = cell.get("execution_count")
        if not cell.source.strip():
            yield place, "it is empty: delete it"
        elif count != number:
            yield place, f"its execution count is {count}, expected {number}: run python3 course.py execute"
        elif any(out.get("execution_count", number) != number for out in cell.outputs):
            yield place, "its result carries another execution count: run python3 course.py execute"
    if not number:
        yield "file", "it has no code cell"


def errors(notebook: NotebookNode) -> Found:
    """No cell ended in an error."""
    for place, out in _outputs(notebook):
        if out.output_type == "error":
            yield place, f"a stored {out.get('ename', 'error')}: catch it and print it"


def stderr(notebook: NotebookNode) -> Found:
    """Nothing was written to stderr: no warning, no progress bar."""
    for place, out in _outputs(notebook):
        if out.output_type == "stream" and out.name != "stdout":
            yield place, f"it wrote to {out.name}: {_start(out.text)!r}"


def empty_outputs(notebook: NotebookNode) -> Found:
    """Every output shows something."""
    for place, out in _outputs(notebook):
        if out.output_type == "stream":
            shown = [out.text]
        else:
            shown = list(out.get("data", {}).values())
        if out.output_type != "error" and not any(str(value).strip() for value in shown):
            yield place, f"a stored {out.output_type} shows nothing"


# Nothing of the machine or the moment

def kernelspec(notebook: NotebookNode) -> Found:
    """The kernel is any Python 3, of no particular version or environment."""
    if notebook.metadata.get("kernelspec") != notebook_store.KERNELSPEC:
        yield "file", f"its kernelspec is {dict(notebook.metadata.get('kernelspec', {}))}, not python3's"
    if notebook.metadata.get("language_info") != notebook_store.LANGUAGE_INFO:
        yield "file", "its language_info is not the one tools/execute.py stores"


def metadata(notebook: NotebookNode) -> Found:
    """No widget state, no times, no editor settings."""
    for key in notebook.metadata:
        if key not in notebook_store.NOTEBOOK_METADATA:
            kind = "saved widget state" if key == "widgets" else "metadata that changes from save to save"
            yield "file", f"{key!r} is {kind}: run python3 course.py execute"
    for place, cell in _cells(notebook):
        for key in cell.metadata:
            if key not in notebook_store.CELL_METADATA:
                yield place, f"its metadata has {key!r}, which is not kept: run python3 course.py execute"


def widget_views(notebook: NotebookNode) -> Found:
    """No widget where a reader without a kernel needs a picture."""
    for place, out in _outputs(notebook):
        if WIDGET in out.get("data", {}):
            yield place, "a widget view is stored, which a reader without a kernel sees as an error"


def ids(notebook: NotebookNode) -> Found:
    """Every cell has an id of its own, by which a comparison can follow it."""
    seen = Counter(cell.get("id") for cell in notebook.cells)
    for place, cell in _cells(notebook):
        if not _ID.fullmatch(cell.get("id") or ""):
            yield place, f"its id is {cell.get('id')!r}: run python3 course.py execute, which gives it one"
        elif seen[cell.id] > 1:
            yield place, f"its id {cell.id!r} occurs {seen[cell.id]} times"


def machine_paths(notebook: NotebookNode) -> Found:
    """No path of a machine in what a cell printed."""
    for place, shown in _texts(notebook):
        if found := _MACHINE_PATH.search(shown):
            yield place, f"its output names a path of the machine it ran on: {_start(found[0])!r}"


# Readable

def code_lines(notebook: NotebookNode) -> Found:
    """A code cell has one idea."""
    for place, cell in _code(notebook):
        lines = sum(1 for line in cell.source.splitlines() if line.strip())
        tree = _syntax(cell.source)
        limit, kind = CODE_LINES, ""
        if exercise_cells.holds_solution(cell.source):
            limit, kind = ANSWER_LINES, " with a solution"
        elif tree and any(isinstance(node, ast.ClassDef) for node in tree.body):
            limit, kind = CLASS_LINES, " for a class"
        if lines > limit:
            yield place, f"{lines} lines of code, at most {limit}{kind}"


def words(notebook: NotebookNode) -> Found:
    """A lesson is an evening's hour."""
    count = sum(len(_prose(cell.source)) for cell in notebook.cells if cell.cell_type == "markdown")
    if count > WORDS:
        yield "file", f"{count} words of prose, at most {WORDS}: split it or cut it"


def alt_text(notebook: NotebookNode) -> Found:
    """Every picture is told in words."""
    for place, out in _outputs(notebook):
        if "image/png" in out.get("data", {}):
            alt = out.metadata.get("image/png", {}).get("alt", "")
            if not alt.strip():
                yield place, 'its picture has no alt text: metadata["image/png"]["alt"]'
            elif len(alt.split()) < 4 or not _SENTENCE.fullmatch(alt.strip()):
                yield place, f"its picture's alt text is not a sentence: {_start(alt)!r}"


def semicolons(notebook: NotebookNode) -> Found:
    """No ';' at the end of a line, which hides an output in some places and not in others."""
    for place, cell in _code(notebook):
        for line in _lines_ending_in_semicolon(cell.source):
            yield place, f"a ';' ends {line!r}: it does not hide an output everywhere; write '_ = …'"


# Proved

def skipped(notebook: NotebookNode) -> Found:
    """No cell leaves the comparison of stored and fresh output, or is expected to fail."""
    for place, cell in _code(notebook):
        for tag in cell.metadata.get("tags", []):
            if tag in FORBIDDEN_TAGS:
                yield place, f"its tag {tag!r} takes it out of the comparison, which no cell may leave"
        for comment in _MARKER.findall(cell.source):
            yield place, f"its comment {comment} steers the comparison: use the tag {IGNORE_TAG!r} or nothing"


def ignored(notebook: NotebookNode) -> Found:
    """Few cells print what depends on the machine, and those assert what they claim."""
    shown = [(place, cell) for place, cell in _code(notebook) if cell.outputs]
    free = [(place, cell) for place, cell in _code(notebook) if IGNORE_TAG in cell.metadata.get("tags", [])]
    for place, cell in free:
        if not _asserts(cell.source):
            yield place, f"tagged {IGNORE_TAG!r}, it asserts nothing: add assert, agree, measured or verdict"
    if len(free) * IGNORED_SHARE > len(shown):
        yield "file", f"{len(free)} of {len(shown)} output cells are tagged {IGNORE_TAG!r}, of four one may"


def claims(notebook: NotebookNode) -> Found:
    """A cell tagged with a claim holds that claim's verdict, as data."""
    for place, cell in _code(notebook):
        tags = cell.metadata.get("tags", [])
        promised = {tag.removeprefix(CLAIM_TAG) for tag in tags if tag.startswith(CLAIM_TAG)}
        verdicts = [out.get("metadata", {}).get("press_enter", {}).get("verdict") for out in cell.outputs]
        given = {verdict.get("id") for verdict in verdicts if verdict}
        for claim in sorted(promised - given):
            yield place, f"it is tagged {CLAIM_TAG}{claim} and no output of it holds that claim's verdict"
        for claim in sorted(given - promised, key=str):
            yield place, f"it holds a verdict on {claim} and lacks the tag {CLAIM_TAG}{claim}"


# Exercises

def exercises(notebook: NotebookNode) -> Found:
    """A solution stands between its markers, and an exercise's four cells in their order."""
    yield from exercise_cells.faults(notebook)


def grading(notebook: NotebookNode) -> Found:
    """nbgrader knows the cells of exercises, and no other."""
    if not any(exercise_cells.faults(notebook)):
        known = exercise_cells.grading(notebook)
        for i, (place, cell) in enumerate(_cells(notebook)):
            if cell.metadata.get("nbgrader") != known.get(i):
                yield place, "its nbgrader metadata is missing or not what follows from its exercise: run " \
                             "python3 course.py execute, which writes it"


def passed(notebook: NotebookNode) -> Found:
    """Every check of a solution was passed."""
    if not any(exercise_cells.faults(notebook)):
        for one in exercise_cells.exercises(notebook):
            shown = "".join(out.get("text", "") for out in notebook.cells[one.check].outputs)
            if not re.match(rf"{re.escape(one.id)} \w+: passed\.", shown):
                yield f"cell {one.check + 1}", f"the check of {one.id} does not say that its solution passed"


RULES = (counts, errors, stderr, empty_outputs, kernelspec, metadata, widget_views, ids, machine_paths,
         code_lines, words, alt_text, semicolons, skipped, ignored, claims, exercises, grading, passed)


# How the rules read a notebook

def _cells(notebook):
    for number, cell in enumerate(notebook.cells, 1):
        yield f"cell {number}", cell


def _code(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, 1):
        yield f"code cell {number}", cell


def _outputs(notebook):
    for place, cell in _code(notebook):
        for out in cell.outputs:
            yield place, out


def _texts(notebook):
    """Every text a reader meets in the outputs: streams, text bundles, alt text."""
    for place, out in _outputs(notebook):
        yield place, out.get("text", "")
        yield place, str(out.get("metadata", ""))
        for kind, value in out.get("data", {}).items():
            if not kind.startswith("image/") or kind == "image/svg+xml":
                yield place, str(value)


def _prose(markdown: str) -> list[str]:
    """The words of a Markdown cell, less code blocks, displayed formulas, tags and the targets of links."""
    markdown = re.sub(r"```.*?```|\$\$.*?\$\$|<[^>]*>|\]\([^)]*\)", " ", markdown, flags=re.DOTALL)
    return [word for word in markdown.split() if re.search(r"\w", word)]


def _syntax(source: str) -> ast.Module | None:
    """A cell as IPython would run it; None when that is not Python."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return None


def _asserts(source: str) -> bool:
    """Whether a cell asserts at its own level: not only in a function that it defines and may never call."""
    tree = _syntax(source)
    waiting = list(tree.body) if tree else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            if getattr(node.func, "attr", getattr(node.func, "id", "")) in ASSERTIONS:
                return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def _lines_ending_in_semicolon(source: str):
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    ends = (tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER)
    for token, following in zip(tokens, tokens[1:]):
        if token.type == tokenize.OP and token.string == ";" and following.type in ends:
            yield token.line.strip()


def _start(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[:length] + "…"
