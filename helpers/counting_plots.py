"""What a model has and costs, as pictures: stacked bars, and a calculator that puts all of `counting` in one picture.

    stacks({"GPT-2": {"MLP": 56.7, "attention": 28.3}}, "Most of it is the MLP", "millions of parameters")
    calculator("SmolLM2-135M", Config.smollm2(), tokens=2_048, batch=8)
"""
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from helpers import counting
from helpers.charts import COLOURS, FILLS, MOST
from helpers.config import Config
from helpers.plots import INK, Picture, in_style, new_figure, picture

Rows = Mapping[str, Mapping[str, float]]                    # a bar's name -> its parts

UNITS = ("", "K", "M", "G", "T", "P", "E")                  # each a thousand of the one before
LIMITS = {"a laptop's 16 GB": 16e9, "a GPU's 24 GB": 24e9}
ROOM = 0.075                                                # share of the picture's width that a number needs


@in_style
def stacks(rows: Rows, title: str, value_label: str, limits: Mapping[str, float] | None = None) -> Picture:
    """Lying bars, each made of parts that follow one another; a part has one colour in all bars.

    rows: a bar's name -> {part: value}. limits: name -> a value to compare with, drawn as a dashed line.
    Raises ValueError for no bar, more than twelve, more than six parts, or a value below 0.
    """
    if not 1 <= len(rows) <= 12:
        raise ValueError(f"rows holds {len(rows)}; give 1 to 12 bars.")
    figure, area = new_figure(8.5, 1.3 + 0.34 * len(rows))
    said = draw_stacks(area, rows, lambda value: f"{value:.3g}", limits)
    area.set(title=title, xlabel=value_label)
    return picture(figure, f"{title}. Bars of {value_label}, part by part. {said}")


def draw_stacks(area: Axes, rows: Rows, write, limits: Mapping[str, float] | None = None) -> str:
    """Draw bars of parts into axes, and say them in words. write: a value in words."""
    names = list(dict.fromkeys(part for parts in rows.values() for part in parts))
    if len(names) > MOST:
        raise ValueError(f"rows has {len(names)} parts; give at most {MOST}, which can still be told apart.")
    longest = max(sum(parts.values()) for parts in rows.values()) or 1
    shown = {name: limit for name, limit in (limits or {}).items() if limit <= 1.15 * longest}
    right = max([longest, *shown.values()]) * 1.15
    for row, (bar, parts) in enumerate(rows.items()):
        left = 0.0
        for part, value in parts.items():
            if not value >= 0:
                raise ValueError(f"{bar!r} holds {value} for {part!r}; bars begin at 0, give no value below it.")
            number = names.index(part)
            area.barh(row, value, 0.68, left=left, color=COLOURS[number], hatch=FILLS[number], edgecolor="white",
                      linewidth=0.6, label=part if bar == next(bar for bar in rows if part in rows[bar]) else None)
            if value > ROOM * right:
                area.text(left + value / 2, row, write(value), ha="center", va="center", fontsize=8,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2})
            left += value
        area.text(left + right / 120, row, write(left), va="center", fontsize=8.5, fontweight="bold")
    for name, limit in shown.items():
        area.axvline(limit, color=INK, linestyle="--", linewidth=1)
        area.text(limit, -0.52, f"{name} ", ha="right", va="bottom", fontsize=8)
    area.set_yticks(range(len(rows)), list(rows))
    area.set(xlim=(0, right), ylim=(len(rows) - 0.5, -0.95 if shown else -0.5))
    area.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
    return "; ".join(f"{bar}: {', '.join(f'{part} {write(value)}' for part, value in parts.items())}, together "
                     f"{write(sum(parts.values()))}" for bar, parts in rows.items()) + "."


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
        words = draw_stacks(area, rows, lambda value, unit=unit: short(value) + unit, LIMITS if unit else None)
        area.set_title(title, fontsize=10)
        area.xaxis.set_major_formatter(FuncFormatter(lambda value, place, unit=unit: short(value) + unit))
        area.locator_params(axis="x", nbins=6)
        said.append(f"{title}. {words}")
    fits = "; ".join(f"to {what} it {'fits' if sum(need.values()) <= limit else 'does not fit'} in {where}"
                     for what, need in ((verb, running), ("train", training)) for where, limit in LIMITS.items())
    figure.suptitle(f"{name}: {short(sum(running.values()))}B to {verb}, {short(sum(training.values()))}B to train",
                    x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return picture(figure, f"{name}. {' '.join(said)} By the numbers alone, {fits}.")


def short(number: float) -> str:
    """A number from 0 on in three digits, with K for thousand, M for million, G, T, P and E: 134,515,008 is 135 M."""
    power = 0
    while number >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    if not power:
        return f"{number:.0f}"
    digits = max(0, 2 - (number >= 9.995) - (number >= 99.95))
    return f"{number:,.{digits}f} {UNITS[power]}"
