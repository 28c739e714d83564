"""Texts that lesson 05d compresses: passages that no model has read, and lines that everybody has.

    passages()          # six short texts, written for this course
    famous()            # how well-known lines of Shakespeare begin
"""
import functools
import tomllib
from pathlib import Path


def passages() -> tuple[str, ...]:
    """Six texts of about 480 characters of our own, each a line without breaks."""
    return tuple(passage.replace("\n", " ") for passage in _texts()["passages"])


def famous() -> tuple[str, ...]:
    """The first words of well-known lines, as they stand in `corpora.shakespeare`."""
    return tuple(_texts()["famous"])


@functools.cache
def _texts() -> dict[str, list[str]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
