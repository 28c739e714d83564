"""How a story is told: a plot, a cast and an object are drawn, then a phrasing for each beat of the plot."""
import itertools
import random
from collections.abc import Callable, Iterator

from helpers.tables import lines
from helpers.tales_world import (ANIMALS, BOYS, CHILDREN, GIRLS, NUMBERS, OBJECTS, PART, PEOPLE, PLACES, PLOT_TEXTS,
                                 PLOTS, SUMS, USE, WEIGHT, WORLD, Facts, Request, Tale, a, held_out_pair, held_out_sum,
                                 the)

Cast = tuple[str, str, str]              # hero, other, object
CHANCE = {"sum": 0.55, "sumway": 0.55, "carry": 0.6, "cross": 0.8}     # of a beat that may be left out; others 0.3
LATER, SOON = ("many years", "again"), ("home", "evening", "bed", "stars")      # "for many years. Mia went to bed"
SPLITS = ("train", "held_out")
HIM = {"girl": ("she", "her", "her", "herself"), "boy": ("he", "him", "his", "himself"),
       "animal": ("it", "it", "its", "itself")}
SHARED = {name: lines(text) for name, text in WORLD["shared"].items()}
ASK = {name: lines(text) for name, text in WORLD["request"].items()}
SPOTS, COUNTED, TRAITS, COLOURS = (lines(WORLD["spots"]["spots"]), WORLD["counted"].split(), WORLD["traits"].split(),
                                   WORLD["colours"].split())
SOFT = WORLD["soft"].split()
NEEDS = list(WORLD["needs"].items())
OBSTACLES = [(name, *text.split(" | ")) for name, text in WORLD["obstacles"].items()]
TIRED, BIG = ("tired", "weak", "dizzy"), ("heavy", "big", "large")

# "it" is the one or the other, and only the adjective tells. What follows fits what "it" was.
CARRY = "{Hero} could not carry the {thing} because it was too {adj}. "
CARRIED = {"object": "So {hero} pushed the {thing} along the path.", "actor": "So {hero} sat down for a little while."}
FIT = "{Hero} had a bag, but the {thing} did not fit into the bag because it was too {adj}. "
FITTED = {"object": "So {hero} carried the {thing} without a bag.", "bag": "So {hero} went to get a bigger bag."}
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
            "colour": colour, "my_old": f"my {colour} {thing}", "use": USE[thing], "part": PART[thing],
            "broke": "was torn to pieces" if thing in SOFT else "broke into small pieces",
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
        raw = PLOT_TEXTS[name]
        self.name = name
        order = raw["order"].split()[1:-1]
        self.openings = lines(raw["opening"])
        self.middle = [(beat.rstrip("?"), CHANCE.get(beat.rstrip("?"), 0.3) if beat.endswith("?") else 1.0,
                        lines(raw[beat.rstrip("?")]) if beat.rstrip("?") in raw else SHARED.get(beat.rstrip("?"), ()))
                       for beat in order]
        names = [beat for beat, _, _ in self.middle]
        self.on_the_way = "sumway" in names
        self.other_met = "meet" not in names or "cross" in names and names.index("meet") < names.index("cross")
        self.turns = {ending: [turn(line, ending, raw["owner"], raw["never"].split()) for line in lines(raw[kind])]
                      for ending, kind in (("happy", "good"), ("sad", "bad"))}


def turn(line: str, ending: str, owner: str, never: list[str]) -> tuple[str, list[str]]:
    """Who holds the object at the end, and all ways to tell the turn to the last sentence."""
    (holder, *both), text = (part.split() if i == 0 else part for i, part in enumerate(line.split("| ", 1)))
    text = text.replace("*", "")
    last = text.rsplit(". ", 1)[-1]
    holds = SHARED["hold_nobody" if holder == "nobody" else "hold_old" if holder == owner else "hold_new"]
    again = [word for word in ("kept", "held", "gone", "So ") if word in last]
    holds = [hold for hold in holds if not any(word in hold for word in again)]
    moods = [mood for mood in SHARED[ending] if not any(word in mood for word in never)
             and not (ending == "sad" and not both and "{other}" in mood)]
    return holder, [f"{text} {hold} {mood}" for hold in holds for mood in moods
                    if not any(word in hold for word in LATER) or not any(word in mood for word in SOON)]


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
    for beat, chance, phrasings in plot.middle:
        if draw() >= chance or beat == "fact" and "{use}" in start:
            continue
        if beat in ("carry", "cross"):
            if it is None:
                text, it = it_sentence(beat, plot, hero, other, thing, words, pick)
                parts.append(text)
            continue
        if beat in ("needhome", "needway"):
            words["need"], words["does"] = pick(NEEDS)
        if beat in ("sum", "sumway", "coins"):
            first, more = pick(HELD_SUMS if held_out else TRAIN_SUMS)
            numbers = (first, more, first + more)
            words["a"], words["b"], words["c"] = (NUMBERS[n] for n in numbers)
            words["nuts"] = pick(COUNTED)
        parts.append(pick(phrasings))
    holder, ways = pick(plot.turns[ending])
    parts.append(pick(ways))
    holder = {"hero": hero, "other": other}.get(holder, holder)
    words["x"], words["X"] = the(holder), capital(the(holder))
    template = " ".join(filter(None, parts))
    where = words["spot"] if "{spot}" in template or "{spot}" in start else None
    opening = start.format_map(words)
    text = f"{opening} {capital(template.format_map(words))}"
    turn_at = len(text) - len(parts[-1].format_map(words)) - 1              # before the space that leads to it
    facts = Facts(plot.name, hero, other, thing, place, holder, ending, where, it, numbers)
    asked = request(facts, "{at}" in template or "{at}" in start, words, pick)
    return Tale(text, facts, asked, len(opening), turn_at)


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
    if beat == "carry" and (hero in CHILDREN or not plot.on_the_way):
        meant = pick(("object", "bag"))
        words["adj"] = pick(("big", "long") if meant == "object" else ("small", "narrow"))
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
