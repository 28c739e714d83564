"""Texts from the web, for those who have a network: fetched once, checked by hash, kept in the cache.

The lessons need none of them. `COURSE_DATA` names a folder of copies that you already have; they are checked as well.
"""
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from helpers import assets

WAIT = 30                               # seconds for an answer


@dataclass(frozen=True)
class WebFile:
    """A file with a fixed content."""
    address: str
    sha256: str


FILES = {
    "tinyshakespeare.txt": WebFile(      # put together by Andrej Karpathy for char-rnn (2015); out of copyright
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
}


def path(name: str) -> Path:
    """The local path of a file, from the folder in COURSE_DATA or the cache; fetched first if neither has it.

    Raises ValueError for an unknown name, ConnectionError when it cannot be fetched, and AssetError when the content
    is not the one expected.
    """
    if name not in FILES:
        raise ValueError(f"name is {name!r}; choose one of {', '.join(FILES)}.")
    folder = os.environ.get("COURSE_DATA")
    own = Path(folder).expanduser().absolute() / name if folder else None
    if own is not None and own.exists():
        if assets.hash_of(own) != FILES[name].sha256:
            raise assets.AssetError(f"{own} is not the file of that name that the course expects: its SHA-256 differs. "
                                    "Take it out of the folder that COURSE_DATA names.")
        return own
    target = assets.cache_folder() / name
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            assets.write(target, fetch(name))
        assets.check(target, FILES[name].sha256)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"{name} could not be fetched ({getattr(error, 'reason', error)}). Check the network, or "
                              "set COURSE_DATA to a folder that has it.") from error
    except OSError as error:
        raise assets.explained(error) from error
    return target


def fetch(name: str) -> bytes:
    """The content of a file, from its address."""
    with urllib.request.urlopen(FILES[name].address, timeout=WAIT) as answer:
        return answer.read()
