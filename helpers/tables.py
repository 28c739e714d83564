"""The course's own words and texts, as they lie in TOML files beside this one."""
import functools
import tomllib
from pathlib import Path
from typing import Any


@functools.cache
def table(name: str) -> dict[str, Any]:
    """What `helpers/NAME.toml` holds; read once, so change nothing in it. Raises FileNotFoundError without the file."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def lines(text: str) -> tuple[str, ...]:
    """A text of such a table by its lines, without the empty ends."""
    return tuple(text.strip().splitlines())
