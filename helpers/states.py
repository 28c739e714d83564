"""The states of an automaton, by number, and how far each is from the end of a match."""
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

DEAD, START = 0, 1          # from DEAD nothing leads to a match


def distances(targets: Sequence[Iterable[int]], accepting: Sequence[bool]) -> Tensor:
    """How many steps each state is from an accepting one, (states,); inf where no steps lead to one.

    targets: for each state those that one step leads to.
    """
    before: list[list[int]] = [[] for _ in targets]
    for state, reached in enumerate(targets):
        for target in reached:
            before[target].append(state)
    distance = [0.0 if ends else math.inf for ends in accepting]
    found = [state for state, ends in enumerate(accepting) if ends]
    for state in found:                                                             # nearest first; the list grows
        for earlier in before[state]:
            if distance[earlier] == math.inf:
                distance[earlier] = distance[state] + 1
                found.append(earlier)
    return torch.tensor(distance)
