"""A regular expression as a table: the state to which each byte leads, and which states end a match.

The parts of the pattern become a nondeterministic automaton, which can be in several states at once (Thompson, 1968);
each set of states in which it can be becomes one state of the table (Rabin and Scott, 1959).

    automaton = Automaton("(ha)+!")
    state = automaton.walk(START, b"haha!")
    assert automaton.accepting[state]

It reads bytes, not characters, since a token of byte-level BPE may hold half a character.
"""
import re
from collections.abc import Iterable
from itertools import pairwise

import torch

from helpers.checks import require
from helpers.states import DEAD, START, distances

try:    # Python's own parser, which the package `hypothesis` uses too: our subject is the automaton, not the syntax
    import re._constants as kind
    import re._parser as parser
except ImportError as error:
    raise ImportError("this Python has no re._parser, which reads the patterns of an Automaton; use another, such as "
                      "CPython 3.11 to 3.14.") from error

LIMIT = 10_000              # states, of either automaton

Spans = list[tuple[int, int]]       # the first and the last of each span of code points
DIGIT, SPACE = [(0x30, 0x39)], [(0x09, 0x0D), (0x20, 0x20)]
WORD = [*DIGIT, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
LOOK_AROUND = "look-around; write out what may stand there"
REFUSED = {
    kind.AT: r"an anchor (^, $, \b, ...); leave it out, as a pattern always describes the whole text",
    kind.ASSERT: LOOK_AROUND,
    kind.ASSERT_NOT: LOOK_AROUND,
    kind.FAILURE: LOOK_AROUND,                                                      # (?!), in newer versions of Python
    kind.GROUPREF: "a back-reference, for which no number of states is enough; write out what it may repeat",
    kind.GROUPREF_EXISTS: "a condition on a group; write out both cases, with |",
    kind.ATOMIC_GROUP: "an atomic group (?>...); write (?:...)",
    kind.POSSESSIVE_REPEAT: "a possessive repeat (*+, ++, ?+); leave out its second sign",
}


class Automaton:
    """The texts that match a regular expression as a whole: those of `re.fullmatch(pattern, text, re.ASCII)`, in UTF-8.

    Lesson 07e writes the table of one pattern by hand.
    next: (states, 256), the state to which each byte leads.
    accepting: (states,) bool, whether the text so far is a match.
    distance: (states,), how many more bytes a match takes at least; inf for DEAD, and for no other state that a text
        leads to, so that every text that is not dead can be finished.
    Lazy repeats match what greedy ones do. A dot and a negated class match any well-formed character (RFC 3629).
    Raises ValueError for what is no regular expression, matches nothing or needs more than 10,000 states; and for
    anchors, look-around, back-references, atomic groups, possessive repeats and flags.
    """

    def __init__(self, pattern: str):
        rows, accepting = determine(Thompson(pattern))
        self.pattern = pattern
        self.accepting = torch.tensor(accepting)                                    # (states,)
        self.distance = distances([set(row) for row in rows], accepting)            # (states,)
        require(bool(self.distance[START].isfinite()),
                f"pattern {pattern!r:.60} matches nothing; give every class in it a character.")
        table = torch.tensor(rows)                                                  # (states, 256)
        self.next = torch.where(self.distance[table].isfinite(), table, DEAD)       # (states, 256)

    def walk(self, state: int, text: bytes) -> int:
        """The state to which a text leads from this state."""
        for byte in text:
            state = int(self.next[state, byte])
        return state


class Thompson:
    """The nondeterministic automaton of a pattern, in which each part leads from one state to another.

    edges: for each state the bytes that lead on, as (first, last, target).
    free: for each state those that it leads to without a byte.
    """

    def __init__(self, pattern: str):
        require(isinstance(pattern, str), f"pattern is {pattern!r:.60}; give a regular expression, as a str.")
        self.pattern = pattern
        self.edges: list[list[tuple[int, int, int]]] = []
        self.free: list[list[int]] = []
        try:
            tree = parser.parse(pattern)
            self.refuse_flags(tree.state.flags & ~re.UNICODE)                       # which every str has
            self.start = self.state()
            self.end = self.sequence(tree, self.start)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern {pattern!r:.60} is no regular expression that we can read: {error}.") from error

    def state(self) -> int:
        """A new state."""
        check_size(len(self.edges), self.pattern)
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1

    def sequence(self, items: Iterable, at: int) -> int:
        """Where one item after the other leads, from the state `at`."""
        for operator, argument in items:
            at = self.item(operator, argument, at)
        return at

    def item(self, operator: int, argument, at: int) -> int:
        """Where one item of the parsed pattern leads, from the state `at`."""
        if operator in REFUSED:
            raise ValueError(f"pattern {self.pattern!r:.60} has {REFUSED[operator]}.")
        if operator is kind.SUBPATTERN:
            _, flags, cleared, items = argument
            self.refuse_flags(flags | cleared)
            return self.sequence(items, at)
        if operator is kind.BRANCH:
            end = self.state()
            for items in argument[1]:
                self.free[self.sequence(items, at)].append(end)
            return end
        if operator in (kind.MAX_REPEAT, kind.MIN_REPEAT):
            return self.repeat(*argument, at)
        return self.character(code_points(operator, argument), at)

    def repeat(self, least: int, most: int, items: Iterable, at: int) -> int:
        """As many copies as there must be, then those that may be left out: a loop, or one after the other."""
        for _ in range(least):
            states = len(self.edges)
            at = self.sequence(items, at)
            if len(self.edges) == states:                                           # of nothing, one copy is as many
                break
        end = self.state()
        self.free[at].append(end)
        if most is kind.MAXREPEAT:
            self.free[self.sequence(items, end)].append(end)
        else:
            for _ in range(most - least):
                states = len(self.edges)
                at = self.sequence(items, at)
                if len(self.edges) == states:
                    break
                self.free[at].append(end)
        return end

    def character(self, spans: Spans, at: int) -> int:
        """One character, a byte at a time; what ends alike shares its states."""
        end = self.state()
        states = {(): end}                                                          # bytes still to come: the state
        for spelling in (spelling for span in spans for spelling in utf8(*span)):
            for i in range(len(spelling) - 1, 0, -1):
                if spelling[i:] not in states:
                    states[spelling[i:]] = self.state()
                    self.edges[states[spelling[i:]]].append((*spelling[i], states[spelling[i + 1:]]))
            self.edges[at].append((*spelling[0], states[spelling[1:]]))
        return end

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """All states that these are or lead to without a byte; only those that go on, or end the match, count."""
        reached, waiting = set(), list(states)
        while waiting:
            state = waiting.pop()
            if state not in reached:
                reached.add(state)
                waiting += self.free[state]
        return frozenset(state for state in reached if self.edges[state] or state == self.end)

    def refuse_flags(self, flags: int) -> None:
        """Raise ValueError if there are any."""
        require(not flags, f"pattern {self.pattern!r:.60} has a flag, such as (?i); write out what it means, as [Aa].")


def determine(automaton: Thompson) -> tuple[list[list[int]], list[bool]]:
    """The table of all sets of states in which the automaton can be, and which of them end a match.

    Raises ValueError for more than 10,000 sets.
    """
    edges = automaton.edges
    # between two cuts, every byte leads to the same states
    cuts = sorted({0, 256} | {cut for leaving in edges for first, last, _ in leaving for cut in (first, last + 1)})
    sets, rows = [frozenset(), automaton.closure([automaton.start])], []            # DEAD, START
    numbers = {states: number for number, states in enumerate(sets)}
    for states in sets:                                                             # the list grows meanwhile
        leaving, row = [edge for state in states for edge in edges[state]], []
        for low, cut in pairwise(cuts):
            reached = automaton.closure(target for first, last, target in leaving if first <= low <= last)
            if reached not in numbers:
                check_size(len(sets), automaton.pattern)
                numbers[reached] = len(sets)
                sets.append(reached)
            row += [numbers[reached]] * (cut - low)
        rows.append(row)
    return rows, [automaton.end in states for states in sets]


def check_size(states: int, pattern: str) -> None:
    """Raise ValueError if there can be no further state."""
    require(states < LIMIT, f"pattern {pattern!r:.60} needs more than {LIMIT:,} states; make its repeats {{m,n}} "
            "shorter, or write * for them.")


def code_points(operator: int, argument) -> Spans:
    """The characters that one item of a parsed pattern matches."""
    if operator is kind.LITERAL:
        return [(argument, argument)]
    if operator is kind.RANGE:
        return [argument]
    if operator is kind.CATEGORY:
        return {kind.CATEGORY_DIGIT: DIGIT, kind.CATEGORY_NOT_DIGIT: complement(DIGIT),
                kind.CATEGORY_SPACE: SPACE, kind.CATEGORY_NOT_SPACE: complement(SPACE),
                kind.CATEGORY_WORD: WORD, kind.CATEGORY_NOT_WORD: complement(WORD)}[argument]
    if operator is kind.NOT_LITERAL:
        return complement([(argument, argument)])
    if operator is kind.ANY:
        return complement([(0x0A, 0x0A)])                                           # but for the end of a line
    spans = [span for item in argument if item[0] is not kind.NEGATE for span in code_points(*item)]    # a class
    return complement(spans) if argument[0][0] is kind.NEGATE else spans


def complement(spans: Spans) -> Spans:
    """All other code points."""
    others, first = [], 0
    for low, high in sorted(spans):
        if first < low:
            others.append((first, low - 1))
        first = max(first, high + 1)
    return [*others, (first, 0x10FFFF)] if first <= 0x10FFFF else others


def utf8(low: int, high: int) -> list[tuple[tuple[int, int], ...]]:
    """The well-formed UTF-8 of the code points from low to high: for each place the first and the last byte.

    Surrogates have none. 0x80 to 0x7FF: [((0xC2, 0xDF), (0x80, 0xBF))].
    """
    for last in (0x7F, 0x7FF, 0xD7FF, 0xDFFF, 0xFFFF):                              # of one length; then surrogates
        if low <= last < high:
            return utf8(low, last) + utf8(last + 1, high)
    if 0xD800 <= low <= 0xDFFF:
        return []
    for bits in range(6, 6 * len(chr(low).encode()), 6):                            # of the last bytes, six in each
        rest = (1 << bits) - 1
        if low >> bits != high >> bits:                                             # then these bits must run freely
            if low & rest:
                return utf8(low, low | rest) + utf8((low | rest) + 1, high)
            if high & rest != rest:
                return utf8(low, (high & ~rest) - 1) + utf8(high & ~rest, high)
    return [tuple(zip(chr(low).encode(), chr(high).encode()))]
