"""Values, types and errors as the learner reads them: short, in plain words, each on one line."""
import itertools
import math
import re
import reprlib
import types
from typing import Any

import torch
from torch import Tensor

WIDTH = 110                                                   # characters of one line of evidence
NUMBERS = 12                                                  # a tensor of so many is shown whole
NAMES = {"NoneType": "None", "ndarray": "a NumPy array", "Tensor": "a tensor", "dict_keys": "dict keys",
         "dict_values": "dict values", "dict_items": "dict items", "builtin_function_or_method": "a function"}
LAZY = (map, filter, zip, range, reversed, enumerate, type({}.keys()), type({}.values()), type({}.items()))

ON_ERRORS = (                                                 # the finer class before the coarser
    (RecursionError, "It calls itself without an end. Which call must give its result without calling again?"),
    (UnboundLocalError, "A name that is given a value anywhere in a function is the function's own: here it is read "
                        "before it has one."),
    (NameError, "Is it spelt as where it was defined? And has that cell been run since the kernel started? Run the "
                "cells above, then this one."),
    (SystemExit, "exit() and quit() end Python itself. A function ends with return."),
    (MemoryError, "It asks for more memory than there is. How large does your largest list or tensor grow?"),
)


class _Brief(reprlib.Repr):
    """repr, cut where it is long; a dict keeps its order, which may matter to an answer."""

    def __init__(self):
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 12
        self.maxstring = self.maxother = 60

    def repr1(self, value: Any, level: int) -> str:
        number = type(value).__module__ == "numpy" and not getattr(value, "shape", True)     # () is a number's
        return super().repr1(value.item() if number else value, level)

    def repr_dict(self, value: dict, level: int) -> str:
        items = [f"{self.repr1(key, level - 1)}: {self.repr1(value[key], level - 1)}"
                 for key in itertools.islice(value, self.maxdict)]
        return f"{{{', '.join(items + ['...'] * (len(value) > self.maxdict))}}}"

    def repr_int(self, value: int, level: int) -> str:
        return repr(value) if value.bit_length() <= 200 else f"a whole number of {value.bit_length()} bits"

    def repr_float(self, value: float, level: int) -> str:
        return repr(value) if len(repr(value)) <= 8 else f"{value:.6g}"

    def repr_Tensor(self, value: Tensor, level: int) -> str:
        if value.layout is not torch.strided or value.is_meta or value.numel() > NUMBERS or not value.numel():
            return f"a tensor of shape {tuple(value.shape)}"
        return self.rounded(value.tolist())

    def repr_ndarray(self, value: Any, level: int) -> str:
        return f"array({self.rounded(value.tolist())})" if value.size <= NUMBERS else f"an array of shape {value.shape}"

    def rounded(self, value: Any) -> str:
        """Nested lists, with 4 digits of each float."""
        if isinstance(value, list):
            return f"[{', '.join(map(self.rounded, value))}]"
        return f"{value:.4g}" if isinstance(value, float) else self.repr1(value, 0)


def brief(value: Any) -> str:
    """A value as short text on one line: a float with 6 digits, a long list cut, a large tensor as its shape."""
    return on_one_line(_Brief().repr(value))


def two_numbers(got: float, expected: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ."""
    if not (finite(got) and finite(expected)):
        return brief(got), brief(expected)
    for digits in (4, 6, 9, 17):
        both = f"{got:.{digits}g}", f"{expected:.{digits}g}"
        if both[0] != both[1]:
            break
    return both


def two_texts(got: str | bytes, expected: str | bytes) -> tuple[str, str, str]:
    """Where two texts begin to differ, as a slice such as "[40:60]", and both there; all of them if they are short."""
    if max(len(got), len(expected)) <= 50:
        return "", brief(got), brief(expected)
    same = next((i for i, (one, two) in enumerate(zip(got, expected)) if one != two), min(len(got), len(expected)))
    start = max(0, same - 10)
    return f"[{start}:{start + 30}]", brief(got[start:start + 30]), brief(expected[start:start + 30])


def of_type(value: Any) -> str:
    """A value's type in words: "a list", "an int", "None"."""
    name = type(value).__name__
    return NAMES.get(name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")


def advice_on_type(got: Any, expected: Any) -> str:
    """How to make one type of the other, in a sentence; "" where nothing is known."""
    name = type(got).__name__
    if isinstance(got, types.GeneratorType):
        return "yield (or a comprehension in round brackets) hands out values one by one: collect them in a list."
    if isinstance(got, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return "You return a function: are the brackets missing that call it?"
    if isinstance(expected, list | tuple):
        if isinstance(got, LAZY):
            return f"Wrap the {name.replace('_', ' ')} in list(...)."
        if isinstance(got, Tensor) or name == "ndarray":
            return "Its method .tolist() makes lists of it."
    if isinstance(expected, Tensor):
        if name == "ndarray":
            return "torch.from_numpy(...) makes a tensor of a NumPy array."
        if isinstance(got, list | tuple):
            return ("torch.stack(...) makes one tensor of a list of tensors." if got and isinstance(got[0], Tensor) else
                    "torch.tensor(...) makes a tensor of a list of numbers.")
    if isinstance(expected, bool):
        return "Return True or False: a comparison such as n > 0 is one, and bool(...) makes one."
    if isinstance(expected, int) and isinstance(got, float):
        return "/ gives a float even for whole numbers; // gives an int."
    if isinstance(expected, int | float) and (isinstance(got, Tensor) or name == "ndarray"):
        return "Its method .item() takes the number out, if it holds one alone."
    if isinstance(expected, str) and isinstance(got, bytes):
        return "Its method .decode(\"utf-8\") makes text of bytes."
    if isinstance(expected, bytes) and isinstance(got, str):
        return "Its method .encode(\"utf-8\") makes bytes of text."
    return ""


def advice_on_error(error: BaseException) -> str:
    """What to look for after an error of this kind, in a sentence; "" where the error says it."""
    return next((advice for kind, advice in ON_ERRORS if isinstance(error, kind)), "")


def said(error: BaseException) -> str:
    """An error as Python prints it, on one line."""
    try:
        words = str(error)
    except Exception:                                         # the learner's own class of errors may be broken
        words = ""
    name = type(error).__name__
    return cut(f"{name}: {words}" if words else name)


def call(name: str, case: tuple, width: int = WIDTH * 2 // 3) -> str:
    """A call as the learner would write it, cut where it is long."""
    return cut(f"{name}({', '.join(map(brief, case))})", width)


def on_one_line(text: str) -> str:
    """Line breaks become spaces; other white space stays, as it may be what matters."""
    return re.sub(r"\s*[\r\n]\s*", " ", text.strip("\r\n"))


def cut(text: str, width: int = WIDTH) -> str:
    """One line, at most so long."""
    text = on_one_line(text)
    return text if len(text) <= width else text[:width - 1] + "…"


def finite(number: Any) -> bool:
    """Whether a number is; a whole number too large for a float is not."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
