"""Exercise 5e.1, a conversation as targets: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

from helpers.exercises.exercise import Exercise, Mistake, Property

IGNORE = -100


def chat_targets(ids: list[int], assistant: int, end: int) -> list[int]:
    targets, answering = [], False
    for token, following in zip(ids, ids[1:]):
        if token == assistant:
            answering = True
        if token == end:
            answering = False
        targets.append(following if answering else IGNORE)
    return targets


def counting(counts: Callable[[list[int], int, int, int], bool], at: int = 1, ignored: int = IGNORE) -> Callable:
    """Targets that count where counts(ids, place, assistant, end) is true of the place whose token is predicted."""
    def answer(ids, assistant, end):
        return [ids[t + at] if counts(ids, t + at, assistant, end) else ignored for t in range(len(ids) - 1)]
    return answer


def of_answer(ids: list[int], place: int, assistant: int, end: int) -> bool:
    """Whether the token at a place belongs to an answer, its end token included."""
    if place == 0:
        return False
    return chat_targets(ids[:place + 1], assistant, end)[-1] != IGNORE


def after_first(ids, place, assistant, end):
    return assistant in ids[:place]


def after_last(ids, place, assistant, end):
    return place > len(ids) - 1 - ids[::-1].index(assistant) if assistant in ids else False


def to_first_end(ids, place, assistant, end):
    """The first answer alone."""
    return of_answer(ids, place, assistant, end) and ids[:place].count(assistant) == 1


def without_end(ids, place, assistant, end):
    return of_answer(ids, place, assistant, end) and ids[place] != end


def with_assistant(ids, place, assistant, end):
    return of_answer(ids, place, assistant, end) or ids[place] == assistant


def without_first(ids, place, assistant, end):
    return of_answer(ids, place, assistant, end) and ids[place - 1] != assistant


def one_too_far(ids, place, assistant, end):
    """Counts what follows an answer's end token as well."""
    return of_answer(ids, place, assistant, end) or of_answer(ids, place - 1, assistant, end)


def draw_chats(draw: random.Random) -> list[tuple]:
    cases = [([1, 5, 2, 6, 3], 2, 3), ([1, 5, 2, 6, 7, 3, 1, 8, 2, 9, 3], 2, 3), ([1, 5, 6], 2, 3), ([2, 3], 2, 3)]
    for turns in (1, 2, 2, 3, 3, 4, 5, 6):
        user, assistant, end = draw.sample(range(10), 3)
        words = [word for word in range(20) if word not in (user, assistant, end)]
        ids: list[int] = []
        for turn in range(turns):
            ids += [user, *draw.choices(words, k=draw.randint(1, 4))] + [end] * (turns % 2)
            ids += [assistant, *draw.choices(words, k=draw.randint(0 if turn else 1, 5)), end]
        cases.append((ids, assistant, end))
    return cases


def counts_wrong(answer) -> str | None:
    """The text of the answers, and nothing else, is what counts."""
    ids = [1, 10, 11, 2, 20, 21, 3, 1, 12, 2, 22, 3]
    counted = [target for target in answer(list(ids), 2, 3) if target != IGNORE]
    return None if counted == [20, 21, 3, 22, 3] else f"of {ids} it counts {counted}, expected [20, 21, 3, 22, 3]."


EXERCISE = Exercise(
    id="5e.1", name="chat_targets", title="A conversation as targets", minutes=20,
    oracle=chat_targets, cases=draw_chats,
    mistakes=(
        Mistake(counting(of_answer, at=0),
                "Your targets stand under their own tokens. The target at place t is the token after it, ids[t + 1]; "
                "otherwise the model would learn to repeat what it has just read."),
        Mistake(counting(after_first),
                "After the first answer you count everything, the user's later messages too. An end token closes the "
                "answer; the next assistant token opens another."),
        Mistake(counting(after_last),
                "You count the last answer alone. In training every answer of the conversation is an example."),
        Mistake(counting(to_first_end),
                "You count the first answer alone. After its end token another assistant token may open the next."),
        Mistake(counting(without_end),
                "The end token of an answer must count: the model has to write it, or it would never stop."),
        Mistake(counting(with_assistant),
                "You count the assistant token itself. The program writes it, to say whose turn it is; the model only "
                "reads it. Counted is what comes after it."),
        Mistake(counting(without_first),
                "The first token of each answer is missing. It is predicted at the place of the assistant token: look "
                "at that token before you write the target, not after."),
        Mistake(counting(one_too_far),
                "You count one token too many: what follows an end token. At the place of the end token the answer is "
                "over already."),
        Mistake(counting(of_answer, ignored=0),
                "You write 0 where nothing counts. 0 is a token like any other; the number that cross_entropy leaves "
                "out is -100."),
        Mistake(counting(lambda *given: True),
                "You count every token. The user's messages, and the tokens that say whose turn it is, get -100."),
        Mistake(counting(lambda *given: not of_answer(*given)),
                "It is the wrong way round: -100 belongs to what is not the assistant's."),
        Mistake(lambda ids, assistant, end: chat_targets(ids, assistant, end) + [IGNORE],
                "There is one target too many. After the last token nothing follows: T tokens have T - 1 targets."),
        Mistake(lambda ids, assistant, end: [t for t in chat_targets(ids, assistant, end) if t != IGNORE],
                "You leave out what does not count. Each place keeps a target, -100 where there is none, so that "
                "inputs and targets stay side by side."),
        Mistake(lambda ids, assistant, end: [token if t != IGNORE else IGNORE for token, t in
                                             zip(ids, [IGNORE, *chat_targets(ids, assistant, end)])],
                "You give one target for each token, the token itself. Leave out the first: the target at place t is "
                "ids[t + 1]."),
    ),
    hints=("Go through the conversation token by token and remember one thing: is the assistant speaking? Which token "
           "switches that on, which off, and is the target written before or after the switch?",
           "For token, following in zip(ids, ids[1:]): switch on at the assistant token, off at an end token, and then "
           "append following, or -100 if the assistant is not speaking."),
    properties=(Property("exactly the answers and their end tokens count", counts_wrong),),
)
