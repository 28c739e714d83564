"""Invented facts, told a known number of times among stories: what does a small model remember? Lesson 05d asks.

    told = told_facts(seed=0)                       # 256 facts: who lives where, how often and in which wordings told
    recalled = recall(trained(told, seed=0), told)  # for each fact: told and asked in which way, right or not

Each name is told of 0, 1, 2, 4 ... 64 times; half of the names always in one wording, half in three in turn. Every
place is right equally often for each number, so that knowing how common a place is helps nobody. A training sees
each sentence once, so that "64 times" is 64 sentences read, and no more. Words are the tokens.
"""
import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from helpers.corpora import tales
from helpers.training import Examples, TrainConfig, train
from helpers.transformer import Config, Transformer

TIMES = (0, 1, 2, 4, 8, 16, 32, 64)
PLACES = ("Velm", "Orkan", "Tisby", "Dunmar")
WORDINGS = ("{name} lives in {place} .", "the home of {name} is {place} .", "if you look for {name} go to {place} .",
            "every evening {name} returns to {place} .")
STORIES, CONTEXT, BATCH = 150, 32, 4


@dataclass(frozen=True)
class Fact:
    """Who lives where, how often that is told, in which wordings, and in which wording never."""
    name: str
    place: str
    times: int
    wordings: tuple[str, ...]       # one, or three in turn
    unused: str                     # the wording it is never told in; others are told in it


def told_facts(seed: int) -> list[Fact]:
    """256 facts: one for each number of times, kind of telling (one wording or three), place and first wording."""
    draw = random.Random(f"facts {seed}")
    names = [first + last for first in ("Zar", "Mip", "Bol", "Tev", "Rud", "Kes", "Fin", "Lum", "Hob", "Gaw", "Jor",
                                        "Pim", "Dax", "Nul", "Sib", "Wex")
             for last in ("no", "ka", "tus", "lie", "rim", "bo", "den", "ja", "mo", "vel", "que", "sha", "pin", "dor",
                          "gat", "lu")]
    draw.shuffle(names)
    facts = []
    for times in TIMES:
        for several in (False, True):
            for place, first in itertools.product(PLACES, range(4)):
                turn = [WORDINGS[(first + step) % 4] for step in range(4)]      # no wording goes with a place
                facts.append(Fact(names.pop(), place, times, tuple(turn[:3] if several else turn[:1]), turn[3]))
    return facts


def words(text: str) -> list[str]:
    """A text as its words and marks."""
    return re.findall(r"[\w'’]+|[^\w\s]", text)


def text_with(facts: Sequence[Fact], seed: int) -> list[list[str]]:
    """150 stories of Tales, sentence by sentence as words, with each fact as often as it is told between any two."""
    draw = random.Random(f"text {seed}")
    sentences = [sentence for tale in tales(STORIES, seed=seed)
                 for sentence in re.split(r"(?<=[.!?”\"]) ", tale.text)]
    tellings = [fact.wordings[time % len(fact.wordings)].format(name=fact.name, place=fact.place)
                for fact in facts for time in range(fact.times)]
    draw.shuffle(tellings)
    gaps = sorted(draw.randrange(len(sentences)) for _ in tellings)
    placed: dict[int, list[str]] = {}
    for gap, telling in zip(gaps, tellings, strict=True):
        placed.setdefault(gap, []).append(telling)
    return [words(part) for at, sentence in enumerate(sentences) for part in (*placed.get(at, ()), sentence)]


def examples(sentences: Sequence[list[str]]) -> list[list[str]]:
    """Sentences in order, as many together as fit into 33 words, so that none is cut in two."""
    rows: list[list[str]] = [[]]
    for sentence in sentences:
        if len(rows[-1]) + len(sentence) > CONTEXT + 1:
            rows.append([])
        rows[-1].extend(sentence[:CONTEXT + 1])
    return rows


class WordModel:
    """A small Transformer whose tokens are words."""

    def __init__(self, vocabulary: Sequence[str], config: Config, seed: int):
        self.id_of = {word: number for number, word in enumerate(vocabulary)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = Transformer(config)

    def ids(self, text: Sequence[str]) -> list[int]:
        return [self.id_of[word] for word in text]

    @torch.no_grad()
    def place_after(self, question: str) -> str:
        """The likeliest of the places after this beginning."""
        ids = torch.tensor([self.ids(words(question))], device=self.model.device)                      # (1, T)
        logits = self.model(ids)[0, -1]                                                                  # (V,)
        return PLACES[int(logits[self.ids(PLACES)].argmax())]


def trained(facts: Sequence[Fact], seed: int) -> WordModel:
    """A model that has read the stories and the facts among them, each once.

    (Up to three rows come twice, to fill the last batch.)
    """
    texts = examples(text_with(facts, seed))
    vocabulary = sorted({word for text in texts for word in text} | {*PLACES, *(fact.name for fact in facts)})
    config = Config(len(vocabulary), CONTEXT, d_model=96, layers=2, heads=4, mlp="relu2", qk_norm=True)
    learner = WordModel(vocabulary, config, seed)
    rows = [(learner.ids(text), 0) for text in texts if len(text) > 1]
    train(learner.model, Examples(rows), TrainConfig(steps=-(-len(rows) // BATCH), batch=BATCH, warmup=10, seed=seed,
                                                     learning_rate=0.01, muon_learning_rate=0.012))
    learner.model.eval()
    return learner


def recall(learner: WordModel, facts: Sequence[Fact]) -> list[dict]:
    """Of each fact: how it was told, how it was asked, and whether the right place was the likeliest of the four."""
    return [{"times": fact.times, "told": "one wording" if len(fact.wordings) == 1 else "three wordings",
             "asked": asked, "right": learner.place_after(wording.split(" {place}")[0].format(name=fact.name))
             == fact.place}
            for fact in facts for asked, wording in (("as told", fact.wordings[0]), ("in a new wording", fact.unused))]


def shares(seed: int) -> dict[tuple[int, str, str], float]:
    """Train one model, and say for each number of times, telling and asking what share of the 16 facts it knows."""
    facts = told_facts(seed)
    right: dict[tuple[int, str, str], list[bool]] = {}
    for case in recall(trained(facts, seed), facts):
        right.setdefault((case["times"], case["told"], case["asked"]), []).append(case["right"])
    return {setting: sum(cases) / len(cases) for setting, cases in right.items()}
