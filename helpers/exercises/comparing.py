"""Where an answer differs from what was expected, said in words, the coarsest difference first."""
import itertools
import math
import reprlib
from collections.abc import Iterator, Mapping, Set
from numbers import Integral, Real
from typing import Any, NamedTuple

from torch import Tensor

KINDS = ("type", "shape", "dtype", "finite", "values")       # the rungs of the ladder that look at what was returned


class _Brief(reprlib.Repr):
    """repr, cut where it is long; a dict keeps its order, which may matter to an answer."""

    def __init__(self):
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 12
        self.maxstring = self.maxother = self.maxlong = 60

    def repr_dict(self, value: dict, level: int) -> str:
        items = [f"{self.repr1(key, level - 1)}: {self.repr1(value[key], level - 1)}"
                 for key in itertools.islice(value, self.maxdict)]
        return f"{{{', '.join(items + ['...'] * (len(value) > self.maxdict))}}}"


class Difference(NamedTuple):
    """One difference: its kind, the place inside the answer ("" is the answer itself), both sides in words."""
    kind: str
    place: str
    got: str
    expected: str

    def __str__(self) -> str:
        return f"{self.place or 'the result'} is {self.got}, expected {self.expected}"


def difference(got: Any, expected: Any, tolerance: float) -> Difference | None:
    """The first of the coarsest differences; None when both are equal.

    Tensors must agree in shape (nothing is broadcast), dtype and numbers. A whole number may stand for a float, a tuple
    for a list, and a tensor of no dimension or a NumPy number for a number.
    tolerance: between two floats, absolute and relative to the expected one.
    """
    return min(differences(got, expected, tolerance, ""), key=lambda found: KINDS.index(found.kind), default=None)


def differences(got: Any, expected: Any, tolerance: float, place: str) -> Iterator[Difference]:
    """All differences in order, as deep as both have the same form."""
    if not isinstance(expected, Tensor) and isinstance(got, Tensor) and got.dim() == 0:
        got = got.item()                                     # a number is a number
    if not alike(got, expected):
        yield Difference("type", place, of_type(got), of_type(expected))
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
            yield Difference("values", f"the length{' of ' + place if place else ''}", str(len(got)),
                             str(len(expected)))
        for i, (one, other) in enumerate(zip(got, expected)):
            yield from differences(one, other, tolerance, f"{place}[{i}]")
    elif isinstance(expected, float):
        if not math.isfinite(got) and math.isfinite(expected):
            yield Difference("finite", place, brief(got), brief(expected))
        elif not (got == expected or abs(got - expected) <= tolerance * max(1.0, abs(expected))
                  or math.isnan(got) and math.isnan(expected)):
            yield Difference("values", place, brief(got), brief(expected))
    elif got != expected:
        yield Difference("values", place, brief(got), brief(expected))


def between_tensors(got: Tensor, expected: Tensor, tolerance: float, place: str) -> Iterator[Difference]:
    """Shape, then dtype, then what is not finite, then the worst number."""
    if got.shape != expected.shape:
        yield Difference("shape", place, str(tuple(got.shape)), str(tuple(expected.shape)))
        return
    if got.dtype != expected.dtype:
        yield Difference("dtype", place, str(got.dtype), str(expected.dtype))
    one, other = got.detach().cpu().double(), expected.detach().cpu().double()
    strange = ~one.isfinite() & other.isfinite()
    apart = (one - other).abs() - tolerance * (other.abs().clamp(min=1.0) if expected.is_floating_point() else 0.0)
    apart[(one == other) | (one.isnan() & other.isnan())] = -1.0          # inf - inf is nan
    apart[apart.isnan()] = math.inf
    for kind, wrong in (("finite", strange), ("values", apart > 0)):
        if wrong.any():
            at = tuple(wrong.nonzero()[0].tolist())
            number = expected.is_floating_point()
            yield Difference(kind, f"{place}[{', '.join(map(str, at))}]" if at else place,
                             *(f"{float(x[at]):.4g}" if number else str(x[at].item()) for x in (got, expected)))


def alike(got: Any, expected: Any) -> bool:
    """Whether an answer is of the expected type: the same, or one that serves as well."""
    if isinstance(expected, bool):
        return isinstance(got, bool) or type(got).__name__ == "bool_"       # NumPy's
    if isinstance(expected, Integral):
        return isinstance(got, Integral) and not isinstance(got, bool)
    if isinstance(expected, Real):
        return isinstance(got, Real) and not isinstance(got, bool)
    for kind in (Tensor, str, bytes, Mapping, Set, list | tuple):
        if isinstance(expected, kind):
            return isinstance(got, kind)
    return type(got) is type(expected)


def of_type(value: Any) -> str:
    """A value's type in words: "a list", "an int", "None"."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def brief(value: Any) -> str:
    """A value as short text: a number with 6 digits, a long list cut, a tensor as its shape."""
    if isinstance(value, Tensor):
        return str(value.tolist()) if value.numel() <= 6 and value.dim() <= 1 else f"a tensor of {tuple(value.shape)}"
    return f"{value:.6g}" if isinstance(value, float) else _Brief().repr(value)


def copies(values: tuple) -> tuple:
    """Copies of some arguments that share nothing with them."""
    return tuple(copied(value) for value in values)


def copied(value: Any) -> Any:
    """One value, with copies of the tensors, lists, sets and dicts inside it; all else is shared."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(map(copied, value))
    return value


def unchanged(before: tuple, after: tuple) -> bool:
    """Whether arguments still are what they were before a call."""
    return all(difference(one, other, 0.0) is None for one, other in zip(after, before, strict=True))
