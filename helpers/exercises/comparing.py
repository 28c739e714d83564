"""Where an answer differs from what was expected, said in words, the coarsest difference first."""
import math
from collections.abc import Iterator, Mapping, Set
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from helpers.exercises.words import advice_on_type, brief, finite, of_type, two_numbers, two_texts

KINDS = ("type", "shape", "dtype", "finite", "values")       # the rungs of the ladder that look at what was returned


class Difference(NamedTuple):
    """One difference: its kind, the place inside the answer ("" is the answer itself), both sides in words."""
    kind: str
    place: str
    got: str
    expected: str
    advice: str = ""

    def __str__(self) -> str:
        what = f"result{self.place}" if self.place.startswith("[") else self.place or "the result"
        return f"{what} is {self.got}, expected {self.expected}"


def difference(got: Any, expected: Any, tolerance: float) -> Difference | None:
    """The first of the coarsest differences; None when both are equal.

    Tensors must agree in shape (nothing is broadcast), dtype and numbers. A whole number may stand for a float, a tuple
    for a list, and a tensor of no dimension or a NumPy number for a number.
    tolerance: between two floats, absolute and relative to the expected one.
    """
    return min(differences(got, expected, tolerance, ""), key=lambda found: KINDS.index(found.kind), default=None)


def differences(got: Any, expected: Any, tolerance: float, place: str) -> Iterator[Difference]:
    """All differences in order, as deep as both have the same form."""
    if not isinstance(expected, Tensor) and isinstance(got, Tensor) and got.dim() == 0 and not got.is_meta:
        got = got.item()                                     # a number is a number
    if not alike(got, expected):
        yield Difference("type", place, of_type(got), of_type(expected), advice_on_type(got, expected))
    elif isinstance(expected, Tensor):
        yield from between_tensors(got, expected, tolerance, place)
    elif isinstance(expected, Mapping):
        for key in [*expected, *(key for key in got if key not in expected)]:
            inner = f"{place}[{brief(key)}]"
            if key not in got or key not in expected:
                yield Difference("values", inner, *(brief(side[key]) if key in side else "missing"
                                                    for side in (got, expected)))
            else:
                yield from differences(got[key], expected[key], tolerance, inner)
    elif isinstance(expected, list | tuple):
        if len(got) != len(expected):
            yield Difference("values", f"the length{' of result' + place if place else ''}", str(len(got)),
                             str(len(expected)))
        for i, (one, other) in enumerate(zip(got, expected)):
            yield from differences(one, other, tolerance, f"{place}[{i}]")
    elif isinstance(expected, Real) and not isinstance(expected, Integral):
        if not finite(got) and math.isfinite(expected):
            yield Difference("finite", place, brief(got), brief(expected))
        elif not (got == expected or got != got and expected != expected              # nan is not equal to itself
                  or math.isfinite(expected) and abs(got - expected) <= tolerance * max(1, abs(expected))):
            yield Difference("values", place, *two_numbers(got, expected))
    elif isinstance(expected, str | bytes) and got != expected:
        where, one, other = two_texts(got, expected)
        yield Difference("values", place + where, one, other)
    elif not equal(got, expected):
        yield Difference("values", place, brief(got), brief(expected))


def equal(got: Any, expected: Any) -> bool:
    """Whether two values say that they are equal; those that cannot (as NumPy arrays) are not."""
    try:
        return bool(got == expected)
    except Exception:                                        # the learner's own class may do anything
        return False


def between_tensors(got: Tensor, expected: Tensor, tolerance: float, place: str) -> Iterator[Difference]:
    """Shape, then dtype, then what is not finite, then the first number that is wrong."""
    if got.layout is not expected.layout or got.is_meta:
        yield Difference("type", place, f"a tensor of layout {got.layout} on {got.device}", "a plain tensor")
    elif got.shape != expected.shape:
        yield Difference("shape", place, str(tuple(got.shape)), str(tuple(expected.shape)))
    elif got.dtype != expected.dtype:
        yield Difference("dtype", place, str(got.dtype), str(expected.dtype))
    elif expected.is_floating_point():
        one, other = got.detach().cpu().double(), expected.detach().cpu().double()
        strange = ~one.isfinite() & other.isfinite()
        equal = torch.isclose(one, other, rtol=0, atol=0, equal_nan=True)
        near = other.isfinite() & ((one - other).abs() <= tolerance * other.abs().clamp(min=1.0))
        for kind, wrong in (("finite", strange), ("values", ~(equal | near))):
            if wrong.any():
                at = tuple(wrong.nonzero()[0].tolist())
                yield Difference(kind, place + index(at), *two_numbers(one[at].item(), other[at].item()))
    elif (wrong := got.cpu() != expected.cpu()).any():
        at = tuple(wrong.nonzero()[0].tolist())
        yield Difference("values", place + index(at), str(got[at].item()), str(expected[at].item()))


def index(at: tuple[int, ...]) -> str:
    """A place in a tensor as it is written: "[0, 2]"; "" in a tensor of no dimension."""
    return f"[{', '.join(map(str, at))}]" if at else ""


def alike(got: Any, expected: Any) -> bool:
    """Whether an answer is of the expected type: the same, or one that serves as well."""
    if isinstance(expected, bool):
        return isinstance(got, bool) or type(got).__name__ in ("bool_", "bool")       # NumPy's
    if isinstance(expected, Integral):
        return isinstance(got, Integral) and not isinstance(got, bool)
    if isinstance(expected, Real):
        return isinstance(got, Real) and not isinstance(got, bool)
    for kind in (Tensor, str, bytes, Mapping, Set, list | tuple):
        if isinstance(expected, kind):
            return isinstance(got, kind)
    return type(got) is type(expected)


def copies(values: tuple) -> tuple:
    """Copies of some arguments that share nothing with them."""
    return tuple(copied(value) for value in values)


def copied(value: Any) -> Any:
    """One value, with copies of the tensors, lists, sets and dicts inside it; all else is shared."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):  # a named tuple
        return value._make(map(copied, value))
    for kind in (list, tuple, set):
        if isinstance(value, kind):
            return kind(map(copied, value))
    return value


def unchanged(before: tuple, after: tuple) -> bool:
    """Whether arguments still are what they were before a call."""
    return all(difference(one, other, 0.0) is None for one, other in zip(after, before, strict=True))
