"""Texts that lesson 05d compresses: passages that no model has read, and lines that everybody has.

    passages()          # six short texts, written for this course
    famous()            # how well-known lines of Shakespeare begin
"""
from helpers.tables import table


def passages() -> tuple[str, ...]:
    """Six texts of about 480 characters of our own, each a line without breaks."""
    return tuple(passage.replace("\n", " ") for passage in table("unread")["passages"])


def famous() -> tuple[str, ...]:
    """The first words of well-known lines, as they stand in `corpora.shakespeare`."""
    return tuple(table("unread")["famous"])
