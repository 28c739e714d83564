"""How a story is told: a plot, a cast and an object are drawn, then a phrasing for each beat of the plot."""
import itertools
import random
from collections.abc import Callable, Iterator

from helpers.tales_world import (ANIMALS, BOYS, CHILDREN, GIRLS, NUMBERS, OBJECTS, PART, PEOPLE, PLACES, PLOTS, SUMS,
                                 USE, WEIGHT, WORLD, Facts, Request, Tale, a, held_out_pair, held_out_sum, lines,
                                 table, the)

Cast = tuple[str, str, str]              # hero, other, object
SPLITS = ("train", "held_out")
HIM = {"girl": ("she", "her", "her", "herself"), "boy": ("he", "him", "his", "himself"),
       "animal": ("it", "it", "its", "itself")}
SHARED = {name: lines(text) for name, text in WORLD["shared"].items()}
ASK = {name: lines(text) for name, text in WORLD["request"].items()}
SPOTS, COUNTED, TRAITS, COLOURS = (lines(WORLD["spots"]["spots"]), WORLD["counted"].split(), WORLD["traits"].split(),
                                   WORLD["colours"].split())
NEEDS = list(WORLD["needs"].items())
OBSTACLES = [(name, *text.split(" | ")) for name, text in WORLD["obstacles"].items()]
TIRED, BIG = ("tired", "weak", "sleepy"), ("heavy", "big", "wide")

# "it" is the one or the other, and only the adjective tells. What follows fits what "it" was.
CARRY = "{Hero} could not carry the {thing} because it was too {adj}. "
CARRIED = {"object": "So {hero} pushed the {thing} along the path.", "actor": "So {hero} sat down for a little while."}
FIT = "The {thing} did not fit into the bag because it was too {adj}. "
FITTED = {"object": "So {hero} took the {thing} under one arm.", "bag": "So {hero} went to get a better bag."}
CROSS = "{Actor} could not {pass_} the {obstacle} because it was too {adj}. "
CROSSED = {"obstacle": "So {actor} walked all the way around.", "actor": "So {actor} rested in the grass first."}


def kind(who: str) -> str:
    """"girl", "boy" or "animal"."""
    return "girl" if who in GIRLS else "boy" if who in BOYS else "animal"


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def hero_words(who: str) -> dict[str, str]:
    he, him, his, himself = HIM[kind(who)]
    words = {"hero": the(who), "he": he, "him": him, "his": his, "himself": himself}
    words |= {capital(name): capital(word) for name, word in words.items()}
    if who in ANIMALS:
        words |= {"kind": who, "A_kind": capital(a(who)), "a_home": a(WORLD["animals"][who])}
    else:
        words["girl"] = kind(who)
    return words


def other_words(who: str, hero: str) -> dict[str, str]:
    """Words for whom the hero meets; a pronoun only where it cannot mean the hero."""
    he, him, his, _ = HIM[kind(who)] if kind(who) != kind(hero) else (the(who), the(who), the(who) + "'s", "")
    words = {"other": the(who), "he2": he, "him2": him, "his2": his,
             "old_other": f"the old {who}" if who in ANIMALS else f"old {who}",
             "an_other": a(who) if who in ANIMALS else f"a {kind(who)} named {who}"}
    return words | {capital(name): capital(word) for name, word in words.items()}


def thing_words(thing: str, colour: str, hero: str, other: str) -> dict[str, str]:
    """Words for the object; "it" only where that cannot mean the hero (o) or anybody (o2)."""
    return {"thing": thing, "a_thing": a(thing), "A_thing": capital(a(thing)), "an_old": a(f"{colour} {thing}"),
            "my_old": f"my {colour} {thing}", "use": USE[thing], "part": PART[thing],
            "o": f"the {thing}" if hero in ANIMALS else "it",
            "o2": f"the {thing}" if hero in ANIMALS or other in ANIMALS else "it"}


HERO = {who: hero_words(who) for who in PEOPLE}
OTHER = {(who, hero): other_words(who, hero) for who in PEOPLE for hero in PEOPLE if who != hero}
THING = {(thing, colour, x, y): thing_words(thing, colour, x, y)
         for thing in OBJECTS for colour in COLOURS for x, y in itertools.product(("Mia", "fox"), repeat=2)}
AT = {place: dict(zip(("at", "to"), text.split(" | "), strict=True)) | {"place": place, "near": f"near the {place}"}
      for place, text in WORLD["places"].items()}
TRAIN_THINGS = {who: [x for x in OBJECTS if not held_out_pair(who, x)] for who in PEOPLE}
HELD_THINGS = {who: [x for x in OBJECTS if held_out_pair(who, x)] for who in PEOPLE}
TRAIN_SUMS = [pair for pair in SUMS if not held_out_sum(*pair)]
HELD_SUMS = [pair for pair in SUMS if held_out_sum(*pair)]


class Plot:
    """A plot, made ready to be told fast: its beats in order, its good and bad turns with who holds the object."""

    def __init__(self, name: str):
        raw = table("plots")[name]
        self.name = name
        order = raw["order"].split()[1:-1]
        self.openings = lines(raw["opening"])
        self.middle = [(beat.rstrip("?"), beat.endswith("?"), lines(raw.get(beat, ""))) for beat in order]
        names = [beat for beat, _, _ in self.middle]
        self.other_met = "meet" not in names or "cross" in names and names.index("meet") < names.index("cross")
        self.turns = {"happy": [turn(line) for line in lines(raw["good"])],
                      "sad": [turn(line) for line in lines(raw["bad"])]}


def turn(line: str) -> tuple[str, str, bool]:
    """Who holds the object at the end, the words without the stars, and whether the other is sad, too."""
    holder, text = line.split("| ", 1)
    return holder.split()[0], text.replace("*", ""), "both" in holder


SAD_ALONE = [line for line in SHARED["sad"] if "{other}" not in line]
TOLD = [Plot(name) for name in PLOTS]


def stories(seed: int, split: str) -> Iterator[Tale]:
    """Stories without end. The same seed and split give the same ones, on every machine."""
    draw = random.Random(f"{split} {seed}").random         # a text as seed is hashed by SHA-512: the same everywhere
    while True:
        yield tell(draw, split == "held_out")


def tell(draw: Callable[[], float], held_out: bool, *, who: Cast | None = None, ending: str = "",
         plot: Plot | None = None) -> Tale:
    """One story. draw() gives a random number in [0, 1); what is given (hero, other and object, ...) is not drawn."""
    def pick(choices):
        return choices[int(draw() * len(choices))]

    plot, ending, place = plot or pick(TOLD), ending or pick(("happy", "sad")), pick(PLACES)
    hero, other, thing = who or cast(pick, draw, held_out)
    hero_kind, other_kind = ("fox" if who in ANIMALS else "Mia" for who in (hero, other))
    words = HERO[hero] | OTHER[other, hero] | THING[thing, pick(COLOURS), hero_kind, other_kind] | AT[place]
    words["a_trait"], words["spot"] = a(pick(TRAITS)), pick(SPOTS)
    start = f"{pick(SHARED['animal' if hero in ANIMALS else 'child'])} {pick(plot.openings)}"
    parts, it, numbers = [], None, None
    for beat, optional, phrasings in plot.middle:
        if optional and draw() < 0.5:
            continue
        if beat in ("carry", "cross"):
            if it is None:
                text, it = it_sentence(beat, plot, hero, other, thing, words, pick)
                parts.append(text)
            continue
        if beat == "need":
            words["need"], words["does"] = pick(NEEDS)
        if beat in ("sum", "coins"):
            first, more = pick(HELD_SUMS if held_out else TRAIN_SUMS)
            numbers = (first, more, first + more)
            words["a"], words["b"], words["c"] = (NUMBERS[n] for n in numbers)
            words["nuts"] = pick(COUNTED)
        parts.append(pick(phrasings or SHARED[beat]))
    holder, text, both = pick(plot.turns[ending])
    parts.append(text)
    holder = {"hero": hero, "other": other}.get(holder, holder)
    words["x"] = the(holder)
    parts.append(pick(SHARED["hold_nobody" if holder == "nobody" else "hold_one"]))
    parts.append(pick(SHARED[ending] if both or ending == "happy" else SAD_ALONE))
    template = " ".join(part for part in parts if part)
    where = words["spot"] if "{spot}" in template or "{spot}" in start else None
    opening = start.format_map(words)
    text = f"{opening} {capital(template.format_map(words))}"
    facts = Facts(plot.name, hero, other, thing, place, holder, ending, where, it, numbers)
    return Tale(text, facts, request(facts, "{at}" in template or "{at}" in start, words, pick), len(opening))


def cast(pick, draw, held_out: bool) -> Cast:
    """Hero, other and object, of which no pair is held out; or hero and object are, if held_out."""
    hero = pick(CHILDREN if draw() < 0.5 else ANIMALS)
    other = hero
    while other == hero:
        if draw() < 0.65:
            other = pick(ANIMALS)
        else:
            other = pick(CHILDREN if hero in ANIMALS else GIRLS if hero in BOYS else BOYS)
    while True:
        thing = pick((HELD_THINGS if held_out else TRAIN_THINGS)[hero])
        if held_out or thing in TRAIN_THINGS[other]:
            return hero, other, thing


def it_sentence(beat: str, plot: Plot, hero: str, other: str, thing: str, words: dict, pick) -> tuple[str, str | None]:
    """A sentence with "because it was too ...", and what "it" means there; nothing if no animal is at hand."""
    if beat == "carry" and WEIGHT[thing] == "heavy" and hero in ANIMALS:
        meant = pick(("object", "actor"))
        words["adj"] = pick(BIG if meant == "object" else TIRED)
        return CARRY + CARRIED[meant], thing if meant == "object" else hero
    if beat == "carry":
        meant = pick(("object", "bag"))
        words["adj"] = pick(("big", "wide") if meant == "object" else ("small", "full"))
        return FIT + FITTED[meant], thing if meant == "object" else "bag"
    actor = hero if hero in ANIMALS else other
    if actor not in ANIMALS or actor == other and not plot.other_met:
        return "", None
    meant = pick(("obstacle", "actor"))
    words["obstacle"], words["pass_"], adjective = pick(OBSTACLES)
    words["actor"], words["Actor"] = the(actor), capital(the(actor))
    words["adj"] = adjective if meant == "obstacle" else pick(TIRED)
    return CROSS + CROSSED[meant], words["obstacle"] if meant == "obstacle" else actor


def request(facts: Facts, place_told: bool, words: dict, pick) -> Request:
    """A request that this story answers; half of those whose place is told ask for the place."""
    with_place = place_told and pick((True, False))
    text = pick(ASK["place" if with_place else "who"]).format(
        ending=facts.ending, well="well" if facts.ending == "happy" else "badly", at=words["at"],
        who=facts.hero if facts.hero in CHILDREN else a(facts.hero), thing=words["a_thing"])
    return Request(facts.hero, facts.object, facts.ending, facts.place if with_place else None, text)
