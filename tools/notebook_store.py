"""The stored form of a notebook: what is kept, in which order, and how it is written.

A stored notebook changes only when its text or its results change. So everything a run leaves behind that
says nothing to a reader (widget state, times, editor settings, the exact Python version) is dropped here, and
the JSON is written in one way. `notebook_form` checks what this module promises.

A notebook is nbformat's node or plain data, as `plain` reads it. nbformat takes a second to import, so it is imported
only where nodes are made: `course.py build` needs none.
"""
from __future__ import annotations

import json
import os
import re
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.waiting import WIDGET
from tools import exercise_cells

if TYPE_CHECKING:
    import nbformat

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {                                      # what JupyterLab writes on saving, less the version
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
NOTEBOOK_METADATA = ("kernelspec", "language_info", "press_enter")
CELL_METADATA = ("tags", "press_enter", "nbgrader")

IN_LINES = ("text/", "image/svg+xml", "application/javascript")      # kinds of data that are texts of many lines
STILL = ("image/png", "image/svg+xml", "text/html", "text/markdown")

_WIDGET_REPR = re.compile(r"[A-Za-z]\w*\(.*\)\s*\Z", re.DOTALL)      # IntSlider(value=3, …)
_OVERWRITTEN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)           # states of a line before its last


# Reading and writing

def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook as it is: nothing upgraded, repaired or validated."""
    return parse(path.read_bytes())


def parse(content: bytes) -> nbformat.NotebookNode:
    """Turn a notebook file's bytes into nodes; `ValueError` when they are not a notebook of format 4."""
    plain(content)
    import nbformat

    return nbformat.v4.reads_json(content.decode("utf-8"))


def plain(content: bytes) -> dict[str, Any]:
    """A notebook file's bytes as plain data, each cell's source as one text; `ValueError` as `parse`."""
    notebook = json.loads(content.decode("utf-8"))
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or "cells" not in notebook:
        raise ValueError("this is not a notebook of format 4: open it in JupyterLab and save it")
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell.get("source", ""))
    return notebook


def text(notebook: dict[str, Any]) -> str:
    """The one way a notebook is written: keys sorted, indent 1, texts as lists of lines, a line break at the end.

    These are the bytes that nbformat and JupyterLab write, so that saving a notebook again changes nothing.
    """
    written = {**notebook, "cells": [_cell_in_lines(cell) for cell in notebook["cells"]]}
    return json.dumps(written, sort_keys=True, indent=1, ensure_ascii=False, separators=(",", ": ")) + "\n"


def _cell_in_lines(cell: dict[str, Any]) -> dict[str, Any]:
    written = {**cell, "source": cell["source"].splitlines(True)}
    if cell["cell_type"] == "code":
        written["outputs"] = [_output_in_lines(output) for output in cell["outputs"]]
    return written


def _output_in_lines(output: dict[str, Any]) -> dict[str, Any]:
    if isinstance(output.get("text"), str):
        return {**output, "text": output["text"].splitlines(True)}
    if "data" not in output:
        return output
    data = {kind: value.splitlines(True) if isinstance(value, str) and kind.startswith(IN_LINES) else value
            for kind, value in output["data"].items()}
    return {**output, "data": data}


def write(notebook: dict[str, Any], path: Path) -> None:
    """Store a notebook as `path`."""
    put(text(notebook).encode("utf-8"), path)


def put(content: bytes, path: Path) -> None:
    """Replace `path` in one step, so that a run cut short never leaves half a notebook."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(draft, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


# What is kept

def tidy_source(notebook: nbformat.NotebookNode) -> None:
    """Drop blank lines around every cell's text and blanks that end a code line; in place, before a run.

    A cell without an id gets one; those that have one keep it for good, so that a comparison can follow them.
    The cells of exercises get nbgrader's metadata, the others lose it. Raises `ValueError` when the exercises are not
    in order.
    """
    for cell in notebook.cells:
        cell.setdefault("id", uuid.uuid4().hex[:8])
        lines = cell.source.splitlines()
        if cell.cell_type == "code":
            lines = [line.rstrip() for line in lines]
        cell.source = "\n".join(lines).strip("\n")
    exercise_cells.mark(notebook)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Bring an executed notebook into its stored form, in place.

    Raises `ValueError`, naming the cell, when an output is a widget and nothing else: without a kernel its
    reader would see an error where the picture should be.
    """
    import nbformat

    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({
        **{key: notebook.metadata[key] for key in NOTEBOOK_METADATA if key in notebook.metadata},
        "kernelspec": KERNELSPEC,
        "language_info": LANGUAGE_INFO,
    })
    number = 0
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            number += 1
            outputs = _merge_streams(still(cell.outputs))
            cell.outputs = [_tidy_output(output, cell, number) for output in outputs]


def _tidy_output(output, cell, number: int):
    output.pop("transient", None)
    if "execution_count" in output:
        output.execution_count = cell.execution_count
    if WIDGET in output.get("data", {}):
        raise ValueError(
            f"code cell {number} (id {cell.id}) shows a widget and nothing else: display it with its "
            "picture or text in one bundle, as helpers.widgets does"
        )
    return output


def _merge_streams(outputs: list) -> list:
    merged = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            output.text = _OVERWRITTEN.sub("", output.text)
    return merged


# What a reader without a kernel sees

def still(outputs: list[dict]) -> list[dict]:
    """Outputs as they look without a kernel: each widget gives way to the picture or text beside it.

    A widget with nothing beside it stays; text that is only its name and values, as `IntSlider(value=3)`, is
    nothing. An output marked `transient` (a progress bar of `helpers.waiting`) was there while its cell ran.
    """
    own = [output.get("metadata", {}).get("press_enter", {}) for output in outputs]
    lasting = [output for output, mark in zip(outputs, own) if not mark.get("transient")]
    for output in lasting:
        data = output.get("data", {})
        plain = "".join(data.get("text/plain", "")).strip()            # a file holds it as a list of lines
        if any(kind in data for kind in STILL) or plain and not _WIDGET_REPR.match(plain):
            data.pop(WIDGET, None)
    return lasting


def keep_pictures(model: dict, **_) -> None:
    """Save what `still` gives: JupyterLab's `pre_save_hook`, called with a notebook before it is written.

    Of a bundle of widget, picture and text JupyterLab shows the widget, and when the notebook is opened again
    without the kernel that held it, an error in its place.
    """
    if model["type"] == "notebook":
        for cell in model["content"]["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = still(cell["outputs"])
