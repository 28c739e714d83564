"""Tales: a world of short stories in which everything is known, for training a small model and scoring what it learned.

    story = tales(1)[0]          # helpers.corpora.tales
    story.text                   # "Once there was a little fox. It lived in a den. ..."
    story.facts                  # who holds the object at the end, what "it" means, how it ends, the sum
    story.request.text           # "Write a happy story about a fox and a kite."
"""
from helpers.tales_overlap import longest_overlap
from helpers.tales_pairs import ABILITIES, minimal_pairs
from helpers.tales_reading import Followed, Score, consistent, follows
from helpers.tales_telling import SPLITS
from helpers.tales_world import ASSISTANT, END, USER, Facts, Request, Tale

__all__ = ["ABILITIES", "ASSISTANT", "END", "SPLITS", "USER", "Facts", "Followed", "Request", "Score", "Tale",
           "consistent", "follows", "instruction_text", "longest_overlap", "minimal_pairs", "opening"]


def opening(tale: Tale) -> str:
    """The first sentences of a story: hero, object and wish. A model that knows Tales can go on from there."""
    return tale.text[:tale.opening_length]


def instruction_text(tale: Tale) -> str:
    """The story as an answer: user token, request, assistant token, story, end token."""
    return f"{USER}{tale.request.text}{ASSISTANT}{tale.text}{END}"
