"""Tales: a world of short stories in which everything is known, for training a small model and scoring what it learned.

    from helpers.corpora import tales
    story = tales(20_000, seed=0, split="train")[0]     # as many as you like; 50,000 take seconds
    story.text                   # "Once there was a little fox. It lived in a den. ..."
    story.facts                  # who holds the object at the end, what "it" means, how it ends, the sum
    story.request.text           # "Write a happy story about a fox and a kite."
    opening(story)               # its first sentences: hero, object, wish. A model goes on from there
    consistent(opening(story), "...")        # is what a model wrote true to its people, its object and its own reasons?
    follows(story.request, "...")            # is it the story that was asked for?
    longest_overlap("...", stories)          # what of it was copied from the training stories
    minimal_pairs("logic", 200)              # a beginning, the right way to go on and a wrong one
    table()                      # the world in one table: each fact, its values, how often it is told, what is held out

A plot is a row of beats, each told in one of several ways. Hero, object, place and what happens on the way are drawn
anew for each story; every plot can end well or badly, and says why. The words lie in `tales_world.toml` and
`tales_plots.toml`, the telling in `tales_telling`, the reading in `tales_reading`.

What training never sees: a person or animal and an object whose places in their lists end in the same digit (96 of 960
pairs), neither as hero nor as whom the hero meets; and six of the 43 sums. Each story of the split "held_out" is about
such a hero and object, and each sum in it is such a sum. All single words are told in training.
"""
from collections import Counter

from helpers.tales_overlap import longest_overlap
from helpers.tales_pairs import ABILITIES, minimal_pairs
from helpers.tales_reading import Followed, Score, consistent, follows
from helpers.tales_telling import SPLITS
from helpers.tales_world import (ANIMALS, ASSISTANT, BOYS, END, GIRLS, OBJECTS, PEOPLE, PLACES, PLOTS, SUMS, USER,
                                 Facts, Request, Tale, held_out_pair, held_out_sum)

__all__ = ["ABILITIES", "ASSISTANT", "END", "SPLITS", "USER", "Facts", "Followed", "Request", "Score", "Tale",
           "consistent", "follows", "held_out_pair", "held_out_sum", "instruction_text", "longest_overlap",
           "minimal_pairs", "opening", "table"]


def opening(tale: Tale) -> str:
    """The first sentences of a story: hero, object and wish. A model that knows Tales can go on from there."""
    return tale.text[:tale.opening_length]


def instruction_text(tale: Tale) -> str:
    """The story as an answer: user token, request, assistant token, story, end token."""
    return f"{USER}{tale.request.text}{ASSISTANT}{tale.text}{END}"


def table(n: int = 5_000, seed: int = 0) -> str:
    """The story world as a table in Markdown: each fact, its values, how often n training stories tell it."""
    from helpers.corpora import tales

    facts = [tale.facts for tale in tales(n, seed=seed)]
    held_pairs = sum(held_out_pair(who, thing) for who in PEOPLE for thing in OBJECTS)
    ends = Counter(fact.ending for fact in facts)
    holds = Counter("hero" if fact.holder == fact.hero else "other" if fact.holder == fact.other else "nobody"
                    for fact in facts)
    means = Counter("animal" if fact.it in ANIMALS else "object" if fact.it == fact.object else "another thing"
                    for fact in facts if fact.it)

    def share(counts: Counter) -> str:
        return ", ".join(f"{name} {counts[name] / max(n, 1):.0%}" for name in sorted(counts))

    pairs = f"{held_pairs} of {len(PEOPLE) * len(OBJECTS)} pairs with an object"
    sums = f"{sum(held_out_sum(*two) for two in SUMS)} of {len(SUMS)} pairs of numbers"
    rows = [
        ("plot", f"{len(PLOTS)}: {', '.join(PLOTS)}", "each story", ""),
        ("hero, other", f"{len(GIRLS)} girls (she), {len(BOYS)} boys (he), {len(ANIMALS)} animals (it)", "each story",
         pairs),
        ("object", f"{len(OBJECTS)}: {', '.join(OBJECTS)}", "each story", ""),
        ("place", f"{len(PLACES)}: {', '.join(PLACES)}", "each story; told in some", ""),
        ("holder", "who has the object at the end", share(holds), ""),
        ("ending", "happy or sad, by a cause told before", share(ends), ""),
        ("where", "where the object lay", f"{sum(fact.where is not None for fact in facts) / max(n, 1):.0%}", ""),
        ("it", "who or what was too heavy, tired, ...", share(means), ""),
        ("sum", "first, more, together", f"{sum(fact.sum is not None for fact in facts) / max(n, 1):.0%}", sums),
    ]
    head = "| fact | values | told in | held out |\n|---|---|---|---|\n"
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows)
