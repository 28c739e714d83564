"""Reading a story that somebody told: does it keep to its people, its object and its own reasons?

The reader knows the world's words (people, objects, moods) and the causes marked in `tales_plots.toml`. It reads any
text, however odd, and never raises on one.
"""
import re
from dataclasses import dataclass

from helpers.tables import lines
from helpers.tales_world import ANIMALS, BOYS, END, GIRLS, NOBODY, NUMBERS, OBJECTS, PEOPLE, PLOT_TEXTS, Request

HE, SHE = {"he", "him", "his", "himself"}, {"she", "her", "hers", "herself"}
INTRODUCES = {"named", "called", "friend", "neighbour"}             # "a girl named Mia", "his friend the fox"
HAPPY = ("happy", "laughed", "danced", "smiled", "smile", "best day", "merry", "glad", "joy", "proud", "cheered")
SAD = ("sad", "saddest", "cried", "tears", "heavy heart", "alone", "sorry", "ashamed", "lonely", "wept", "sigh",
       "sighed")
NEGATES = {"not", "no", "never", "nobody", "without"}

GETS = "had|took|kept|got|won|bought|found|held|picked up|stole|caught|carried"
GIVES = "gave|brought|handed|lent|sold|returned"


@dataclass(frozen=True)
class Score:
    """Which parts of a story are consistent; `why` says in words what is not."""
    names: bool                           # nobody appears who was not introduced, and he, she fit who is there
    object: bool                          # only the story's, and who has it at the end, if that is told, got it before
    ending: bool                          # the last mood follows from the cause told
    complete: bool                        # it ends, with a mood
    sum: bool | None = None               # what was counted adds up; None: nothing was. Not part of ok
    why: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.names and self.object and self.ending and self.complete


@dataclass(frozen=True)
class Followed:
    """Which parts of a request a story fulfils; a part that was not asked for counts as fulfilled."""
    who: bool
    object: bool
    ending: bool
    place: bool

    @property
    def ok(self) -> bool:
        return self.who and self.object and self.ending and self.place


def consistent(opening: str, continuation: str) -> Score:
    """Score how a story goes on.

    opening: as `opening(tale)` gives it; it introduces hero and object. May be "".
    continuation: what a model wrote after it, up to the special token <|end|> if that is there.
    """
    told = continuation.split(END)[0].strip()
    story = f"{opening.strip()} {told}".strip()
    words = plain(story)
    names, things = wrong_names(words), wrong_objects(plain(opening), plain(told))
    mood, reason = ending_of(told), cause(words)
    complete = mood is not None and re.search(r"[.!?]\"?$", told) is not None
    ending = mood is not None and mood == reason
    why = (*names, *things, *(() if complete else ("It does not come to an end.",)),
           *(() if ending else (f"The mood at the end is {mood}, the cause told leads to {reason}.",)))
    return Score(not names, not things, ending, complete, sum_adds_up(words), why)


def follows(request: Request, story: str) -> Followed:
    """Score whether a story is the one that was asked for: who, object, ending and place."""
    story = story.split(END)[0]
    words = plain(story).split()
    return Followed(request.who.lower() in words, request.object in words, ending_of(story) == request.ending,
                    request.place is None or request.place in words)


def plain(text: str) -> str:
    """Lower-case words with one space between them; no punctuation."""
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower()))


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\"? +", text)


def ending_of(story: str) -> str | None:
    """"happy" or "sad", by the last word of mood in the last two sentences; None if there is none."""
    words = plain(" ".join(sentences(story)[-2:]))
    found = [(match.start(), mood, match) for mood, phrases in (("happy", HAPPY), ("sad", SAD))
             for match in re.finditer(rf"\b(?:{'|'.join(phrases)})\b", words)]
    if not found:
        return None
    start, mood, _ = max(found, key=lambda one: one[0])
    if NEGATES & set(words[:start].split()[-2:]):
        mood = "sad" if mood == "happy" else "happy"
    return mood


def cause(words: str) -> str | None:
    """What ending the last cause told leads to; None if none of the world's causes was told."""
    found = [(match.end(), ending) for ending in CAUSES for match in CAUSES[ending].finditer(words)]
    return max(found)[1] if found else None


def wrong_names(words: str) -> tuple[str, ...]:
    """People who were not introduced, and pronouns that fit nobody."""
    tokens, seen, wrong = words.split(), set(), []
    for i, token in enumerate(tokens):
        name = token.removesuffix("'s")
        if name in KNOWN and name not in seen:
            seen.add(name)
            before = tokens[max(0, i - 2):i]
            introduced = before[-1] in INTRODUCES if before else name not in ANIMALS
            if name in ANIMALS and before:
                introduced = bool({"a", "an"} & set(before)) or before[0] in INTRODUCES and before[-1] == "the"
            if not introduced:
                wrong.append(f"{name} was not introduced.")
    for pronouns, people in ((HE, BOYS), (SHE, GIRLS)):
        said = pronouns & set(tokens)
        if said and not seen & {name.lower() for name in people}:
            wrong.append(f"{sorted(said)[0]} fits nobody.")
    if not seen:
        wrong.append("Nobody is in it.")
    return tuple(wrong)


def wrong_objects(opening: str, continuation: str) -> tuple[str, ...]:
    """Objects from elsewhere, no object at all, or an object that somebody has at the end who did not get it."""
    mine = [word for word in opening.split() if word in OBJECTS] or [w for w in continuation.split() if w in OBJECTS]
    if not mine:
        return ("There is no object in it.",)
    strange = {word for word in continuation.split() if word in OBJECTS} - set(mine if opening else mine[:1])
    if strange:
        return (f"{sorted(strange)[0]} was not in the story.",)
    if mine[0] not in continuation.split():
        return (f"{mine[0]} is not told of any more.",)
    got, has = holders(f"{opening} {continuation}", mine[0])
    if has is not None and got is not None and got != has:
        return (f"{got} got the {mine[0]}, but {has} has it at the end.",)
    return ()


def holders(words: str, thing: str) -> tuple[str | None, str | None]:
    """Who was the last to get the thing ("nobody" if it was lost), and who has it by the closing sentence."""
    last = {True: (0, None), False: (0, None)}
    for pattern, closing in PATTERNS:
        for match in pattern.finditer(words.replace(f" {thing}", " THING")):
            who = match.groupdict().get("x") or NOBODY
            if match.end() > last[closing][0]:
                last[closing] = (match.end(), who.split()[-1])
    return last[False][1], last[True][1]


def sum_adds_up(words: str) -> bool | None:
    """Whether "three ... four more ... seven" is right; None if nothing is counted."""
    number = "|".join(NUMBERS[2:])
    found = re.search(rf"\b({number})\b(?: \S+){{1,14}}? ({number}) more\b(?: \S+){{1,12}}? ({number})\b", words)
    if found is None:
        return None
    first, more, total = map(NUMBERS.index, found.groups())
    return first + more == total


def _cause_pattern(kind: str) -> re.Pattern:
    marked = [mark for plot in PLOT_TEXTS.values() for line in lines(plot[kind])
              for mark in re.findall(r"\*(.+?)\*", line)]
    somebody = r"(?:the )?[a-z]+(?:'s)?"
    phrases = (" ".join(somebody if "{" in word else word for word in re.findall(r"[a-z'{}_0-9]+", mark.lower()))
               for mark in marked)
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b")


CAUSES = {"happy": _cause_pattern("good"), "sad": _cause_pattern("bad")}
KNOWN = [name.lower() for name in PEOPLE]
X = rf"(?P<x>(?:the )?(?:old )?(?:{'|'.join(KNOWN)}))"
PATTERNS = [(re.compile(pattern), closing) for pattern, closing in (
    (rf"\b{X} (?:still )?(?:{GETS}) (?:back )?the THING\b(?! for many| tight)", False),
    (rf"\b(?:{GIVES}) the THING (?:back )?to {X}\b", False),
    (rf"\b(?:{GIVES}) {X} the THING\b", False),
    (r"\bthe THING was (?:lost|gone|broken|sold)\b", False),
    (r"\bthe THING (?:broke|was torn|fell into)\b|\bstranger bought the THING\b", False),
    (rf"\b{X} (?:kept the THING for many|held the THING tight|did not let go of the THING)\b", True),
    (rf"\bthe THING (?:still belonged to|belonged to|stayed with) {X}\b", True),
    (r"\b(?:nobody ever saw the|the end of the|no) THING\b|\bthe THING was gone for good\b", True))]
