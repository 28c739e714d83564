"""The automaton: it takes exactly what `re.fullmatch` takes, byte by byte, and never walks into a trap."""
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.automaton import DEAD, LIMIT, START, Automaton, utf8

PATTERNS = [
    "", "a", "abc", "a|b|cd", "(?:)", "a*", "a+b?", "(ab)*", "(a|b)*abb", "a{3}", "a{2,4}", "a{,2}b", "a{2,}", "a{0}b",
    "(a{1,2}b){2}", "(a*)*b", "(a?){3}", "(a|)+c", "((a|b)c?)*?d", "a*?b+?c??", "(?P<name>a)b(?:c)", "x*|y", "(|a)(|b)",
    "[abc]", "[a-c]+", "[^a-c]*", "[^a-cb]", "[]a-]+", "[^]]", r"[\d_]+", r"[^\w\s]*", r"\d+\.\d*", r"\w+\s\W",
    r"\S+\D", r"[\s\S]*", ".", ".*b.", r"a\.b\\", r"\t\x41é", "é", "é+ü?", "[äöü]a*", "[^ä]", "naïve|日本語?", "🙂{2}",
    "[🙂🙃]+", ".é.", "[à-ý]+", "[^à-ý]", "[\x7f-\x80]", "[\u0700-\u0900]", "[\ud000-\uf000]", "[\uff00-\U00012345]",
    "[\x00-\U0010ffff]{2}",
    r'"(?:[^"\\]|\\.)*"', r"-?(?:0|[1-9]\d*)(?:\.\d+)?", r"(\d{1,3}\.){3}\d{1,3}", r"(?:yes|no)(?:, (?:yes|no))*",
]
ROOT = Path(__file__).resolve().parents[1]
ALPHABET = "abcd ._-01é🙂\n\"\\ü"


def accepts(automaton, text):
    return bool(automaton.accepting[automaton.walk(START, text)])


def random_pattern(source, depth=3):
    """A pattern of a few parts, over a small alphabet so that random texts often match."""
    kind = source.choice("literal class sequence sequence branch repeat repeat".split()) if depth else "literal"
    if kind == "literal":
        return source.choice(["a", "b", "c", "é", "🙂", ".", r"\w"])
    if kind == "class":
        return f"[{source.choice(['', '^'])}{''.join(source.sample(['a', 'b-c', 'é', 'à-ü', '🙂'], 2))}]"
    parts = [random_pattern(source, depth - 1) for _ in range(source.randint(1, 3))]
    if kind == "repeat":
        return f"(?:{parts[0]}){source.choice(['*', '+', '?', '*?', '{2}', '{1,2}', '{,2}', '{2,}'])}"
    return "".join(parts) if kind == "sequence" else f"({'|'.join(parts)})"


def random_match(automaton, source):
    """Some text that matches: bytes at random, then the shortest way out."""
    state, text, steps = START, b"", source.randint(0, 8)
    while automaton.distance[state] > 0 or steps > 0:
        alive = automaton.next[state].nonzero()[:, 0]
        if steps <= 0:
            nearer = automaton.distance[automaton.next[state][alive]] < automaton.distance[state]
            alive = alive[nearer]
        if not len(alive):
            break
        byte = source.choice(alive.tolist())
        state, text, steps = int(automaton.next[state, byte]), text + bytes([byte]), steps - 1
    return text


def texts(automaton, source, number):
    """Random texts, matches, and matches in which a character was changed, doubled or lost."""
    for _ in range(number):
        yield "".join(source.choices(ALPHABET, k=source.randint(0, 6)))
        match = random_match(automaton, source).decode("utf-8")
        yield match
        at = source.randrange(len(match) + 1)
        new = source.choice([source.choice(ALPHABET), "", match[at - 1:at]])
        yield match[:at] + new + match[at + source.randint(0, 1):]


# ---- what it accepts

@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_accepts_what_fullmatch_accepts(pattern):
    automaton, source, found = Automaton(pattern), random.Random(pattern), set()
    for text in texts(automaton, source, 60):
        expected = re.fullmatch(pattern, text, re.ASCII) is not None
        assert accepts(automaton, text.encode("utf-8")) == expected, text
        found.add(expected)
    assert found == {True, False} or pattern == r"[\s\S]*"


def test_random_patterns_accept_what_fullmatch_accepts():
    source, matches, total = random.Random(0), 0, 0
    for _ in range(400):
        pattern = random_pattern(source)
        automaton = Automaton(pattern)
        for text in texts(automaton, source, 5):
            expected = re.fullmatch(pattern, text, re.ASCII) is not None
            assert accepts(automaton, text.encode("utf-8")) == expected, (pattern, text)
            matches, total = matches + expected, total + 1
    assert total == 6000 and 2500 < matches < 4500


@pytest.mark.parametrize(("lazy", "greedy"), [("a*?b", "a*b"), ("(a|b)+?", "(a|b)+"), ("a{1,3}?a??", "a{1,3}a?")])
def test_lazy_repeats_match_what_greedy_ones_do(lazy, greedy):
    assert torch.equal(Automaton(lazy).next, Automaton(greedy).next)


@pytest.mark.parametrize("pattern", ["(?:){4000000000}", "(){2,4000000000}", "(?:){,4000000000}",
                                     "(?:(?:)()){900000000}"])
def test_repeats_of_nothing_are_nothing_and_take_no_time(pattern):
    assert torch.equal(Automaton(pattern).next, Automaton("").next)
    assert torch.equal(Automaton(f"a{pattern}b").next, Automaton("ab").next)


# ---- UTF-8

def well_formed(text):
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_any_character_is_well_formed_utf8_and_nothing_else():
    anything = Automaton(r"[\s\S]*")
    after = anything.next[anything.next[START]]                                     # (256, 256), of all pairs of bytes
    for first in range(256):
        assert accepts(anything, bytes([first])) == well_formed(bytes([first]))
        for second in range(256):
            assert bool(anything.accepting[after[first, second]]) == well_formed(bytes([first, second]))
    source = random.Random(0)
    edges = [0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
             0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    outcomes = []
    for _ in range(30_000):
        lead = source.choice(edges[-12:])
        text = bytes([lead, *source.choices(edges[2:8], k=source.randint(1, 3))])
        outcomes.append(well_formed(text))
        assert accepts(anything, text) == outcomes[-1], text
    assert 1_000 < sum(outcomes) < 29_000


def test_all_characters_take_the_nine_sequences_of_rfc_3629():
    low, tail = [(0x00, 0x7F), (0xC2, 0xDF)], (0x80, 0xBF)
    assert utf8(0, 0x10FFFF) == [
        (low[0],), (low[1], tail), ((0xE0, 0xE0), (0xA0, 0xBF), tail), ((0xE1, 0xEC), tail, tail),
        ((0xED, 0xED), (0x80, 0x9F), tail), ((0xEE, 0xEF), tail, tail), ((0xF0, 0xF0), (0x90, 0xBF), tail, tail),
        ((0xF1, 0xF3), tail, tail, tail), ((0xF4, 0xF4), (0x80, 0x8F), tail, tail)]


def test_a_span_of_characters_holds_these_and_no_others():
    source = random.Random(1)
    corners = [0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xDC00, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x10FFFF]
    for _ in range(100):
        low, high = sorted(source.choice([source.choice(corners), source.randrange(0x110000)]) for _ in range(2))
        spelt = utf8(low, high)
        points = [low - 1, low, low + 1, high - 1, high, high + 1, *corners, *source.choices(range(0x110000), k=50)]
        points += [(end | rest) + by for end in (low, high) for rest in (0x3F, 0xFFF, 0x3FFFF) for by in (-rest, 0, 1)]
        for point in points:
            if 0 <= point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF:
                text = chr(point).encode("utf-8")
                ways = sum(len(text) == len(places) and all(first <= byte <= last for byte, (first, last)
                                                            in zip(text, places)) for places in spelt)
                assert ways == (low <= point <= high), (hex(low), hex(high), hex(point))


# ---- the table

@pytest.mark.parametrize("pattern", PATTERNS)
def test_distances_are_those_of_a_search_and_no_state_is_a_trap(pattern):
    automaton = Automaton(pattern)
    states = len(automaton.next)
    assert automaton.next.shape == (states, 256) and automaton.accepting.shape == (states,)
    assert (automaton.next[DEAD] == DEAD).all() and not automaton.accepting[DEAD]
    reach, expected = automaton.accepting, torch.full((states,), torch.inf)         # in 0 bytes, 1, 2, ...
    for steps in range(states):
        expected[reach] = expected[reach].clamp(max=steps)
        reach = reach[automaton.next].any(dim=1)
    assert automaton.distance.tolist() == expected.tolist()
    met = automaton.next[automaton.next != DEAD].unique()
    assert automaton.distance[met].isfinite().all()


def test_a_class_without_characters_is_never_walked_into():
    """a leads to a match, b only to a class that nothing fits."""
    automaton = Automaton(r"ac|bc[^\s\S]|bd[\ud800-\udfff]")
    assert automaton.walk(START, b"a") != DEAD and automaton.walk(START, b"b") == DEAD
    assert automaton.distance[START] == 2


def test_walking_in_parts_is_walking_at_once():
    automaton = Automaton("(é|ab)*c")
    text = "éabéc".encode()
    for cut in range(len(text) + 1):
        assert automaton.walk(automaton.walk(START, text[:cut]), text[cut:]) == automaton.walk(START, text)


# ---- what it refuses

@pytest.mark.parametrize(("pattern", "sentence"), [
    ("a(", r"pattern 'a\(' is no regular expression that we can read: missing \)"), ("[b-a]", "bad character range"),
    ("*a", "nothing to repeat"), ("(?:" * 3000 + ")" * 3000, "no regular expression that we can read"),
    (5, "pattern is 5; give a regular expression, as a str"), (b"a", "pattern is b'a'; give"),
    ("^a", r"pattern '\^a' has an anchor .* leave it out"), ("a$|b", "an anchor"), (r"\bword", "an anchor"),
    (r"a\Z", "an anchor"), ("a(?=b)b", "look-around; write out"), ("a(?!b)", "look-around"), ("(?<=a)b", "look-around"),
    ("(?<!a)b", "look-around"), ("a|(?!)", "look-around"), (r"(a)\1", "a back-reference"),
    ("(?P<x>a)(?P=x)", "a back-reference"), ("(a)?(?(1)b|c)", "a condition on a group"),
    ("(?>a*)b", "an atomic group"), ("a*+b", "a possessive repeat"),
    ("(?i)a", r"has a flag, such as \(\?i\)"), ("(?i:a)b", "has a flag"), ("(?s).", "has a flag"),
    ("(?x) a", "has a flag"), ("(?a)a", "has a flag"), (r"a[^\s\S]", "matches nothing"), ("\ud800", "matches nothing"),
    ("a{10001}", f"needs more than {LIMIT:,} states; make its repeats"), ("((a{1000}){1000}){1000}", "needs more than"),
    ("(a|b)*a(a|b){14}", "needs more than 10,000 states"),
])
def test_what_it_cannot_take_is_refused(pattern, sentence):
    with pytest.raises(ValueError, match=sentence):
        Automaton(pattern)


def python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)


def test_only_who_makes_a_constraint_needs_pythons_own_parser():
    assert python("import sys, helpers.sampling; sys.exit('helpers.automaton' in sys.modules)").returncode == 0
    told = python("import sys; sys.modules['re._parser'] = None; import helpers.sampling; import helpers.automaton")
    assert told.stderr.strip().splitlines()[-1].startswith("ImportError: this Python has no re._parser, which reads")
