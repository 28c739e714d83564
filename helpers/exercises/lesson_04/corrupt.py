"""Exercise 4.5, gaps to fill: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable, Sequence

from helpers.exercises.exercise import Exercise, Mistake, Property

Pair = tuple[list[int], list[int]]


def corrupt(ids: list[int], spans: list[tuple[int, int]], sentinels: list[int]) -> Pair:
    source, target, place = [], [], 0
    for number in range(len(spans)):
        start, end = sorted(spans)[number]
        while place < start:
            source.append(ids[place])
            place += 1
        source.append(sentinels[number])
        target.append(sentinels[number])
        while place < end:
            target.append(ids[place])
            place += 1
    while place < len(ids):
        source.append(ids[place])
        place += 1
    return source, [*target, sentinels[len(spans)]]


def corrupts(order: Callable = sorted, stop: Callable = lambda end: end, mark: Callable = lambda i, marks: [marks[i]],
             mark_target: Callable | None = None, last: Callable = lambda n, marks: [marks[n]],
             last_source: Callable = lambda n, marks: [], kept: bool = False,
             in_source: Callable = lambda i, length, marks: [marks[i]]) -> Callable:
    """corrupt with one thing other than it should be."""
    def answer(ids, spans, sentinels):
        source, target, place = [], [], 0
        for i, (start, end) in enumerate(order(spans)):
            source += ids[place:start] + in_source(i, end - start, sentinels) + ids[start:end] * kept
            target += (mark_target or mark)(i, sentinels) + ids[start:stop(end)]
            place = stop(end)
        return (source + ids[place:] + last_source(len(spans), sentinels),
                target + last(len(spans), sentinels))
    return answer


def one_mark(ids, spans, sentinels):
    return corrupts(in_source=lambda i, length, marks: marks[:1], mark_target=lambda i, marks: marks[:1],
                    last=lambda n, marks: marks[:1])(ids, spans, sentinels)


def places_not_moved(ids, spans, sentinels):
    """Replaces from left to right in a list that grows shorter, by places of the whole text."""
    source, target = list(ids), corrupt(ids, spans, sentinels)[1]
    for i, (start, end) in enumerate(sorted(spans)):
        source[start:end] = [sentinels[i]]
    return source, target


def the_rest_marked(ids, spans, sentinels):
    """A target with marks for what was kept, as if the two were swapped."""
    source, target = corrupt(ids, spans, sentinels)
    return target, source


def in_place(ids, spans, sentinels):
    source, target = corrupt(ids, spans, sentinels)
    ids[:] = source
    return ids, target


def sorts_in_place(ids, spans, sentinels):
    spans.sort()
    return corrupt(ids, spans, sentinels)


def marks_used_up(ids, spans, sentinels):
    sentinels_left, (source, target) = sentinels, corrupt(ids, spans, sentinels)
    del sentinels_left[:len(spans) + 1]
    return source, target


def as_given(spans: Sequence) -> Sequence:
    return spans


def draw_texts(draw: random.Random) -> list[tuple]:
    cases = [([5, 6, 7], [(1, 2)], [99, 98]), ([5, 6, 7, 8], [(0, 2)], [99, 98, 97]), ([5, 6], [], [99]),
             ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [(2, 4), (8, 9)], [99, 98, 97]),
             ([4, 4, 4, 4, 4], [(3, 5), (0, 2)], [90, 91, 92, 93])]
    for T in (6, 7, 9, 10, 12, 14, 17, 20, 26):
        edges = sorted(draw.sample(range(T + 1), 2 * draw.randint(2, max(2, T // 5))))
        spans = list(zip(edges[::2], edges[1::2]))
        draw.shuffle(spans)
        if T % 2:
            spans.append((edges[-1], T)) if edges[-1] < T else spans.append((edges[1], edges[2]))   # side by side
        first = draw.randint(200, 300)
        cases.append(([draw.randint(1, 50) for _ in range(T)], spans,
                      [first - i for i in range(len(spans) + draw.randint(1, 3))]))
    return cases


def cannot_be_undone(answer) -> str | None:
    """Whoever puts the gaps' contents back must get the text."""
    ids, sentinels = list(range(30)), [100, 101, 102, 103, 104]
    source, target = answer(list(ids), [(20, 27), (3, 5), (11, 12), (0, 1)], list(sentinels))
    contents, mark = {}, None
    for token in target:
        if token in sentinels:
            mark = token
            contents[mark] = []
        else:
            contents[mark].append(token)
    back = [one for token in source for one in (contents[token] if token in sentinels else [token])]
    return None if back == ids else f"with the gaps filled in, {ids[:6]}… comes back as {back[:6]}…."


EXERCISE = Exercise(
    id="4.5", name="corrupt", title="Gaps to fill", minutes=15,
    oracle=corrupt, cases=draw_texts,
    mistakes=(
        Mistake(corrupts(last=lambda n, marks: []),
                "The target does not end on a sentinel. One more is put there, the next that was not used: it says "
                "that all gaps are filled."),
        Mistake(corrupts(last=lambda n, marks: marks[-1:]),
                "You end the target on the last sentinel of the list. It is the next that was not used: "
                "sentinels[len(spans)]."),
        Mistake(corrupts(last=lambda n, marks: [marks[max(n - 1, 0)]]),
                "The sentinel at the end is that of the last gap. It is the next one: sentinels[len(spans)]."),
        Mistake(corrupts(last_source=lambda n, marks: [marks[n]]),
                "The source ends on a sentinel too. Nothing is missing there: only the target gets one more."),
        Mistake(one_mark,
                "All gaps have the same sentinel, so nobody can tell which is filled by what. The first gap gets the "
                "first, the second the second."),
        Mistake(corrupts(order=as_given),
                "You take the spans in the order in which they were given. The first sentinel belongs to the first gap "
                "of the text: sort them, sorted(spans)."),
        Mistake(corrupts(in_source=lambda i, length, marks: [marks[i]] * length),
                "You write a sentinel for each token that is taken out, as BERT does. One stands for the whole gap: "
                "how long it is the model must find out."),
        Mistake(corrupts(kept=True),
                "The tokens of a gap still stand in the source, behind the sentinel. They go to the target."),
        Mistake(corrupts(in_source=lambda i, length, marks: []),
                "The source has no sentinels: nobody sees where something is missing."),
        Mistake(corrupts(mark_target=lambda i, marks: []),
                "The target has no sentinels before the gaps' contents: nobody sees which gap they belong to."),
        Mistake(corrupts(stop=lambda end: end + 1),
                "Your gaps are one token too long. `end` is the first token behind a gap, as in a slice: "
                "ids[start:end]."),
        Mistake(corrupts(stop=lambda end: end - 1),
                "Your gaps are one token too short. `end` is the first token behind a gap, as in a slice: "
                "ids[start:end]."),
        Mistake(places_not_moved,
                "You replace from left to right in a list that grows shorter, so later places have moved. Collect the "
                "pieces in a new list, or begin with the last gap."),
        Mistake(lambda ids, spans, sentinels: (corrupt(ids, spans, sentinels)[0], list(ids)),
                "Your target is the whole text. Here only what was taken out is written, each gap behind its "
                "sentinel."),
        Mistake(the_rest_marked,
                "Source and target are swapped: first the text with gaps, then what belongs into them."),
        Mistake(lambda ids, spans, sentinels: corrupt(ids, spans, sentinels)[0],
                "You give the source alone: return source, target."),
        Mistake(lambda ids, spans, sentinels: sum(corrupt(ids, spans, sentinels), []),
                "You give source and target as one list. An encoder-decoder reads the one and writes the other: return "
                "source, target."),
        Mistake(in_place,
                "You write into the list of ids that you were given. Collect the source in a new list."),
        Mistake(sorts_in_place,
                "You sort the list of spans that you were given, as spans.sort() does. sorted(spans) makes a new one."),
        Mistake(marks_used_up,
                "You take sentinels out of the list that you were given, as pop does. Number them instead: "
                "sentinels[i]."),
    ),
    hints=("Walk through the text once, and remember up to which token you have come. What goes to the source, and "
           "what to the target, before a gap, in it, and behind the last?",
           "For i, (start, end) in enumerate(sorted(spans)): the source gets ids[place:start] and sentinels[i], the "
           "target sentinels[i] and ids[start:end], and place becomes end. At the end the source gets ids[place:], the "
           "target one more sentinel."),
    properties=(Property("filling the gaps gives the text back", cannot_be_undone),),
)
