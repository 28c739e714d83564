"""What may go into a vector store, and one sentence for all that may not."""
import json
import re
import reprlib
from typing import Any

import numpy as np

HALF = re.compile("[\ud800-\udfff]")            # half of a character, which UTF-8 cannot write
IN_A_LIST = "give texts with at least one visible character."


def check_k(k: int, stored: int) -> None:
    """Refuse a number of hits that the store cannot give."""
    if stored == 0:
        raise ValueError("the store holds nothing yet; add texts before you search.")
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= stored:
        raise ValueError(f"k is {k!r}; the store holds {stored} texts, give 1 to {stored}.")


def check_text(text: Any, name: str, wish: str) -> None:
    """Refuse what is no text, shows nothing, or cannot be written to a file."""
    if not isinstance(text, str) or not text.strip():
        raise shows_nothing(text, name, wish)
    check_whole(text, name)


def shows_nothing(text: Any, name: str, wish: str) -> ValueError:
    return ValueError(f"{name} is {reprlib.repr(text)}; {wish}")


def check_whole(text: str, name: str) -> None:
    """Refuse a text that cannot be written to a file."""
    if half := HALF.search(text):
        raise ValueError(f"{name} holds {half[0]!r}, half of a character; decode what it came from with "
                         "errors='replace'.")


def list_of_texts(texts: Any) -> list[str]:
    """Texts as a list; ValueError for what is none, and for a text that shows nothing."""
    if isinstance(texts, str) or not hasattr(texts, "__len__") or len(texts) == 0:
        raise ValueError(f"texts is {reprlib.repr(texts)}; give a list of at least one text.")
    for i, text in enumerate(texts):
        check_text(text, f"texts[{i}]", IN_A_LIST)
    return list(texts)


def one_each(values: Any, name: str, kind: type, texts: int) -> list:
    """Values as a list, one of this kind for each text; ValueError for anything else."""
    if isinstance(values, (str, dict)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} is {reprlib.repr(values)}; give a list with one for each text.")
    if len(values) != texts:
        raise ValueError(f"{name} holds {len(values)} for {texts} texts; give one for each.")
    for i, value in enumerate(values):
        if not isinstance(value, kind):
            raise ValueError(f"{name}[{i}] is {reprlib.repr(value)}; give a {kind.__name__} for each text.")
        if kind is str:
            check_whole(value, f"{name}[{i}]")
    return list(values)


def as_json(metadata: list[dict]) -> list[str]:
    """Each dict as JSON; ValueError for one that JSON cannot write."""
    written = []
    for i, entry in enumerate(metadata):
        try:
            written.append(json.dumps(entry))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"metadata[{i}] cannot be kept as JSON: {error}; give texts, numbers, lists and dicts."
                             ) from error
    return written


def unit(vectors: Any, name: str, rows: int | None, width: int) -> np.ndarray:
    """Vectors as float32 of unit length: (rows, width), or (width,) when rows is None; ValueError for what has none."""
    if hasattr(vectors, "detach"):
        vectors = vectors.detach().cpu()
        if vectors.is_floating_point() and vectors.element_size() < 4:                      # NumPy has no bfloat16
            vectors = vectors.float()
    expected = (width,) if rows is None else (rows, width)
    try:
        values = np.asarray(vectors)
    except (TypeError, ValueError) as error:                                                # rows of several lengths
        raise ValueError(f"{name} is no array ({first_line(error)}); give numbers of shape {expected}.") from error
    if values.shape != expected or values.dtype.kind not in "fiu":
        raise ValueError(f"{name} is {values.dtype} {values.shape}; give numbers of shape {expected}.")
    values = values.astype(np.float64)
    largest = np.abs(values).max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        raise ValueError(f"{name} holds nan or infinity; a vector needs numbers, look at what made it.")
    if not largest.all():
        raise ValueError(f"{name} holds a vector of zeros, which points nowhere; look at what made it.")
    values /= largest                                       # so that no square is too large, or too small, for a number
    return (values / np.sqrt((values ** 2).sum(axis=-1, keepdims=True))).astype(np.float32)


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
