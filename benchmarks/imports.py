"""What starting costs, in a fresh Python with torch, against a budget: importing the course, loading SmolLM2."""
import subprocess
import sys

from benchmarks.harness import Row

BUDGET, LOAD_BUDGET = 0.3, 5.0            # seconds
REPETITIONS = 5
RUNNING_A_MODEL = "helpers.pretrained, helpers.sampling, helpers.chat, helpers.proof"       # and all that they import
PROGRAM = "import time, torch{before}; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"


def run() -> list[Row]:
    return [row("import helpers, after torch", "import helpers", BUDGET),
            row("import all that running a model needs, after torch", f"import {RUNNING_A_MODEL}", BUDGET),
            row("load SmolLM2 and its tokenizer", "helpers.pretrained.smollm2()", LOAD_BUDGET, before=", helpers")]


def row(name: str, statement: str, budget: float, before: str = "") -> Row:
    """One line of the table: how often this can be done in a second, against the budget's."""
    time_of(statement, before)                                  # writes the bytecode, which stays
    times = sorted(time_of(statement, before) for _ in range(REPETITIONS))
    return Row(name, f"a budget of {budget} s", "times/s", ours=1 / times[REPETITIONS // 2], theirs=1 / budget,
               ratios=tuple(budget / time for time in times), target=1.0)


def time_of(statement: str, before: str) -> float:
    """Seconds that a fresh Python takes for a statement, once torch and the modules before it are imported."""
    command = [sys.executable, "-c", PROGRAM.format(statement=statement, before=before)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
