"""Exercise 5.5, several turns: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

from helpers.exercises.exercise import Exercise, Mistake, Property

IGNORE = -100


def chat_targets(ids: list[int], assistant: int, end: int) -> list[int]:
    targets = []
    for place in range(len(ids) - 1):
        speaker = None                                                           # who writes the token at place + 1
        for token in ids[:place + 1]:
            if token == assistant:
                speaker = "assistant"
            if token == end:
                speaker = None
        targets.append(ids[place + 1] if speaker else IGNORE)
    return targets


def written(ids: list[int], assistant: int, end: int) -> list[bool]:
    """Which tokens are part of an answer, its end among them."""
    marks, inside = [], False
    for token in ids:
        marks.append(inside)
        inside = (inside or token == assistant) and token != end
    return marks


def targets_of(keep: Callable) -> Callable:
    """chat_targets, with the targets where keep(marks, ids, assistant, end), of each token, is true."""
    def answer(ids, assistant, end):
        kept = keep(written(ids, assistant, end), ids, assistant, end)
        return [token if one else IGNORE for token, one in zip(ids[1:], kept[1:])]
    return answer


def without_ends(marks, ids, assistant, end):
    return [mark and token != end for mark, token in zip(marks, ids)]


def with_openings(marks, ids, assistant, end):
    return [mark or token == assistant for mark, token in zip(marks, ids)]


def with_what_follows(marks, ids, assistant, end):
    return [mark or (place > 0 and ids[place - 1] == end) for place, mark in enumerate(marks)]


def from_the_first(marks, ids, assistant, end):
    first = ids.index(assistant) if assistant in ids else len(ids)
    return [place > first for place in range(len(ids))]


def last_alone(marks, ids, assistant, end):
    last = len(ids) - 1 - ids[::-1].index(assistant) if assistant in ids else len(ids)
    return [mark and place > last for place, mark in enumerate(marks)]


def first_alone(marks, ids, assistant, end):
    stop = ids.index(end, ids.index(assistant)) if assistant in ids and end in ids[ids.index(assistant):] else len(ids)
    return [mark and place <= stop for place, mark in enumerate(marks)]


def finished_alone(marks, ids, assistant, end):
    """Answers that have an end; one that is cut off is left out."""
    return [mark and end in ids[place:] for place, mark in enumerate(marks)]


def first_tokens_lost(marks, ids, assistant, end):
    return [mark and ids[place - 1] != assistant for place, mark in enumerate(marks)]


def not_moved(ids, assistant, end):
    return [token if mark else IGNORE for token, mark in zip(ids, written(ids, assistant, end))][:-1]


def as_long_as_read(ids, assistant, end):
    return [*chat_targets(ids, assistant, end), IGNORE]


def draw_chats(draw: random.Random) -> list[tuple]:
    cases = [([1, 7, 2, 8, 3], 2, 3), ([1, 7, 2, 8, 9, 3, 1, 6, 2, 5, 3], 2, 3), ([1, 7, 7], 2, 3), ([2, 3], 2, 3),
             ([1, 4, 2, 5, 6], 2, 3), ([0, 9, 1, 7, 2, 8, 3, 1, 7], 2, 3)]
    for turns in (1, 2, 3, 4, 3, 5, 6, 8):
        user, assistant, end = draw.sample(range(900, 1000), 3)
        ids = [draw.randrange(900) for _ in range(draw.randint(0, 3))]           # a text before the first turn
        for _ in range(turns):
            ids += [user, *(draw.randrange(900) for _ in range(draw.randint(1, 5))), assistant,
                    *(draw.randrange(900) for _ in range(draw.randint(0, 6))), end]
        cases.append((ids[:len(ids) - draw.choice((0, 0, 2, 4))], assistant, end))
    return cases


def depends_on_later(answer) -> str | None:
    ids = [1, 7, 7, 2, 8, 9, 3, 1, 6, 2, 5, 4, 3, 1, 8, 2, 9, 3]
    whole = answer(list(ids), 2, 3)
    for length in range(2, len(ids)):
        if list(answer(ids[:length], 2, 3)) != list(whole[:length - 1]):
            return f"cut off after {length} tokens, the conversation has other targets before the cut."
    return None


EXERCISE = Exercise(
    id="5.5", name="chat_targets", title="Several turns", minutes=15,
    oracle=chat_targets, cases=draw_chats,
    mistakes=(
        Mistake(targets_of(lambda marks, *_: [True] * len(marks)),
                "Everything is predicted, the questions too. Keep the tokens of answers; elsewhere the target is "
                "-100."),
        Mistake(targets_of(without_ends),
                "The end of an answer is not predicted, so the model never learns to stop. The end token belongs to "
                "the answer."),
        Mistake(targets_of(with_openings),
                "The model learns to write the token that gives it the word. The program puts it there: the answer "
                "begins behind it."),
        Mistake(targets_of(with_what_follows),
                "What comes after an answer's end is predicted, and that is the user's turn. The answer ends with its "
                "end token."),
        Mistake(targets_of(from_the_first),
                "From the first answer on, everything is predicted, later questions too. An answer ends at its end "
                "token."),
        Mistake(targets_of(last_alone),
                "Only the last answer is predicted. All of them are the assistant's, and each can be learned from."),
        Mistake(targets_of(first_alone), "Only the first answer is predicted. Go on after its end."),
        Mistake(targets_of(finished_alone),
                "An answer that is cut off before its end is left out. What there is of it counts."),
        Mistake(targets_of(first_tokens_lost),
                "The first token of each answer is not predicted. It comes just after the assistant's token, and that "
                "one is read."),
        Mistake(targets_of(lambda marks, *_: [not mark for mark in marks]),
                "It is the wrong way round: questions are predicted and answers are not."),
        Mistake(not_moved,
                "Your targets are the tokens that are read. They are those that come next: the target at place i is "
                "ids[i + 1], if that one belongs to an answer."),
        Mistake(as_long_as_read,
                "Your list is as long as ids. All but the last token are read, so there is one target fewer."),
        Mistake(lambda *given: [max(0, target) for target in chat_targets(*given)],
                "You give 0 where nothing is predicted, and token 0 would be learned. It is -100."),
        Mistake(lambda *given: [target for target in chat_targets(*given) if target != IGNORE],
                "You leave out the places where nothing is predicted. There is a target for each place: -100 there."),
        Mistake(lambda *given: [target != IGNORE for target in chat_targets(*given)],
                "You say where something is predicted. Give what: the token there, and -100 elsewhere."),
    ),
    hints=("Go through ids once, and remember whether the assistant has the word. At which token does it get it, and "
           "at which does it lose it? And does the target at place i depend on token i, or on i + 1?",
           "For read, following in zip(ids, ids[1:]): if read is the assistant's token, speaking becomes True; if it "
           "is the end, False. Then append following if speaking, else -100."),
    properties=(Property("what comes later changes no target", depends_on_later),),
)
