"""Exercise 7.5, what came after it last time: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

from helpers.exercises.exercise import Exercise, Mistake, Property


def longest_lookup(ids: list[int], count: int, longest: int) -> list[int]:
    best, end = 0, None                                       # the longest match, and where it ends
    for place in range(1, len(ids)):                          # an earlier occurrence that ends before this place
        n = 0
        while n < min(longest, place) and ids[place - 1 - n] == ids[len(ids) - 1 - n]:
            n += 1
        if n > 0 and n >= best:                               # of equally long ones the last
            best, end = n, place
    return ids[end:end + count] if best else []


def from_longest(longest: int, T: int) -> range:
    return range(min(longest, T - 1), 0, -1)


def earlier(T: int, n: int) -> range:
    """Where n tokens may begin so that they do not end with the text, the latest first."""
    return range(T - n - 1, -1, -1)


def after(ids: list[int], start: int, n: int, count: int) -> list[int]:
    return ids[start + n:start + n + count]


def looks_up(sizes: Callable = from_longest, starts: Callable = earlier, take: Callable = after, missing=(),
             choose: Callable = lambda found: found[0]) -> Callable:
    """longest_lookup with one thing other than it should be. choose: one of the places, of which the last is first."""
    def answer(ids, count, longest):
        T = len(ids)
        for n in sizes(longest, T):
            found = [start for start in starts(T, n) if ids[start:start + n] == ids[T - n:] and start >= 0]
            if found:
                return take(ids, choose(found), n, count)
        return missing if missing is None else list(missing)
    return answer


def cut_short(ids, count, longest):
    """Looks for more tokens than the text has."""
    for n in range(longest, 0, -1):
        for start in range(len(ids) - 1, -1, -1):
            if start != len(ids) - n and ids[start:start + n] == ids[-n:]:
                return ids[start + n:start + n + count]
    return []


def never_enough(ids, count, longest):
    """Takes an occurrence only where `count` tokens follow it."""
    T = len(ids)
    for n in from_longest(longest, T):
        for start in earlier(T, n):
            if ids[start:start + n] == ids[T - n:] and start + n + count <= T:
                return after(ids, start, n, count)
    return []


def goes_on(ids, start, n, count):
    """Begins again where the text ends."""
    tail = ids[start + n:]
    return (tail * count)[:count]


def before_the_end(ids, start, n, count):
    return ids[start + n:min(start + n + count, len(ids) - n)]


def most_frequent_next(ids, count, longest):
    """Takes the occurrence whose next token comes most often."""
    T = len(ids)
    for n in from_longest(longest, T):
        found = [start for start in earlier(T, n) if ids[start:start + n] == ids[T - n:]]
        if found:
            following = [ids[start + n] for start in found]
            often = max(following, key=following.count)
            return after(ids, found[following.index(often)], n, count)
    return []


def as_a_set(ids, count, longest):
    """Compares which tokens there are, in any order."""
    T = len(ids)
    for n in from_longest(longest, T):
        for start in earlier(T, n):
            if sorted(ids[start:start + n]) == sorted(ids[T - n:]):
                return after(ids, start, n, count)
    return []


def needs_a_token(ids, count, longest):
    return longest_lookup(ids, count, longest) if ids[-1] in ids else []


def in_place(ids, count, longest):
    proposed = longest_lookup(ids, count, longest)
    ids.extend(proposed)
    return proposed


def draw_texts(draw: random.Random) -> list[tuple]:
    cases = [([5], 2, 3), ([5, 6, 5], 1, 2), ([5, 6, 7], 2, 2), ([], 3, 2), ([4, 4], 3, 2), ([4, 4, 4], 2, 3),
             ([6, 6, 2, 6], 2, 6), ([7, 1, 2, 8, 5, 2, 3, 9, 1, 2], 2, 3), ([1, 2, 3, 9, 1, 2, 4, 8, 1, 2], 3, 2),
             ([3, 1, 6, 2, 1, 7, 3, 1], 2, 1), ([2, 1, 5, 1, 2, 6, 2, 1], 2, 2), ([1, 5, 1, 5, 1, 6, 1], 2, 1),
             ([9, 8, 1, 2, 3, 5, 7, 1, 2, 3, 6, 8, 1, 2, 3], 4, 3), ([1, 2, 1, 2, 1, 2, 1], 3, 4)]
    for T, V, count, longest in ((8, 3, 2, 2), (10, 4, 3, 3), (12, 3, 4, 4), (15, 5, 2, 3), (18, 4, 5, 5),
                                 (24, 6, 3, 2), (30, 5, 6, 4), (40, 8, 4, 3)):
        ids = [draw.randrange(V) for _ in range(T)]
        size = draw.randint(2, longest + 1)                                      # something comes again at the end
        start = draw.randrange(T - 2 * size)
        cases.append((ids + ids[start:start + size], count, longest))
    return cases


def forgets(answer) -> str | None:
    """A text that is written a second time is proposed as it was."""
    text = [11, 4, 7, 4, 9, 4, 7, 2, 4, 9, 11, 3]
    for seen in range(3, 8):
        given = answer(text + text[:seen], 3, 4)
        if list(given) != text[seen:seen + 3]:
            return (f"{text} was written again as far as its first {seen} tokens, and {list(given)} was proposed "
                    f"instead of {text[seen:seen + 3]}.")
    return None


EXERCISE = Exercise(
    id="7.5", name="longest_lookup", title="What came after it last time", minutes=20,
    oracle=longest_lookup, cases=draw_texts,
    mistakes=(
        Mistake(looks_up(sizes=lambda longest, T: range(1, min(longest, T - 1) + 1)),
                "You begin with one token, and a single token occurs nearly everywhere. Try the longest first: "
                "range(longest, 0, -1)."),
        Mistake(looks_up(sizes=lambda longest, T: [longest] if longest < T else []),
                "You look for the last `longest` tokens alone. Where these did not occur before, try one fewer, and so "
                "on down to the last token."),
        Mistake(looks_up(sizes=lambda longest, T: range(min(longest, T - 1), 1, -1)),
                "You never look for the last token alone: range(longest, 1, -1) ends at 2."),
        Mistake(looks_up(sizes=lambda longest, T: range(min(longest - 1, T - 1), 0, -1)),
                "You begin one token too short: the last `longest` tokens are looked for as well."),
        Mistake(looks_up(sizes=lambda longest, T: from_longest(T, T)),
                "More than `longest` tokens are not looked for: a longer match says little more, and the search "
                "costs."),
        Mistake(looks_up(choose=lambda found: found[-1]),
                "You take the first occurrence. Asked for is the latest one: look from the end backwards, or go on "
                "looking and keep the last."),
        Mistake(looks_up(starts=lambda T, n: range(T - n, -1, -1)),
                "You find the last n tokens themselves, after which nothing comes. An earlier occurrence begins before "
                "len(ids) - n."),
        Mistake(looks_up(starts=lambda T, n: range(T - n - 2, -1, -1)),
                "You leave out one place: an occurrence may begin at len(ids) - n - 1, one place before the last n "
                "tokens do."),
        Mistake(looks_up(starts=lambda T, n: range(T - 2 * n, -1, -1)),
                "You leave out occurrences that overlap with the last n tokens. They count: in 4, 4, 4 the last two "
                "also occurred one place earlier."),
        Mistake(looks_up(starts=lambda T, n: range(T - n - 1, 0, -1)),
                "You never look at the very beginning: range(..., 0, -1) ends at 1."),
        Mistake(cut_short,
                "When longest is more than the text has, ids[-n:] is the whole text, and the beginning of the text "
                "seems to match. What occurred before is shorter than the text: n is at most len(ids) - 1."),
        Mistake(never_enough,
                "You leave out an occurrence after which fewer than `count` tokens come. Propose what there is: up to "
                "count."),
        Mistake(looks_up(take=lambda ids, start, n, count: ids[start:start + n + count]),
                "You propose the occurrence too. It is written already: the proposal begins after it, at start + n."),
        Mistake(looks_up(take=lambda ids, start, n, count: ids[start:start + count]),
                "You propose the occurrence itself. It is written already: the proposal begins after it, at start + "
                "n."),
        Mistake(looks_up(take=lambda ids, start, n, count: ids[start + n + 1:start + n + 1 + count]),
                "Your proposal begins one token too late: the first token after the occurrence is at start + n."),
        Mistake(looks_up(take=lambda ids, start, n, count: ids[start + 1:start + 1 + count]),
                "You propose what comes after the first token of the occurrence. The occurrence has n tokens: begin at "
                "start + n."),
        Mistake(looks_up(take=lambda ids, start, n, count: ids[start + n:]),
                "You propose all that came after it. At most count tokens were asked for."),
        Mistake(looks_up(take=lambda ids, start, n, count: ids[start + n:count]),
                "A slice ids[a:b] ends before place b, and your b is a number of tokens: ids[a:a + count]."),
        Mistake(looks_up(take=before_the_end),
                "Your proposal stops where the last n tokens begin. It may reach into them, as far as there are "
                "tokens."),
        Mistake(looks_up(take=goes_on),
                "Where the text ends, you begin again. Propose what there is: up to count tokens."),
        Mistake(most_frequent_next,
                "You take what came after it most often. Asked for is what came after its latest occurrence."),
        Mistake(as_a_set,
                "You compare which tokens there are. Their order counts too: ids[start:start + n] == ids[-n:]."),
        Mistake(looks_up(missing=None),
                "Where nothing occurred before you give None. An empty list says it, and whoever loops over it need "
                "not ask."),
        Mistake(needs_a_token,
                "An empty text has no last token, and ids[-1] is an error there. Nothing occurred before: []."),
        Mistake(in_place,
                "You write the proposal into the text that you were given. It is a proposal: the model has not "
                "accepted it."),
    ),
    hints=("Two loops, one in the other: over how many of the last tokens, the most first, and over where they may "
           "have begun earlier, the latest place first. What stops both?",
           "For n from min(longest, len(ids) - 1) down to 1, and start from len(ids) - n - 1 down to 0: if "
           "ids[start:start + n] == ids[-n:], return ids[start + n:start + n + count]. After both loops, []."),
    properties=(Property("a text that is written again is proposed as it was", forgets),),
)
