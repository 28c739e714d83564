"""A progress bar that leaves no trace: in a notebook it vanishes when the work is done, in a terminal it is tqdm's.

A stored notebook must not hold a bar that stood at some time of some machine, so the bar is displayed as a bare widget
view, which `tools/execute.py` drops and nbval does not compare.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipywidgets

WIDGET = "application/vnd.jupyter.widget-view+json"


@contextmanager
def bar(total: int, label: str, unit: str = "", shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar of `total` steps while the block runs; it gets a function that adds steps. shown=False shows none.

        with bar(len(files), "Reading") as step:
            for file in files:
                read(file)
                step(1)
    """
    if not shown:
        yield lambda count: None
    elif in_notebook():
        import ipywidgets
        from IPython.display import display

        widget = ipywidgets.IntProgress(value=0, max=total, description=label, style={"description_width": "initial"},
                                        layout={"width": "420px"})
        display(live(widget), raw=True, metadata={"press_enter": {"transient": True}})
        done = 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if 100 * (done - widget.value) >= total:      # each value is a message: a hundred a bar, however many steps
                widget.value = done

        try:
            yield step
        finally:
            widget.close()
    else:
        from tqdm import tqdm

        with tqdm(total=total, desc=label, unit=unit, leave=False) as progress:
            yield progress.update


def live(widget: "ipywidgets.Widget") -> dict[str, Any]:
    """The part of an output that shows a widget where a kernel runs."""
    return {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
