"""The course's own sentences and questions: many cases for what lesson 02c measures, written before it was measured.

    senses()["Python"]           # (24 sentences about the snake, 24 about the language), each ending in " Python"
    late_senses()                # the same beginning with two ends: [("Yesterday I saw a Python", end, other end), ...]
    pairs("same")                # two ways to say the same, 30 times
    questions()                  # {"How do I stop a loop early?": {"break"}, ...}, topics of `corpora.python_docs`
"""
from helpers.tables import lines, table


def senses() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Ambiguous words: for each, sentences that end in it, in one sense and in the other."""
    return {word: (lines(two["one"]), lines(two["two"])) for word, two in table("sentences")["senses"].items()}


def late_senses() -> list[tuple[str, str, str]]:
    """Beginnings that hold " Python" and do not tell which is meant, with an end for each sense."""
    late = table("sentences")["late"]
    return [(beginning, late["one"], late["two"]) for beginning in lines(late["beginnings"])]


def pairs(kind: str) -> list[tuple[str, str]]:
    """Pairs of sentences that say the same ("same"), or whose few changed words change what is said ("changed")."""
    known = table("sentences")["pairs"]
    if kind not in known:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(known)}.")
    return [tuple(line.split(" | ")) for line in lines(known[kind])]


def questions() -> dict[str, set[str]]:
    """Questions about Python in a user's words, each with the topics of `corpora.python_docs` that answer it."""
    return {question: set(topics.split()) for question, topics in table("sentences")["questions"].items()}
