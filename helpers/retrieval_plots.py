"""What a search found, as a picture: one list of passages for each way to search."""
from collections.abc import Mapping, Sequence

from helpers.charts import COLOURS, FILLS, PALE
from helpers.plots import INK, Picture, in_style, new_figure, picture
from helpers.proof import approximately

SNIPPET = 88                                                # characters of a passage that are shown
MOST = 4                                                    # lists below each other

Found = Sequence[tuple[float, str, str]]                    # (score, where it is from, its text), the best first


@in_style
def found(query: str, lists: Mapping[str, Found], title: str = "", right: Sequence[str] = ()) -> Picture:
    """The best passages of each way to search: a bar as long as the score, where it is from, and how it begins.

    right: places whose passages answer the query; they are marked with a tick, in words and in the picture.
    Raises ValueError for no list, more than four, or an empty one.
    """
    if not 1 <= len(lists) <= MOST:
        raise ValueError(f"lists holds {len(lists)}; give 1 to {MOST} ways to search.")
    for name, hits in lists.items():
        if not hits:
            raise ValueError(f"lists[{name!r}] is empty; give at least one passage.")
    figure, *areas = new_figure(9, *(0.62 + 0.42 * len(hits) for hits in lists.values()))
    said = []
    for number, (area, (name, hits)) in enumerate(zip(areas, lists.items(), strict=True)):
        largest = max(max(score for score, _, _ in hits), 1e-9)
        for row, (score, place, text) in enumerate(hits):
            width = max(score, 0) / largest
            area.barh(row, 1, height=0.34, color=PALE)
            area.barh(row, width, height=0.34, color=COLOURS[number], hatch=FILLS[number], edgecolor="white",
                      linewidth=0)
            area.text(0, row - 0.32, snippet(text), fontsize=8, color=INK, va="center")
            area.text(1.01, row, f"{score:.2f}", fontsize=8.5, va="center")
        marks = [f"{place} ✓" if place in right else place for _, place, _ in hits]
        area.set_yticks(range(len(hits)), marks, family="monospace", fontsize=8.5)
        area.set(xlim=(0, 1.07), ylim=(len(hits) - 0.6, -0.6), title=name, xticks=[])
        area.set_xlabel("score, as a share of the best" if number == len(lists) - 1 else "")
        for spine in area.spines.values():
            spine.set_visible(False)
        area.tick_params(length=0)
        said.append(f"{name}: " + "; ".join(f"{approximately(score, 2)} {mark}, “{snippet(text, 40)}”"
                                            for mark, (score, _, text) in zip(marks, hits, strict=True)))
    figure.suptitle(title or f"Found for “{query}”", x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return picture(figure, f"{title or 'Found'}. The query: “{query}”. {'. '.join(said)}.")


def snippet(text: str, longest: int = SNIPPET) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text.replace("*" * 3, "").split()).strip("* ")
    return line if len(line) <= longest else line[:longest - 1] + "…"
