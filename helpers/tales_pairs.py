"""Minimal pairs: a beginning with a right and a wrong way to go on, for six abilities."""
import random
from collections.abc import Callable, Sequence

from helpers.tales_telling import BIG, HELD_SUMS, HELD_THINGS, HERO, SHARED, TIRED, TOLD, capital, cast, tell
from helpers.tales_world import ANIMALS, BOYS, GIRLS, NUMBERS, PEOPLE, USE, WEIGHT, WORLD, a, the

Pair = tuple[str, str, str]              # a beginning, the right continuation, a wrong one
ABILITIES = ("grammar", "context", "logic", "knowledge", "intent", "style")


def minimal_pairs(ability: str, n: int, seed: int = 0) -> list[Pair]:
    """n triples of a beginning, the right continuation and a wrong one; a continuation starts with its space.

    grammar: one or many (was, were), a or an, his or her. context: who has the object after it was given away, and
    perhaps back. logic: a sum; what is done when "it" was too heavy, or too tired. knowledge: where an animal lives,
    what an object is good for. intent: what somebody does who is thirsty, sleepy, cold, ... style: a story that went
    badly ends sadly.

    What makes them fair. They come two by two: what is right after one beginning is wrong after the other. So a model
    that does not use the beginning is right in exactly half of an even n, however often it has read the words. Both
    continuations have the same number of words. No beginning stands in a training story: its hero and object are a
    held-out combination; sums are held-out sums.
    Raises ValueError for an unknown ability or a negative n.
    """
    if ability not in ABILITIES:
        raise ValueError(f"ability is {ability!r}; choose one of {', '.join(ABILITIES)}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"n is {n!r}; give the number of pairs, 0 or more.")
    draw = random.Random(f"{ability} {seed}")
    made: dict[Pair, None] = {}                              # in order, and none comes twice
    while len(made) < n:
        two = MAKERS[ability](draw)
        if not any(pair in made for pair in two):
            made |= dict.fromkeys(two)
    return list(made)[:n]


def held_out(draw: random.Random, people: Sequence[str] = PEOPLE) -> tuple[str, str]:
    """A hero and an object that training never has in one story."""
    hero = draw.choice(people)
    return hero, draw.choice(HELD_THINGS[hero])


def start(hero: str, thing: str, draw: random.Random) -> str:
    """The first sentences of a story about hero and object."""
    place = draw.choice(list(WORLD["places"]))
    words = HERO[hero] | {"a_trait": a(draw.choice(WORLD["traits"].split())), "near": f"near the {place}"}
    first = draw.choice(SHARED["animal" if hero in ANIMALS else "child"]).format_map(words)
    return f"{first} {words['He']} had {a(draw.choice(WORLD['colours'].split()) + ' ' + thing)}."


def grammar(draw: random.Random) -> list[Pair]:
    """One or many, the article, the pronoun."""
    hero, thing = held_out(draw)
    begin, which = start(hero, thing, draw), draw.randrange(3)
    if which == 0:
        one, many = draw.choice((("bird", "birds"), ("day", "days")))
        return [(f"{begin} The {many}", " were", " was"), (f"{begin} The {one}", " was", " were")]
    if which == 1:
        meets = f"{begin} Then {the(hero)} met"
        with_an = draw.choice([who for who in ANIMALS if who[0] in "aeiou" and who != hero])
        with_a = draw.choice([who for who in ANIMALS if who[0] not in "aeiou" and who != hero])
        return [(f"{meets} a", f" {with_a}", f" {with_an}"), (f"{meets} an", f" {with_an}", f" {with_a}")]
    (girl, hers), (boy, his) = held_out(draw, GIRLS), held_out(draw, BOYS)
    return [(f"{start(girl, hers, draw)} One day {girl} took", " her", " his"),
            (f"{start(boy, his, draw)} One day {boy} took", " his", " her")]


def context(draw: random.Random) -> list[Pair]:
    """Who has the object: the one it was given to."""
    hero, thing = held_out(draw)
    others = ANIMALS if hero in ANIMALS else BOYS if hero in GIRLS else GIRLS
    other = draw.choice([who for who in others if who != hero])
    met = a(other) if other in ANIMALS else f"a {HERO[other]['girl']} named {other}"
    begin = f"{start(hero, thing, draw)} Then {the(hero)} met {met}."
    gave = f"{begin} {capital(the(hero))} gave the {thing} to {the(other)}."
    back = f"{capital(the(other))} gave the {thing} back to {the(hero)}."
    close = draw.choice((f"From then on the {thing} belonged to", f"So the {thing} stayed with"))
    return [(f"{gave} {close}", f" {the(other)}", f" {the(hero)}"),
            (f"{gave} {back} {close}", f" {the(hero)}", f" {the(other)}")]


def logic(draw: random.Random) -> list[Pair]:
    """A sum that training never had, or what "it" was in "because it was too heavy", seen by what is done about it."""
    if draw.random() < 0.5:
        (hero, thing), nuts = held_out(draw, ANIMALS), draw.choice(WORLD["counted"].split())
        begin = f"{start(hero, thing, draw)} On the way {the(hero)} found"
        sums = draw.sample(HELD_SUMS, 2)
        told = [f"{begin} {NUMBERS[first]} {nuts}. Then it found {NUMBERS[more]} more. Now it had"
                for first, more in sums]
        one, two = (f" {NUMBERS[first + more]}" for first, more in sums)
        return [(told[0], one, two), (told[1], two, one)]
    hero, thing = draw.choice([(who, x) for who in ANIMALS for x in HELD_THINGS[who] if WEIGHT[x] == "heavy"])
    because = f"{start(hero, thing, draw)} {capital(the(hero))} could not carry the {thing} because it was too"
    push, rest = f" pushed the {thing} along the path.", " sat down for a little while."
    return [(f"{because} {draw.choice(BIG)}. So {the(hero)}", push, rest),
            (f"{because} {draw.choice(TIRED)}. So {the(hero)}", rest, push)]


def knowledge(draw: random.Random) -> list[Pair]:
    """Where animals live, and what objects are good for."""
    if draw.random() < 0.5:
        two, home = draw.sample(ANIMALS, 2), WORLD["animals"]
        begins = [f"Once there was {a(who)} with {a(draw.choice(HELD_THINGS[who]))}. It lived in a" for who in two]
        one, other = (f" {home[who]}" for who in two)
    else:
        two: list[str] = []
        while len(two) < 2:                                  # another use in as many words; one object has none
            hero, thing = held_out(draw)
            alike = [x for x in USE if x != thing and len(USE[x].split()) == len(USE[thing].split())]
            two = [thing, *draw.sample(alike, min(1, len(alike)))]
        begin = start(hero, thing, draw)
        begins = [f"{begin} With {a(x)} you can" for x in two]
        one, other = (f" {USE[x]}." for x in two)
    return [(begins[0], one, other), (begins[1], other, one)]


def intent(draw: random.Random) -> list[Pair]:
    """What somebody does who is thirsty, hungry, sleepy, ..."""
    hero, thing = held_out(draw)
    (need, does), (other_need, other_does) = draw.sample(list(WORLD["needs"].items()), 2)
    begin, he = f"{start(hero, thing, draw)} {capital(the(hero))} was", HERO[hero]["he"]
    return [(f"{begin} {need}, so {he}", f" {does}.", f" {other_does}."),
            (f"{begin} {other_need}, so {he}", f" {other_does}.", f" {does}.")]


def style(draw: random.Random) -> list[Pair]:
    """Two whole stories with the same people, object and plot: the one went well, the other did not."""
    who, plot = cast(draw.choice, draw.random, True), draw.choice(TOLD)
    told = [tell(draw.random, True, who=who, plot=plot, ending=ending).text for ending in ("happy", "sad")]
    begins = [text[:text.rindex(". ") + 1] for text in told]
    alone = [i for i, mood in enumerate(SHARED["happy"]) if "{other}" not in mood]
    place = draw.choice(alone)                               # the two lists say the same, one happily, one sadly
    happy, sad = (" " + SHARED[ending][place].format_map(HERO[who[0]]) for ending in ("happy", "sad"))
    return [(begins[0], happy, sad), (begins[1], sad, happy)]


MAKERS: dict[str, Callable[[random.Random], list[Pair]]] = {
    "grammar": grammar, "context": context, "logic": logic, "knowledge": knowledge, "intent": intent, "style": style}
