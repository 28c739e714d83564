"""Exercise 4.2, five bugs: what its check compares with, tries, and recognises."""
import itertools
import math
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator
from helpers.exercises.lesson_04.models import EPS, draw_model, rms_norm


def normed(vector: Tensor, gain: Tensor) -> Tensor:
    return vector / math.sqrt(sum(float(number) ** 2 for number in vector) / len(vector) + EPS) * gain


def forward(ids: Tensor, model: dict, heads: int) -> Tensor:
    x = [model["table"][token] for token in ids.tolist()]                        # T vectors (C,)
    C = len(x[0])
    D = C // heads
    for w in model["blocks"]:
        ready = [w["qkv"] @ normed(vector, w["attn_norm"]) for vector in x]      # T vectors (3 C,)
        for t in range(len(x)):
            mixed = []
            for h in range(heads):
                q = ready[t][h * D:(h + 1) * D]
                keys = torch.stack([one[C + h * D:C + (h + 1) * D] for one in ready[:t + 1]])
                values = torch.stack([one[2 * C + h * D:2 * C + (h + 1) * D] for one in ready[:t + 1]])
                mixed.append((keys @ q / math.sqrt(D)).softmax(dim=0) @ values)  # (D,)
            x[t] = x[t] + w["out"] @ torch.cat(mixed)
        x = [vector + w["down"] @ F.gelu(w["up"] @ normed(vector, w["mlp_norm"])) for vector in x]
    return torch.stack([model["table"] @ normed(vector, model["norm"]) for vector in x])         # (T, V)


def in_heads(part: Tensor, heads: int) -> Tensor:
    return part.view(len(part), heads, -1).transpose(0, 1)                       # (T, C) -> (H, T, D)


STREAM, HEADS, ROOT, MASK, LAST = range(5)


def with_bugs(bugs: tuple[int, ...] = (), split: Callable = in_heads,
              divisor: Callable = lambda T, C, D: math.sqrt(D),
              ahead: Callable = lambda T: torch.ones(T, T).triu(1).bool(), last: Callable = rms_norm) -> Callable:
    """The function as it is given, with some of its five bugs, or with other things wrong."""
    if HEADS in bugs:
        def split(part, heads):
            return part.reshape(heads, len(part), -1)
    if ROOT in bugs:
        def divisor(T, C, D):
            return math.sqrt(C)
    if MASK in bugs:
        def ahead(T):
            return torch.ones(T, T).triu(2).bool()

    def answer(ids, model, heads):
        x, T = model["table"][ids], len(ids)                                     # (T, C)
        C = x.shape[1]
        for w in model["blocks"]:
            y = rms_norm(x, w["attn_norm"])
            x = y if STREAM in bugs else x
            q, k, v = (split(part, heads) for part in (y @ w["qkv"].T).chunk(3, dim=-1))
            scores = q @ k.transpose(-2, -1) / divisor(T, C, C // heads)         # (H, T, T)
            mixed = scores.masked_fill(ahead(T), -torch.inf).softmax(dim=-1) @ v             # (H, T, D)
            x = x + mixed.transpose(0, 1).reshape(T, C) @ w["out"].T
            x = x + F.gelu(rms_norm(x, w["mlp_norm"]) @ w["up"].T) @ w["down"].T
        return (x if LAST in bugs else last(x, model["norm"])) @ model["table"].T
    return answer


def draw_texts(draw: random.Random) -> list[tuple]:
    numbers, cases = generator(draw), []
    for V, C, F_, layers, heads, T in ((3, 2, 2, 1, 1, 1), (3, 2, 3, 1, 1, 2), (4, 4, 3, 1, 2, 1), (5, 4, 6, 1, 2, 3),
                                       (5, 6, 4, 1, 3, 2), (6, 6, 8, 2, 2, 4), (7, 8, 5, 1, 4, 5), (9, 9, 7, 2, 3, 6)):
        ids = torch.randint(V, (T,), generator=numbers)
        cases.append((ids, draw_model(V, C, F_, layers, numbers), heads))
    return cases


def sees_ahead(answer) -> str | None:
    numbers = torch.Generator().manual_seed(5)
    model = draw_model(9, 6, 8, 2, numbers)
    before, after = (answer(torch.tensor([3, 1, 4, *rest]), model, 2).detach()[:3] for rest in ((1, 5), (0, 8)))
    change = (before - after).abs().amax(dim=-1)                                 # (3,)
    return None if change.max() < 1e-4 else f"tokens 3 and 4 were changed, and so did token {int(change.argmax())}."


ONE_LEFT = {
    STREAM: "The norm stands in the stream: what comes in is replaced by its normed form, and its length is lost. Give "
            "the normed copy a name of its own, and add to x as it came.",
    HEADS: "The heads are cut wrongly: reshape(heads, T, D) reads a token's numbers as if they were several tokens'. "
           "Cut each token's C numbers, (T, heads, D); then swap, to (heads, T, D).",
    ROOT: "The scores are divided by the root of C. Each is a dot product of a head's D = C / heads numbers.",
    MASK: "Each token sees the one after it: the mask begins one diagonal too far up. Print torch.ones(4, 4).triu(2).",
    LAST: "The last norm is missing: what leaves the last block is normed once more, with model[\"norm\"], before the "
          "table reads it.",
}
NUDGES = {STREAM: "what is added to what", HEADS: "which number belongs to which head", ROOT: "the size of the scores",
          MASK: "who sees whom", LAST: "what the table reads at the end"}
WORDS = {2: "Two", 3: "Three", 4: "Four", 5: "All five"}
LEFT = tuple(Mistake(with_bugs(bugs), f"{WORDS[len(bugs)]} of the bugs are left. Look at "
                     f"{NUDGES[bugs[0]]}, and at {NUDGES[bugs[-1]]}.")
             for n in range(2, 6) for bugs in itertools.combinations(range(5), n))

EXERCISE = Exercise(
    id="4.2", name="forward", title="Five bugs", minutes=20,
    oracle=forward, cases=draw_texts, tolerance=1e-4,
    mistakes=(
        *(Mistake(with_bugs((bug,)), f"One of the bugs is left. {advice}") for bug, advice in ONE_LEFT.items()),
        *LEFT,
        Mistake(with_bugs(split=lambda part, heads: part.view(len(part), heads, -1)),
                "If two sizes do not match: after view(T, heads, D) the tokens stand first, and attention would run "
                "over heads. Swap: .transpose(0, 1), to (heads, T, D)."),
        Mistake(with_bugs(divisor=lambda T, C, D: math.sqrt(T)),
                "The scores are divided by the root of T. Each is a dot product of D = C / heads numbers."),
        Mistake(with_bugs(divisor=lambda T, C, D: D),
                "The scores are divided by D. It is the root of D."),
        Mistake(with_bugs(ahead=lambda T: torch.ones(T, T).triu(0).bool()),
                "No token sees itself, and the first sees nothing: its softmax is 0 / 0. The mask begins above the "
                "diagonal: triu(1)."),
        Mistake(with_bugs(last=lambda x, gain: rms_norm(x, 1.0)),
                "The last norm has no gains: model[\"norm\"] holds them."),
    ),
    hints=("All five run without an error. Compare with the lesson's block line by line; then give it a text of one "
           "token, and a model of one head: which bugs can do no harm there?",
           "Look at: what the stream keeps when a norm reads it; reshape against transpose, where heads are cut; the "
           "root under the scores; the number in triu; the way from the last block to the table."),
    properties=(Property("changing later tokens changes nothing before them", sees_ahead),),
)
