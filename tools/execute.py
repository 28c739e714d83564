"""Run notebooks from top to bottom on the CPU and store them with their outputs.

    python tools/execute.py              every lesson and every solution
    python tools/execute.py 03 05b       those whose file name begins with 03_ or 05b_

A notebook is replaced only when all its cells ran; then its exercises are built, and the README's table of lessons.
Exit status 1 when one did not run, or when what was stored breaks a rule of `notebook_form`.
"""
import argparse
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))                          # a script's path begins with its own folder

from tools import build, lesson_table, notebook_form, notebook_store  # noqa: E402

FOLDERS = ("notebooks", "solutions")
CELL_TIMEOUT = 600                                     # seconds
CELL_MESSAGES = 1000    # nbval reads when a cell has ended; until then ZeroMQ keeps 2,000 messages and drops the rest

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class CellFailed(Exception):
    """A cell did not run; the message says which, shows it, and ends with what went wrong."""


def main(arguments: list[str] | None = None) -> int:
    about = "Run notebooks and store them with their outputs."
    parser = argparse.ArgumentParser(prog="execute.py", description=about)
    parser.add_argument("lessons", nargs="*", metavar="NN", help="such as 03 or 05b (default: all)")
    parser.add_argument("--timeout", type=int, default=CELL_TIMEOUT,
                        help="seconds a cell may take (default: %(default)s)")
    options = parser.parse_args(arguments)
    failed = False
    try:
        for path in find(options.lessons, ROOT):
            failed |= not store(path, options.timeout)
        if lesson_table.rewrite(ROOT):
            print("README.md: the table of lessons changed")
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        failed = True
    return int(failed)


def find(lessons: list[str], root: Path) -> list[Path]:
    """The notebooks of these lessons, in reading order; `ValueError` for a number that no notebook has."""
    present = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.ipynb"))]
    numbers = {path.name.split("_")[0] for path in present}
    for lesson in lessons:
        if lesson not in numbers:
            raise ValueError(f"no lesson {lesson!r}: there are {', '.join(sorted(numbers)) or 'none yet'}")
    return [path for path in present if not lessons or path.name.split("_")[0] in lessons]


def store(path: Path, timeout: int = CELL_TIMEOUT) -> bool:
    """Execute and store one notebook; True when every cell ran and its form is good."""
    print(f"{path.parent.name}/{path.name}")
    try:
        notebook = execute(path, timeout, report=lambda line: print(line, flush=True))
        notebook_store.tidy(notebook)
    except (CellFailed, ValueError) as error:
        print(f"{path.name}: {error}\n{path.name} is left as it was.", file=sys.stderr)
        return False
    notebook_store.write(notebook, path)
    if path.parent.name == build.SOLUTIONS:
        build.put(build.exercises_of(path), build.target(path))
    problems = notebook_form.file_problems(path)
    print("  stored, but refused by its form:" if problems else "  stored", *problems, sep="\n")
    return not problems


def execute(path: Path, timeout: int = CELL_TIMEOUT, report: Callable[[str], None] = lambda line: None):
    """Run a notebook in its folder, in a fresh kernel of this Python, and measure it.

    The kernel sees `COURSE_DEVICE=cpu`, an empty `COURSE_STATE` and this checkout's `helpers`. Returns the
    notebook with its outputs and, under `press_enter`, its minutes and memory. Raises `CellFailed`.
    """
    notebook = notebook_store.read(path)
    notebook_store.tidy_source(notebook)
    code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for _, cell in code:
        cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as state:
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=_ThisPython())
        client = _CountingClient(notebook, km=manager, timeout=timeout, record_timing=False,
                                 store_widget_state=False, extra_arguments=["--log-level=ERROR"],
                                 resources={"metadata": {"path": str(path.parent.resolve())}})
        client.owns_km = True                          # it ends the kernel, however the run ends
        started, memory_mb = time.perf_counter(), 0
        with client.setup_kernel(env=_environment(state)):
            for number, (index, cell) in enumerate(code, 1):
                begun = time.perf_counter()
                _run(client, cell, index, number)
                memory_mb = max(memory_mb, _peak_memory_mb(manager.provisioner.pid))
                report(f"  [{number}/{len(code)}] {time.perf_counter() - begun:5.1f} s  {_first_line(cell)}")
        minutes = (time.perf_counter() - started) / 60
    own = notebook.metadata.setdefault("press_enter", {})
    own["minutes"] = steady(minutes, own.get("minutes"), step=1)
    own["memory_mb"] = steady(memory_mb, own.get("memory_mb"), step=100)
    return notebook


def steady(measured: float, stored: int | None, step: int) -> int:
    """The measure rounded up to a multiple of `step`, or what was stored while that is still true.

    No two runs take the same time. What is stored stays while the measure lies between 80% and 105% of it, so
    that running a notebook again rarely changes what its reader was told.
    """
    if stored and 0.8 * stored <= measured <= 1.05 * stored:
        return stored
    return max(step, math.ceil(measured / step) * step)


class _CountingClient(NotebookClient):
    """Counts the messages of the cell that runs: outputs, states, and each change of a widget."""
    messages = 0

    def process_message(self, msg, cell, cell_index):
        self.messages += 1
        return super().process_message(msg, cell, cell_index)


def _run(client: _CountingClient, cell, index: int, number: int) -> None:
    client.messages = 0
    try:
        client.execute_cell(cell, index, execution_count=number)
    except CellExecutionError as error:
        why = "\n".join(line for out in cell.outputs if out.output_type == "error" for line in out.traceback)
        why = why or f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        why = f"It ran for more than {client.timeout} seconds."
    except DeadKernelError:
        why = "The kernel died: out of memory, or a crash in a library."
    else:
        if client.messages <= CELL_MESSAGES:
            return
        why = (f"It sent {client.messages:,} messages, and nbval may lose those beyond {CELL_MESSAGES:,}. "
               "Change widgets and print less often.")
    tail = "\n".join(_COLOURS.sub("", why).splitlines()[-12:])
    shown = f"{_indented(cell.source)}\n\n{_indented(tail)}"
    raise CellFailed(f"code cell {number} (id {cell.id}) failed.\n\n{shown}\n")


class _ThisPython(KernelSpecManager):
    """Finds one kernel, the Python that runs this file, whatever kernels the user has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


def _environment(state: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "COURSE_DEVICE": "cpu", "COURSE_STATE": state, "PYTHONPATH": path}


def _peak_memory_mb(pid: int) -> float:
    """The most memory the kernel has held; where the system keeps no such mark, what it holds now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (FileNotFoundError, IndexError):
        memory = psutil.Process(pid).memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 1e6


def _first_line(cell) -> str:
    return next((line for line in cell.source.splitlines() if line.strip()), "")[:80]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
