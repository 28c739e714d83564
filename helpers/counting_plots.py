"""What a model has and costs, as pictures: stacked bars, and a calculator that puts all of `counting` in one picture.

    stacks({"GPT-2": {"MLP": 56.7, "attention": 28.3}}, "Most of it is the MLP", "millions of parameters")
    calculator("SmolLM2-135M", Config.smollm2(), tokens=2_048, batch=8)
"""
from collections.abc import Callable, Iterable, Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from helpers import counting
from helpers.charts import COLOURS, FILLS, MOST
from helpers.config import Config
from helpers.plots import INK, Picture, in_style, new_figure, picture

Rows = Mapping[str, Mapping[str, float]]                    # a bar's name -> its parts

UNITS = ("", "K", "M", "G", "T", "P", "E")                  # each a thousand of the one before
LIMITS = {"16 GB (laptop)": 16e9, "24 GB (GPU)": 24e9}
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
ROOM = 0.075                                                # share of the picture's width that a number needs
SAME = {"projections": "attention", "logits": "tokens", "tables": "tokens"}     # parts that have one colour
ORDER = ("tokens", "attention", "MLP", "norms", "read-out", "places")           # the colours of a model's parts


@in_style
def stacks(rows: Rows, title: str, value_label: str, ends: Mapping[str, str] | None = None,
           limits: Mapping[str, float] | None = None) -> Picture:
    """Lying bars, each made of parts that follow one another; a part has one colour in all bars.

    rows: a bar's name -> {part: value}. ends: a bar's name -> what is written at its end; None writes the sum.
    limits: name -> a value to compare with, drawn as a line where the bars come near it.
    Raises ValueError for no bar, more than twelve, more than six parts, or a value below 0.
    """
    if not 1 <= len(rows) <= 12:
        raise ValueError(f"rows holds {len(rows)}; give 1 to 12 bars.")
    figure, area = new_figure(8.5, 1.3 + 0.34 * len(rows))
    said = draw_stacks(area, rows, lambda value: f"{value:.3g}", ends, limits)
    area.set(title=title, xlabel=value_label)
    return picture(figure, f"{title}. Bars of {value_label}, part by part. {said}")


def draw_stacks(area: Axes, rows: Rows, write: Callable[[float], str], ends: Mapping[str, str] | None = None,
                limits: Mapping[str, float] | None = None) -> str:
    """Draw bars of parts into axes, and say them in words. write: a value in words; the rest as in `stacks`."""
    looks = colours(dict.fromkeys(part for parts in rows.values() for part in parts))
    ends = ends or {bar: write(sum(parts.values())) for bar, parts in rows.items()}
    longest = max(sum(parts.values()) for parts in rows.values()) or 1
    right = max([longest, *(limit for limit in (limits or {}).values() if limit <= 1.15 * longest)]) * 1.15
    unnamed = set(looks)
    for row, (bar, parts) in enumerate(rows.items()):
        left = 0.0
        for part, value in parts.items():
            if not value >= 0:
                raise ValueError(f"{bar!r} holds {value} for {part!r}; bars begin at 0, give no value below it.")
            area.barh(row, value, 0.68, left=left, color=COLOURS[looks[part]], hatch=FILLS[looks[part]],
                      edgecolor="white", linewidth=0.6, label=part if part in unnamed else None)
            unnamed.discard(part)
            if value > ROOM * right:
                area.text(left + value / 2, row, write(value), ha="center", va="center", fontsize=8, bbox=PLATE)
            left += value
        area.text(left + right / 90, row, ends[bar], va="center", fontsize=8.5, fontweight="bold", bbox=PLATE)
    for (name, limit), stroke in zip((limits or {}).items(), ("--", ":")):
        if limit < right:
            area.axvline(limit, color=INK, linestyle=stroke, linewidth=1.4, label=name)
    area.set_yticks(range(len(rows)), list(rows))
    area.set(xlim=(0, right), ylim=(len(rows) - 0.5, -0.5))
    area.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
    return "; ".join(f"{bar}: {', '.join(f'{part} {write(value)}' for part, value in parts.items())}; at its end "
                     f"{ends[bar]}" for bar, parts in rows.items()) + "."


def colours(parts: Iterable[str]) -> dict[str, int]:
    """A number for each part's look: parts of a model have their own, others the next that is free."""
    parts = list(parts)
    if len(parts) > MOST:
        raise ValueError(f"rows has {len(parts)} parts; give at most {MOST}, which can still be told apart.")
    known = {part: ORDER.index(SAME.get(part, part)) for part in parts if SAME.get(part, part) in ORDER}
    if len(set(known.values())) < len(known):               # such as tables beside tokens
        known = {}
    free = iter([number for number in range(MOST) if number not in known.values()])
    return {part: known[part] if part in known else next(free) for part in parts}


@in_style
def calculator(name: str, config: Config, tokens: int, batch: int = 1, precision: str = "bfloat16") -> Picture:
    """All of `counting` for one model: parameters, FLOPs for each token, memory to write and to train.

    tokens: in each of `batch` texts. precision: of `counting.PRECISIONS`, for the weights of a model that only writes,
    and for the cache and the activations.
    Raises ValueError for an unknown precision, and for more tokens than the model's context.
    """
    if tokens > config.context:
        raise ValueError(f"tokens is {tokens}; this model sees at most {config.context:,}: choose fewer.")
    parts = {part: count for part, count in counting.parameters(config).items() if count}
    count = sum(parts.values())
    running = {part: size for part, size in counting.running_bytes(config, tokens, batch, precision).items() if size}
    training = counting.training_bytes(config, tokens, batch, counting.PRECISIONS[precision].other)
    last = counting.flops(config, 1, past=tokens - 1)
    trained = {part: 3 * value / tokens for part, value in counting.flops(config, tokens).items()}
    verb = "write" if config.causal else "read"
    panels = [
        ({"parameters": parts}, f"{count:,} parameters", ""),
        ({f"{verb} token {tokens:,}": last, "train, mean": trained}, "FLOPs for each token", ""),
        ({f"{verb}, {precision}": running, "train, Adam": training},
         f"Memory: {batch} {'text' if batch == 1 else 'texts'} of {tokens:,} tokens", "B"),
    ]
    figure, *areas = new_figure(9, 1.15, 1.5, 1.75)
    said = []
    for area, (rows, title, unit) in zip(areas, panels, strict=True):
        rows = {bar: {part: value for part, value in values.items() if value} for bar, values in rows.items()}
        words = draw_stacks(area, rows, lambda value, unit=unit: short(value) + unit, None, LIMITS if unit else None)
        area.set_title(title, fontsize=10)
        area.xaxis.set_major_formatter(FuncFormatter(lambda value, place, unit=unit: tick(value) + unit))
        area.locator_params(axis="x", nbins=6)
        said.append(f"{title}. {words}")
    fits = "; ".join(f"to {what} it {'fits' if sum(need.values()) <= limit else 'does not fit'} in {where}"
                     for what, need in ((verb, running), ("train", training)) for where, limit in LIMITS.items())
    figure.suptitle(f"{name}: {short(sum(running.values()))}B to {verb}, {short(sum(training.values()))}B to train",
                    x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return picture(figure, f"{name}. {' '.join(said)} By the numbers alone, {fits}.")


def tick(value: float) -> str:
    """A round number beside an axis: 2,500,000 is 2.5 M."""
    power = next((power for power in reversed(range(len(UNITS))) if value >= 1000 ** power), 0)
    return f"{value / 1000 ** power:g} {UNITS[power]}"


def short(number: float) -> str:
    """A number from 0 on in three digits, with K for thousand, M for million, G, T, P and E: 134,515,008 is 135 M."""
    power = 0
    while number >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    if not power:
        return f"{number:.0f}"
    digits = max(0, 2 - (number >= 9.995) - (number >= 99.95))
    return f"{number:,.{digits}f} {UNITS[power]}"
