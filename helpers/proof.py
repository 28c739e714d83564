"""How a lesson proves what it says: two ways agree, a number is measured, a claim gets a verdict, a guess is tested.

Outputs are made to be compared by nbval on any machine: `agree` prints the tolerance it met and never the difference,
and a number that may vary a little is printed after the sign ≈, the only sign behind which nbval looks away. The number
itself was checked before it was printed.
"""
import html
import math
import operator
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from helpers import progress
from helpers.tables import table

TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "bfloat16": 1e-2, "float16": 1e-3}
RULES = {">=": operator.ge, "<=": operator.le, "==": operator.eq, ">": operator.gt, "<": operator.lt}


def agree(one: Any, other: Any, one_name: str, other_name: str, tol: float | None = None) -> None:
    """Assert that two results are equal, and print what was compared.

    one, other: tensors, arrays, numbers, or lists of numbers, of the same shape; whole numbers must be equal exactly.
    tol: largest difference allowed between two numbers; None takes one that suits the dtype (1e-5 for float32).
    Raises AssertionError saying where they differ most, and ValueError when there is nothing to compare.
    """
    import torch

    a, b = (x.detach().cpu() if isinstance(x, torch.Tensor) else torch.as_tensor(x) for x in (one, other))
    if a.is_complex() or b.is_complex():
        raise ValueError(f"{one_name} or {other_name} is complex; compare their .real and .imag.")
    if a.numel() == 0:
        raise ValueError(f"{one_name} is empty: there is nothing to compare.")
    if a.shape != b.shape:
        raise AssertionError(f"{one_name} has shape {tuple(a.shape)}, {other_name} {tuple(b.shape)}.")
    whole = not (a.is_floating_point() or b.is_floating_point())
    if tol is None:
        floats = [str(x.dtype).removeprefix("torch.") for x in (a, b) if x.is_floating_point()]
        tol = max((TOLERANCE[name] for name in floats), default=0.0)
    difference = (a.double() - b.double()).abs()
    difference[(a == b)] = 0.0                              # inf - inf is nan, yet equal
    if whole:
        difference[(a != b)] = difference[(a != b)].clamp(min=1.0)      # float64 cannot tell 2^53 from 2^53 + 1
    difference[difference.isnan()] = math.inf               # nan equals nothing
    worst = difference.max()
    if worst > tol:
        place = tuple(int(i) for i in (difference == worst).nonzero()[0])
        raise AssertionError(f"{one_name} and {other_name} differ by {float(worst):.3g}, more than {tol:g}, "
                             f"at {place}: {float(a[place]):.6g} against {float(b[place]):.6g}.")
    print(f"{one_name} == {other_name}   {tuple(a.shape)}, {'exactly' if whole or tol == 0 else f'within {tol:g}'}")


def measured(value: float, expect: float, tol: float, label: str = "", unit: str = "", digits: int = 3) -> None:
    """Assert that a measured number is what the lesson says it is, and print it after ≈.

    expect, tol: the number must lie within expect ± tol on every machine.
    Raises AssertionError when it does not.
    """
    value = float(value)
    if not abs(value - expect) <= tol:
        raise AssertionError(f"{label or 'the number'} was measured as {value:.{digits}g}{unit}; "
                             f"expected {expect:g} ± {tol:g}{unit}.")
    print(f"{label} {approximately(value, digits)}{unit}".strip())


def approximately(value: float, digits: int = 3) -> str:
    """A number that may vary a little between machines, marked with ≈."""
    return f"≈{value:.{digits}g}"


def proportion(successes: int, n: int) -> tuple[float, tuple[float, float]]:
    """A share and its 95 % interval (Wilson, 1927), such as (0.8, (0.58, 0.92)) for 16 of 20."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"successes is {successes} and n is {n}; give 0 <= successes <= n with n at least 1.")
    z, share = 1.96, successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return share, (max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))    # rounding aside


def bootstrap(cases: Sequence[Any], statistic: Callable[[Sequence[Any]], float], times: int = 1000, seed: int = 0
              ) -> tuple[float, tuple[float, float]]:
    """A number worked out from cases, and its 95 % interval (Efron, 1979).

    The cases are drawn again and again, as many as there are, some of them twice and some not at all; between the 2.5th
    and the 97.5th hundredth of what the statistic then gives lies the interval.
    Raises ValueError for fewer than five cases, from which nothing can be said, and for fewer than 40 times.
    """
    if times < 40:
        raise ValueError(f"times is {times}; give at least 40, so that 2.5 % of them is one.")
    if len(cases) < 5:
        raise ValueError(f"cases holds {len(cases)}; give at least 5, or there is nothing to draw from.")
    draw, value = random.Random(seed), float(statistic(cases))
    drawn = sorted(float(statistic(draw.choices(cases, k=len(cases)))) for _ in range(times))
    low, high = drawn[round(0.025 * (times - 1))], drawn[round(0.975 * (times - 1))]
    return value, (min(low, value), max(high, value))


def claims() -> dict[str, dict[str, str]]:
    """Every claim the course measures: its words and its lesson."""
    return table("claims")


def judge(value: float, interval: tuple[float, float] | None, rule: str, caveat: str = "") -> str:
    """The verdict that follows from the numbers.

    rule: what the value must satisfy for the claim to hold, such as "> 0.5".
    interval: with it, the whole interval must lie on one side, or the verdict is "not shown"; None for an exact count.
    Raises ValueError for a rule that cannot be read or an interval that does not hold the value.
    """
    match = re.fullmatch(r"(>=|<=|==|>|<)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)", rule)
    if math.isnan(value):
        raise ValueError("value is nan; a verdict needs a number. Was something divided by zero?")
    if not match:
        raise ValueError(f"rule is {rule!r}; write a comparison and a number, such as '> 0.5'.")
    if interval is not None and not interval[0] <= value <= interval[1]:
        raise ValueError(f"interval is {interval}; it must hold the value, {value}.")
    compare, limit = RULES[match[1]], float(match[2])
    answers = {compare(number, limit) for number in (interval or (value,))}
    if len(answers) == 2:
        return "not shown"
    if not answers.pop():
        return "does not hold"
    return "holds with a caveat" if caveat else "holds"


def verdict(id: str, value: float, interval: tuple[float, float] | None, n: int, rule: str, what: str,
            caveat: str = "") -> None:
    """Judge a claim by its numbers and show the verdict; the numbers stay in the output as data for the ledger.

    id: the claim, as in claims.toml. what: what was measured, in words. n: on how many cases.
    interval, rule, caveat: as in `judge`.
    """
    from IPython.display import display

    if id not in claims():
        raise ValueError(f"id is {id!r}; claims.toml holds {', '.join(claims())}.")
    result = judge(value, interval, rule, caveat)
    claim = claims()[id]["claim"]
    number = f"{value:g}"                                   # an exact count, the same on every machine
    if interval:
        number = f"{approximately(value)} (95 % interval {approximately(interval[0])} to {approximately(interval[1])})"
    evidence = f"{what}: {number}, from {n} cases; it holds where the number is {rule}."
    text = f"Claim {id}: {claim}\nVerdict: {result.upper()}\n{evidence}" + (f"\n{caveat}" if caveat else "")
    page = (f'<div><p><b>Claim {id}.</b> {html.escape(claim, quote=False)}</p><p><b>Verdict: {result}.</b> '
            f'{html.escape(evidence, quote=False)} {html.escape(caveat, quote=False)}</p></div>')
    data = {"id": id, "claim": claim, "verdict": result, "what": what, "value": float(value),
            "interval": list(map(float, interval)) if interval else None, "n": n, "rule": rule, "caveat": caveat}
    display({"text/plain": text, "text/html": page}, raw=True, metadata={"press_enter": {"verdict": data}})


def predict(id: str, question: str, choices: Sequence[str]) -> None:
    """Ask for a guess before an experiment. It is kept, and `outcome` tells after the experiment whether it held.

    id: lesson and letter, such as "3.a". Run again, it shows the guess made before, unless the choices have changed.
    Without a kernel the question stands as text, with its choices folded below.
    """
    from helpers import widgets

    if len(choices) < 2:
        raise ValueError(f"choices holds {len(choices)}; give at least two to choose between.")
    before = progress.read()["guesses"].get(id, {})
    asked = {"question": question, "choices": list(choices)}
    if before.get("choices") != asked["choices"] or before.get("guess") not in choices:
        asked |= {"guess": None, "outcome": None}
    progress.record("guesses", id, asked)
    widgets.question(question, list(choices), (before | asked).get("guess"),
                     lambda choice: progress.record("guesses", id, {"guess": choice}))


def outcome(id: str, answer: str) -> None:
    """Say what the experiment gave, and whether the guess made in `predict(id, ...)` held.

    answer: one of the choices, worked out from the measurement.
    Raises ValueError when no such question was asked or it has no such choice.
    """
    kept = progress.read()["guesses"].get(id)
    if kept is None or "choices" not in kept:
        raise ValueError(f"id is {id!r}; run the cell with predict({id!r}, ...) first.")
    if answer not in kept["choices"]:
        raise ValueError(f"answer is {answer!r}; the choices were {', '.join(map(repr, kept['choices']))}.")
    progress.record("guesses", id, {"outcome": answer})
    print(f"Measured: {answer}.")
    if kept.get("guess") is not None:
        print("Your guess held." if kept["guess"] == answer else f"You had guessed: {kept['guess']}.")
