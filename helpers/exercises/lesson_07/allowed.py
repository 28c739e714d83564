"""Exercise 7.6, one of these answers and no other: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property


def allowed(pieces: list[str], written: str, choices: list[str]) -> Tensor:
    if not any(begins(choice, written) for choice in choices):
        raise ValueError(f"written is {written!r}, with which none of {choices} begins.")
    mask = []
    for piece in pieces:
        longer = len(piece) > 0
        mask.append(longer and any(begins(choice, written + piece) for choice in choices))
    return torch.tensor(mask)                                                    # (V,)


def begins(text: str, beginning: str) -> bool:
    if len(beginning) > len(text):
        return False
    return all(one == other for one, other in zip(beginning, text))


def checked(written: str, choices: list[str]) -> None:
    if not any(choice.startswith(written) for choice in choices):
        raise ValueError("no choice begins with what was written")


def unchecked(written: str, choices: list[str]) -> None:
    pass


def asserted(written: str, choices: list[str]) -> None:
    assert any(choice.startswith(written) for choice in choices), "no choice begins with what was written"


def incomplete(written: str, choices: list[str]) -> None:
    """Refuses all that is no choice yet."""
    if written not in choices:
        raise ValueError("this is none of the choices")


def complete_too(written: str, choices: list[str]) -> None:
    """Refuses an answer that is complete as well."""
    if not any(choice.startswith(written) and choice != written for choice in choices):
        raise ValueError("nothing can follow")


def allows(fits: Callable = lambda piece, written, choice: choice.startswith(written + piece),
           empty: bool = False, check: Callable = checked, over: Callable = any,
           end: Callable = lambda mask, pieces: torch.tensor(mask)) -> Callable:
    """allowed with one thing other than it should be."""
    def answer(pieces, written, choices):
        check(written, choices)
        mask = [(empty or piece != "") and over(fits(piece, written, choice) for choice in choices)
                for piece in pieces]
        return end(mask, pieces)
    return answer


def the_first_choice(pieces, written, choices):
    checked(written, choices)
    fitting = [choice for choice in choices if choice.startswith(written)]
    return torch.tensor([piece != "" and fitting[0].startswith(written + piece) for piece in pieces])


def stops_when_complete(pieces, written, choices):
    mask = allows()(pieces, written, choices)
    return mask & (written not in choices)


def refuses_nothing(pieces, written, choices):
    mask = allows(check=unchecked)(pieces, written, choices)
    if not mask.any():
        raise ValueError("nothing can follow")
    return mask


def longest_alone(pieces, written, choices):
    mask = allows()(pieces, written, choices)
    longest = max((len(piece) for piece, fits in zip(pieces, mask.tolist()) if fits), default=0)
    return mask & torch.tensor([len(piece) == longest for piece in pieces])


def and_of_texts(pieces, written, choices):
    checked(written, choices)
    return torch.tensor([piece and any(choice.startswith(written + piece) for choice in choices) for piece in pieces])


def draw_choices(draw: random.Random) -> list[tuple]:
    letters = ["", "y", "n", "ye", "yes", "no", "o", "es", "s", "not", "yesterday", "Y", " yes"]
    cases = [(["no", "yes", ""], "", ["yes", "no"]), (["s", "es", "y", "yes", ""], "y", ["yes", "no"]),
             (["", "no", "s"], "maybe", ["yes", "no"]), (["s", "no", ""], "yes", ["yes", "no"]),
             (["t", "", "o"], "no", ["no", "not"]), (["", "x", "y"], "n", ["yes", "no"]),
             (letters, "", ["yes", "no"]), (letters, "y", ["yes", "no"]), (letters, "n", ["no", "not", "yes"]),
             (letters, "no", ["no", "not", "yes"]), (letters, "yes", ["yes", "no"]), (letters, "maybe", ["yes", "no"]),
             (letters, "yess", ["yes", "no"]), (letters, "es", ["yes", "no"])]
    colours = ["red", "green", "blue", "light blue", "light green", "reddish brown", "dark red"]
    for count, size in ((2, 9), (3, 12), (4, 17), (5, 21), (6, 26), (7, 33)):
        choices = draw.sample(colours, count)
        choice = draw.choice(choices)
        parts = [text[i:i + draw.randint(1, 4)] for text in choices for i in range(len(text))]
        pieces = ["", *draw.sample(sorted({*parts, "L", "light", " ", "r", "gold", "d red"}), size)]
        draw.shuffle(pieces)
        cases.append((pieces, choice[:draw.randrange(len(choice))], choices))
        if count % 2:
            cases.append((pieces, choice, choices))
    return cases


def leads_astray(answer) -> str | None:
    """Letter by letter, whoever follows the mask can end in each of the choices, and in nothing else."""
    choices = ["up", "down", "upside down", "dawn"]
    pieces = ["", *sorted(set("".join(choices) + "xyz"))]
    reached, open_ends = set(), [""]
    while open_ends:
        written = open_ends.pop()
        if written in choices:
            reached.add(written)
        mask = answer(list(pieces), written, list(choices)).tolist()
        following = [piece for piece, fits in zip(pieces, mask) if fits]
        if not following and written not in choices:
            return f"after {written!r} no token is allowed, and it is no choice yet."
        open_ends += [written + piece for piece in following]
    missing = [choice for choice in choices if choice not in reached]
    return f"of {choices} nobody can write {missing}." if missing else None


NO_ERROR = ("You refuse where nothing can follow. Once the text is one of the choices that is no error: all is False, "
            "and the answer ends. Refuse it if no choice begins with what was written.")

EXERCISE = Exercise(
    id="7.6", name="allowed", title="One of these answers and no other", minutes=15,
    oracle=allowed, cases=draw_choices, refuses=ValueError,
    mistakes=(
        Mistake(allows(lambda piece, written, choice: choice.startswith(piece)),
                "You look at the piece alone, as if nothing had been written. What must fit is what was written and "
                "the piece behind it: written + piece."),
        Mistake(allows(lambda piece, written, choice: choice[len(written):].startswith(piece)),
                "You cut len(written) letters off every choice, of those too that begin otherwise. Ask whether the "
                "choice begins with written + piece."),
        Mistake(allows(lambda piece, written, choice: choice.removeprefix(written).startswith(piece)),
                "Where a choice begins otherwise, removeprefix leaves it whole, and its beginning fits too. Ask "
                "whether the choice begins with written + piece."),
        Mistake(allows(lambda piece, written, choice: piece in choice),
                "You allow each piece that occurs in a choice somewhere. It must be what comes next: the choice begins "
                "with written + piece."),
        Mistake(allows(lambda piece, written, choice: written + piece in choice),
                "You look for written + piece anywhere in a choice. The choice must begin with it: startswith."),
        Mistake(allows(lambda piece, written, choice: choice.startswith(written) and piece in choice[len(written):]),
                "You allow each piece that is still to come at some time. It must be what comes next."),
        Mistake(allows(lambda piece, written, choice: choice.endswith(piece)),
                "You compare with the end of a choice. It must begin with what was written and the piece behind it."),
        Mistake(allows(lambda piece, written, choice: written + piece == choice),
                "You allow only pieces that complete a choice. A part of what is missing is allowed too: startswith, "
                "not ==."),
        Mistake(allows(lambda piece, written, choice: (written + piece).startswith(choice)),
                "You ask whether the text begins with a choice. It is the other way round: a choice must begin with "
                "the text, choice.startswith(written + piece)."),
        Mistake(allows(lambda piece, written, choice: choice.startswith(written + piece)
                       or (written + piece).startswith(choice)),
                "You allow pieces that go beyond the end of a choice. After them the answer is none of the choices any "
                "more."),
        Mistake(allows(lambda piece, written, choice: choice.startswith(written)
                       and choice[len(written):][:1] == piece[:1]),
                "You compare the first letter of a piece. All of its letters must fit."),
        Mistake(allows(lambda piece, written, choice: choice.lower().startswith((written + piece).lower())),
                "You take capital and small letters for the same. The answer must be one of the choices as it is "
                "written."),
        Mistake(allows(lambda piece, written, choice: piece.strip() != "" and choice.startswith(
                    written + piece.strip())),
                "You strip the pieces. A space is a letter like any other: the text gets it too."),
        Mistake(allows(empty=True),
                "You allow empty pieces. Every choice begins with written + \"\", and a model could write them for "
                "ever: a piece must add something."),
        Mistake(allows(over=all),
                "You ask that all choices go on so. One is enough: any."),
        Mistake(the_first_choice,
                "You take the first choice that fits so far and leave out the others. The model decides among them: "
                "any choice may go on."),
        Mistake(stops_when_complete,
                "Once the text is a choice you allow nothing more. A longer choice may begin with it, as \"not\" does "
                "with \"no\": it can still be reached."),
        Mistake(longest_alone,
                "You allow the longest pieces alone. A shorter one leads to a choice too."),
        Mistake(allows(end=lambda mask, pieces: torch.tensor([i for i, fits in enumerate(mask) if fits],
                                                             dtype=torch.long)),
                "You give the numbers of the allowed tokens. A mask has one entry for each token: bool (V,)."),
        Mistake(allows(end=lambda mask, pieces: ~torch.tensor(mask)),
                "It is the wrong way round: True is for what is allowed."),
        Mistake(allows(end=lambda mask, pieces: torch.tensor(mask).float()),
                "You give 1.0 and 0.0. A mask is made of True and False: torch.tensor of a list of bool is one."),
        Mistake(allows(end=lambda mask, pieces: torch.tensor(mask).long()),
                "You give 1 and 0. A mask is made of True and False: torch.tensor of a list of bool is one. Does "
                "len(piece) and ... leave a 0 in your list? Write piece != \"\" and ..."),
        Mistake(and_of_texts,
                "If a tensor does not take a str: piece and ... is the piece itself where it is empty. Write piece != "
                "\"\" and ..., which is False."),
        Mistake(allows(end=lambda mask, pieces: mask),
                "You give a list. torch.tensor(...) makes the mask of it, (V,), that masked_fill can use."),
        Mistake(allows(check=unchecked),
                "Where no choice begins with what was written, you forbid all tokens, and softmax makes nan of that. "
                "Refuse it: raise ValueError with a sentence that says what was written."),
        Mistake(allows(check=complete_too), NO_ERROR),
        Mistake(refuses_nothing, NO_ERROR),
        Mistake(allows(check=incomplete),
                "You refuse a text that is none of the choices yet. It may still become one: refuse it if none of them "
                "begins with it."),
        Mistake(allows(check=asserted),
                "An assert raises AssertionError, and Python leaves it out when it is run with -O. For a wrong "
                "argument raise ValueError."),
    ),
    hints=("For one token and one choice: what would the text be with this piece behind it, and how does the choice "
           "begin? Then for one token and all choices, then for all tokens.",
           "A token is allowed if piece != \"\" and any(choice.startswith(written + piece) for choice in choices). "
           "Before that: if no choice begins with written, raise ValueError(...)."),
    properties=(Property("it leads to every choice, and nowhere else", leads_astray),),
)
