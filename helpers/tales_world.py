"""The things that are in the story world, what is known about a story, and which combinations are held out."""
from dataclasses import dataclass

from helpers.tables import table

END, USER, ASSISTANT = "<|end|>", "<|user|>", "<|assistant|>"       # special tokens of the Storyteller
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known about a story. People are called by name ("Mia") or kind ("fox"), objects by kind ("kite")."""
    plot: str                             # such as "lost", "race"
    hero: str
    other: str                            # whom the hero meets
    object: str
    place: str                            # such as "forest"
    holder: str                           # who has the object at the end: hero, other, or "nobody"
    ending: str                           # "happy" or "sad"
    where: str | None                     # where the object lay ("under a bush"), if the story says so
    it: str | None                        # what "it" means in "... because it was too ...", if the story has this
    sum: tuple[int, int, int] | None      # (3, 4, 7): had three, found four more, now has seven


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for, and the words it is asked in. place is None when any will do."""
    who: str
    object: str
    ending: str
    place: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Tale:
    """A story, what is known about it, and a request that it answers."""
    text: str
    facts: Facts
    request: Request
    opening_length: int                   # characters of text that introduce hero, object and wish
    turn_at: int                          # characters before the sentences that decide how it ends


WORLD, PLOT_TEXTS = table("tales_world"), table("tales_plots")
GIRLS, BOYS = WORLD["girls"].split(), WORLD["boys"].split()
CHILDREN, ANIMALS = GIRLS + BOYS, list(WORLD["animals"])
PEOPLE = CHILDREN + ANIMALS
OBJECTS, PLACES, PLOTS = list(WORLD["objects"]), list(WORLD["places"]), list(PLOT_TEXTS)
NUMBERS = WORLD["numbers"].split()
USE, PART, WEIGHT = ({name: text.split(" | ")[i] for name, text in WORLD["objects"].items()} for i in range(3))
SUMS = [(a, b) for a in range(2, 10) for b in range(2, 10) if a + b <= 12]


def a(noun: str) -> str:
    """The noun with its article: "a kite", "an old umbrella". The world has no word such as "hour" or "unit"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def the(who: str) -> str:
    """How a story calls somebody: "Mia", "the fox"."""
    return who if who in CHILDREN else f"the {who}"


def held_out_pair(who: str, thing: str) -> bool:
    """Whether training never has these two in one story: their places in the lists end in the same digit.

    who: a child or an animal, counted in PEOPLE; thing: counted in OBJECTS. Of 40 x 24 pairs, 96 are held out.
    """
    return PEOPLE.index(who) % 10 == OBJECTS.index(thing) % 10


def held_out_sum(first: int, more: int) -> bool:
    """Whether training never adds these two, in this order: 2 first + more is a multiple of 7. Six of SUMS are."""
    return (2 * first + more) % 7 == 0
