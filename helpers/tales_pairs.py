"""Minimal pairs: a beginning with a right and a wrong way to go on, for six abilities."""
import random
from collections.abc import Callable

from helpers.tales_telling import HELD_SUMS, HELD_THINGS, HERO, SHARED, TOLD, capital, cast, tell
from helpers.tales_world import (ANIMALS, BOYS, GIRLS, NUMBERS, OBJECTS, PEOPLE, WEIGHT, WORLD, a, the)

Pair = tuple[str, str, str]
ABILITIES = ("grammar", "context", "logic", "knowledge", "intent", "style")


def minimal_pairs(ability: str, n: int, seed: int = 0) -> list[Pair]:
    """n triples of a beginning, the right continuation and a wrong one, which starts with its space.

    They come two by two: what is right after one beginning is wrong after the other. So a model that does not use the
    beginning is right in exactly half of an even n, however often it saw the words. Hero and object of each beginning
    are a held-out combination, sums are held-out sums, and both continuations have the same number of words.
    Raises ValueError for an unknown ability or a negative n.
    """
    if ability not in ABILITIES:
        raise ValueError(f"ability is {ability!r}; choose one of {', '.join(ABILITIES)}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"n is {n!r}; give the number of pairs, 0 or more.")
    draw = random.Random(f"{ability} {seed}")
    made: list[Pair] = []
    while len(made) < n:
        made += MAKERS[ability](draw)
    return made[:n]


def start(hero: str, thing: str, draw: random.Random) -> str:
    """The first sentences of a story about a held-out pair of hero and object."""
    words = HERO[hero] | {"a_trait": a("little"), "at": "by the river", "near": "near the river"}
    first = draw.choice(SHARED["animal" if hero in ANIMALS else "child"]).format_map(words)
    return f"{first} {words['He']} had {a(draw.choice(('red', 'blue', 'green', 'old')) + ' ' + thing)}."


def held_out(draw: random.Random, who=PEOPLE) -> tuple[str, str]:
    hero = draw.choice(who)
    return hero, draw.choice(HELD_THINGS[hero])


def grammar(draw: random.Random) -> list[Pair]:
    """One or many (was, were), a or an before its word, her or his for the one who is told of."""
    which = draw.randrange(3)
    if which == 0:
        (hero, thing), (noun, one) = held_out(draw), draw.choice((("bird", "birds"), ("bee", "bees")))
        begin = start(hero, thing, draw)
        return [(f"{begin} The {one}", " were", " was"), (f"{begin} The {noun}", " was", " were")]
    if which == 1:
        hero, thing = held_out(draw)
        begin, with_a, with_an = start(hero, thing, draw), draw.choice(("red", "blue")), draw.choice(("old", "orange"))
        return [(f"{begin} It was a", f" {with_a}", f" {with_an}"), (f"{begin} It was an", f" {with_an}", f" {with_a}")]
    girl, thing = held_out(draw, GIRLS)
    boy, other = held_out(draw, BOYS)
    return [(f"{start(girl, thing, draw)} {girl} took", " her", " his"),
            (f"{start(boy, other, draw)} {boy} took", " his", " her")]


def context(draw: random.Random) -> list[Pair]:
    """Who has the object: the one it was given to."""
    animal = draw.random() < 0.5
    hero, thing = held_out(draw, ANIMALS if animal else GIRLS + BOYS)
    other = draw.choice([x for x in (ANIMALS if animal else BOYS if hero in GIRLS else GIRLS) if x != hero])
    met = a(other) if animal else f"a {'boy' if other in BOYS else 'girl'} named {other}"
    begin = f"{start(hero, thing, draw)} Then {HERO[hero]['he']} met {met}."
    give, back = (f"{capital(the(hero))} gave the {thing} to {the(other)}.",
                  f"{capital(the(other))} gave the {thing} back to {the(hero)}.")
    close = draw.choice((f"From then on the {thing} belonged to", f"So the {thing} stayed with"))
    return [(f"{begin} {give} {close}", f" {the(other)}", f" {the(hero)}"),
            (f"{begin} {give} {back} {close}", f" {the(hero)}", f" {the(other)}")]


def logic(draw: random.Random) -> list[Pair]:
    """A sum that training never had, or what "it" was in "because it was too heavy", seen by what is done about it."""
    hero = draw.choice([who for who in ANIMALS if any(WEIGHT[thing] == "heavy" for thing in HELD_THINGS[who])])
    thing = draw.choice([thing for thing in HELD_THINGS[hero] if WEIGHT[thing] == "heavy"])
    begin = start(hero, thing, draw)
    if draw.random() < 0.5:
        (p, q), (r, s) = draw.sample(HELD_SUMS, 2)
        nuts = draw.choice(WORLD["counted"].split())

        def told(first: int, more: int) -> str:
            return (f"{begin} On the way it found {NUMBERS[first]} {nuts}. Then it found {NUMBERS[more]} more. "
                    "Now it had")

        one, two = f" {NUMBERS[p + q]}", f" {NUMBERS[r + s]}"
        return [(told(p, q), one, two), (told(r, s), two, one)]
    could_not = f"{begin} {capital(the(hero))} could not carry the {thing} because it was too"
    push, rest = f" pushed the {thing} along the path.", " sat down for a little while."
    return [(f"{could_not} heavy. So {the(hero)}", push, rest), (f"{could_not} tired. So {the(hero)}", rest, push)]


def knowledge(draw: random.Random) -> list[Pair]:
    """Where animals live, and what objects are good for."""
    if draw.random() < 0.5:
        one, two = draw.sample(ANIMALS, 2)
        home = WORLD["animals"]
        return [(f"Once there was {a(x)} with {a(draw.choice(HELD_THINGS[x]))}. It lived in {a(home[x]).split()[0]}",
                 f" {home[x]}", f" {home[y]}") for x, y in ((one, two), (two, one))]
    hero, thing = held_out(draw)
    verb = {name: text.split()[0] for name, text in WORLD["objects"].items()}
    same = [other for other in verb if verb[other] != verb[thing]]
    other = draw.choice(same)
    begin = start(hero, thing, draw)
    return [(f"{begin} With {a(x)} you can", f" {verb[x]}", f" {verb[y]}") for x, y in ((thing, other), (other, thing))]


def intent(draw: random.Random) -> list[Pair]:
    """What somebody does who is thirsty, hungry, sleepy, ..."""
    hero, thing = held_out(draw)
    (need, does), (lack, do) = draw.sample(list(WORLD["needs"].items()), 2)
    begin = f"{start(hero, thing, draw)} On the way {the(hero)} was"
    he = HERO[hero]["he"]
    return [(f"{begin} {need}, so {he}", f" {does}", f" {do}"), (f"{begin} {lack}, so {he}", f" {do}", f" {does}")]


def style(draw: random.Random) -> list[Pair]:
    """A story that went well ends happily, one that went badly ends sadly."""
    hero, other, thing = cast(draw.choice, draw.random, True)
    plot, place = draw.choice(TOLD), draw.randrange(len(SHARED["happy"]))
    pairs = []
    for right, wrong in (("happy", "sad"), ("sad", "happy")):
        text = tell(draw.random, True, who=(hero, other, thing), ending=right, plot=plot).text
        told = text[:text.rindex(". ", 0, -1) + 1]
        words = HERO[hero] | {"other": the(other)}
        ends = {mood: " " + SHARED[mood][place].format_map(words) for mood in (right, wrong)}
        pairs.append((told, ends[right], ends[wrong]))
    return pairs


MAKERS: dict[str, Callable[[random.Random], list[Pair]]] = {name: globals()[name] for name in ABILITIES}
