"""What importing the course costs on top of torch, each time in a fresh Python, against a budget of 0.3 s."""
import subprocess
import sys

from benchmarks.harness import Row

BUDGET = 0.3            # seconds
REPETITIONS = 5
RUNNING_A_MODEL = "helpers.pretrained, helpers.sampling, helpers.chat, helpers.proof"       # and all that they import
PROGRAM = "import time, torch; start = time.perf_counter(); import {modules}; print(time.perf_counter() - start)"


def run() -> list[Row]:
    return [row("import helpers, after torch", "helpers"),
            row("import all that running a model needs, after torch", RUNNING_A_MODEL)]


def row(name: str, modules: str) -> Row:
    """One line of the table: how many such imports fit into a second, against the budget's."""
    import_time(modules)                                        # writes the bytecode, which stays
    times = sorted(import_time(modules) for _ in range(REPETITIONS))
    return Row(name, f"a budget of {BUDGET} s", "imports/s", ours=1 / times[REPETITIONS // 2], theirs=1 / BUDGET,
               ratios=tuple(BUDGET / time for time in times), target=1.0)


def import_time(modules: str) -> float:
    """Seconds that a fresh Python with torch takes to import these modules."""
    command = [sys.executable, "-c", PROGRAM.format(modules=modules)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
