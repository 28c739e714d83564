r"""How text is cut into pieces before any merging: one regular expression for each family of tokenizers.

Merges never cross from one piece to the next, so the expression decides what a token can be: whether " cat"
keeps its space, whether 2024 is one token, two or four. Every character of a text falls into exactly one
piece.

In these expressions \p{L} is a letter of any script, \p{N} a digit or other number, \p{M} an accent, \s white
space. An alternative is tried only where those before it fail. ` ?` lets a word take the space before it, and
`\s+(?!\S)` leaves the last space of a run to the word that follows.
"""
import functools
import re

import regex                                # like `re`, and knows \p{L}

PATTERNS = {
    # GPT-2: 's and its kin, words, numbers, punctuation, white space (this and the next two are OpenAI's)
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",

    # GPT-4: 's in any case, at most three digits together, line breaks stay with the punctuation before them
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                   r"|\s+\Z|\s*[\r\n]|\s+(?!\S)|\s",

    # GPT-4o: words end between a small letter and a capital, and keep their accents and their 's
    "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
                  r"(?:'(?i:[sdmt]|ll|ve|re))?"
                  r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
                  r"(?:'(?i:[sdmt]|ll|ve|re))?"
                  r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",

    # SmolLM2: each digit alone, and GPT-2's on what lies between the digits
    "smollm2": r"\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+",
}
GGUF_PATTERNS = {"gpt-2": "gpt2", "smollm": "smollm2"}     # what GGUF files call them


@functools.lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> regex.Pattern:
    """Compile a pattern. Raises ValueError if it is no regular expression, or has a capturing group."""
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}.") from error
    if compiled.groups:
        raise ValueError(f"pattern {pattern!r} has a capturing group; write (?:...) instead of (...).")
    return compiled


@functools.lru_cache(maxsize=64)
def any_of(texts: frozenset[str]) -> re.Pattern[str]:
    """Finds any of some texts, the longest where several begin at one place; splitting keeps them.

    Of no texts it finds nothing.
    """
    longest_first = sorted(texts, key=lambda text: (-len(text), text))
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})" if texts else "((?!))")
