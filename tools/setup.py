"""Set-up: from a bare Python to an environment in which the course runs.

`set_up` is the whole story: an environment, the tested packages in it, the models and texts in their cache.
What was done is not done again, what was cut short is completed, what fails is said in a sentence (`Stop`).
Standard library only: this runs before anything is installed.
"""
from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYPROJECT = ROOT / "pyproject.toml"                    # the ranges
TESTED = ROOT / "requirements" / "tested.txt"          # the exact versions
OLDEST_PYTHON = (3, 11)
NEEDED_GB = 3                                          # .venv, pip's temporary files, the models
AGAIN = "Run the same command again: it continues where this stopped."

SENTENCES = (                                          # what pip's output means; the first match is said
    (r"No space left on device|Errno 28\b|WinError 112|not enough space on the disk",
     f"The disk is full: set-up needs about {NEEDED_GB} GB here, and pip room in {tempfile.gettempdir()}. "
     f"Free some. {AGAIN}"),
    (r"No module named '?(venv|ensurepip)|ensurepip is not\s+available",
     "This Python cannot make environments: install its venv module (on Debian and Ubuntu "
     f"`sudo apt install python3.{sys.version_info[1]}-venv`), then run the same command again."),
    (r"externally-managed-environment",
     "This Python belongs to the operating system, which allows no packages in it: leave out --here, "
     "or activate an environment of your own first."),
    (r"DO NOT MATCH THE HASHES",
     "A downloaded package does not match its published hash and was not installed: the download is damaged, "
     "or something on the way altered it. Run the same command again, if need be on another network."),
    (r"Permission denied|Errno 13\b|WinError 5\b|Access is denied",
     "A folder cannot be written (it is named above): make sure that it is yours, and that no other program "
     "is using .venv."),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
     "The package index's certificate was refused: behind a company proxy, tell pip its certificate "
     f"(PIP_CERT=/path/to/certificate.pem). {AGAIN}"),
    (r"Retry\(total=0|Max retries exceeded|NameResolutionError|getaddrinfo failed|ProxyError",
     f"The package index cannot be reached: check the network (or HTTPS_PROXY, behind a proxy). {AGAIN}"),
    (r"IncompleteRead|ReadTimeoutError|ConnectionResetError|Read timed out",
     f"A download was cut short. {AGAIN}"),
    (r"ResolutionImpossible|conflicting dependencies",
     "The packages needed do not fit those already in this environment (pip names them above): "
     "use an environment of its own, by leaving out --here or deleting .venv."),
    (r"No matching distribution found",
     f"A package (pip names it above) has no version for Python {platform.python_version()} on "
     f"{platform.system()} {platform.machine()}: README.md says where the course runs."),
)


class Stop(Exception):
    """What went wrong and what to do, in a sentence for the learner."""


class Interpreter(NamedTuple):
    """A Python, and what matters of its environment."""
    python: str
    version: str
    site_packages: Path
    has_pip: bool
    torch: str                                         # its version; "" if there is none


def set_up(extras, here, steps=3):
    """Make the environment, install what is missing, fetch the models. Returns the Interpreter to use.

    extras: a set of names from pyproject.toml. here: use the running Python's environment instead of .venv.
    """
    with one_at_a_time():
        interpreter = environment(here, steps)
        stamp = interpreter.site_packages / "press-enter.stamp.json"
        installed = read_json(stamp)
        extras = extras | set(installed.get("extras", []))
        wanted = {"fingerprint": fingerprint(interpreter), "extras": sorted(extras)}
        if installed != wanted:
            stamp.unlink(missing_ok=True)              # until all is installed, the environment is not ready
            with step(f"Packages, in {interpreter.site_packages}", 2, steps):
                install(interpreter, sorted(extras), here)
            write_json(stamp, wanted)
        with step("Models and texts", 3, steps):
            if call([interpreter.python, "-m", "helpers.assets"], stoppable=True) != 0:
                raise Stop("The models and texts are not complete: the line above says why, and what to do.")
    return interpreter


def environment(here, steps=3):
    """The Interpreter to use: the running one, or that of .venv, which is made or repaired if need be."""
    found = probe(sys.executable if here else venv_python())
    if found and found.has_pip and numbers(found.version) >= OLDEST_PYTHON:
        return found
    if here:
        raise Stop("This environment has no pip: run `python -m ensurepip`, then the same command again.")
    with step("Python environment, in .venv", 1, steps):
        enough_space(NEEDED_GB)
        if found and numbers(found.version) >= OLDEST_PYTHON:
            print("      .venv has no pip: adding it.")
            making = [found.python, "-m", "ensurepip", "--upgrade"]
        else:
            if VENV.exists():
                print("      .venv is incomplete, or its Python is gone: making it anew.")
            making = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        made = subprocess.run(making, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                              errors="replace")
        found = probe(venv_python())
        if made.returncode != 0 or not (found and found.has_pip):
            raise Stop(explain(made.stdout, "Python could not make the environment"))
    return found


def probe(python):
    """Ask a Python what it is; None if it does not run."""
    question = ("import sys, sysconfig, importlib.util, importlib.metadata\n"
                "torch = [d.version for d in importlib.metadata.distributions(name='torch')][:1]\n"
                "print(sys.version.split()[0], sysconfig.get_path('purelib'),\n"
                "      importlib.util.find_spec('pip') is not None, *torch, sep='\\n')")
    try:
        answer = subprocess.run([str(python), "-X", "utf8", "-c", question], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, encoding="utf-8")
    except OSError:
        return None
    if answer.returncode != 0:
        return None
    version, site_packages, has_pip, *torch = answer.stdout.splitlines()
    return Interpreter(str(python), version, Path(site_packages), has_pip == "True", "".join(torch))


def install(interpreter, extras, here):
    """Install the course and what it needs with one pip command."""
    enough_space(1 if interpreter.torch else NEEDED_GB)
    if not here:                                       # pip takes a package cut short for whole
        for half in interpreter.site_packages.glob("*.dist-info"):
            if not (half / "RECORD").exists():
                shutil.rmtree(half)
    if sys.platform == "linux" and not interpreter.torch and not shutil.which("nvidia-smi"):
        print("      No NVIDIA GPU seen. If pip fetches gigabytes of nvidia packages below, press Ctrl-C\n"
              "      and read 'Linux without an NVIDIA GPU' in README.md.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [interpreter.python, "-m", "pip", "install", "--disable-pip-version-check",
                   *versions(interpreter, here, Path(folder)), "--editable", f".[{','.join(extras)}]"]
        heard = []
        if call(command, heard=heard, stoppable=True) != 0:
            raise Stop(explain("".join(heard), "pip could not install the packages"))


def versions(interpreter, here, folder):
    """The pip arguments that choose versions; folder is for a file that they may need.

    In .venv: those of the tested environment, except that a torch that is there and in range is kept.
    In an environment of the learner's (--here): whatever is there and in range, and the tested torch if there
    is none, for an open range would take the newest.
    """
    oldest = re.search(r'"torch>=([\d.]+)', PYPROJECT.read_text(encoding="utf-8")).group(1)
    in_range = bool(interpreter.torch) and numbers(interpreter.torch) >= numbers(oldest)
    pins = TESTED.read_text(encoding="utf-8").splitlines()
    torch = [pin for pin in pins if pin.startswith("torch==")]
    if here:
        return [] if in_range else torch
    if not in_range or f"torch=={interpreter.torch}".split("+")[0] in torch:
        return ["--constraint", str(TESTED)]
    print(f"      Keeping torch {interpreter.torch}, which is there already.", flush=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pin for pin in pins if pin not in torch), encoding="utf-8")
    return ["--constraint", str(constraints)]


def explain(output, failure="The set-up failed"):
    """One sentence for what an installer printed; its last line, if we do not know it."""
    for pattern, sentence in SENTENCES:
        if re.search(pattern, output, re.IGNORECASE):
            return sentence
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it gave no reason."]
    errors = [line for line in lines if line.lower().startswith("error")] or lines
    return f"{failure}: {errors[-1]}"


def fingerprint(interpreter):
    """Changes when what is to be installed changes, or the Python, or the place of the course."""
    parts = PYPROJECT.read_bytes(), TESTED.read_bytes(), interpreter.version.encode(), str(ROOT).encode()
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@contextlib.contextmanager
def one_at_a_time():
    """Make a second set-up wait for the first. The system frees this lock whatever happens to its holder."""
    with open(__file__, "rb") as handle:
        if os.name == "nt":
            import msvcrt
            handle.seek(2 ** 30)                       # beyond the end: Windows lets nobody read locked bytes

            def lock(): msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            def lock(): fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for attempt in itertools.count():
            try:
                lock()
            except (BlockingIOError, PermissionError):
                if attempt == 0:
                    print("Another set-up of this course is running: waiting for it.", flush=True)
                time.sleep(0.5)
            except OSError:                            # a network drive without locks: go on without one
                break
            else:
                break
        yield


def call(command, heard=None, stoppable=False):
    """Run a program in the course's folder to its end. Returns its exit code, never a negative one.

    Ctrl-C reaches the program too: we wait for what it makes of it (JupyterLab asks), then end if stoppable.
    heard: a list that collects its error output, which is shown all the same.
    """
    environment = {**os.environ, "PYTHONUTF8": "1"}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, encoding="utf-8", errors="replace",
                             stderr=None if heard is None else subprocess.PIPE)
    interrupted = False
    try:
        while True:
            try:
                for line in child.stderr or ():
                    heard.append(line)
                    sys.stderr.write(line)
                code = child.wait()
                break
            except KeyboardInterrupt:
                interrupted = True
    finally:
        if child.poll() is None:                       # we are being ended, and so is the program
            child.terminate()
    if interrupted and stoppable:
        raise KeyboardInterrupt
    return code if code >= 0 else 128 - code           # ended by a signal: what a shell would say


@contextlib.contextmanager
def step(title, number, steps):
    """Announce a step, and afterwards the time it took if it took any."""
    print(f"[{number}/{steps}] {title}", flush=True)
    start = time.monotonic()
    yield
    if time.monotonic() - start > 1:
        print(f"      done in {time.monotonic() - start:.0f} s", flush=True)


def venv_python():
    """Where the Python of .venv is, if there is one."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def numbers(version):
    """(3, 11) of "3.11.7": enough to compare."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def free_gb():
    """Free disk space where the course lies, in GB."""
    return shutil.disk_usage(ROOT).free / 1e9


def enough_space(gigabytes):
    """Stop before a long download that cannot end well."""
    if free_gb() < gigabytes:
        raise Stop(f"Set-up needs about {gigabytes} GB of free disk, and {ROOT} has {free_gb():.1f} GB: "
                   "free some, then run the same command again.")


def read_json(file):
    """A JSON object; empty if the file is absent or damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(file, content):
    """Write a JSON object in one step, so that an interruption leaves no half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, file)
