"""Exercise 4.6, the same model in another basis: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator
from helpers.exercises.lesson_04.models import draw_model, rms_norm


def turn_stream(model: dict, Q: Tensor) -> dict:
    C = len(Q)

    def reads(weight: Tensor, gain: Tensor) -> Tensor:
        """Each row is turned as the stream is, after the gains have been multiplied into it."""
        gains = gain.tolist()
        return torch.stack([sum(row[c] * gains[c] * Q[c] for c in range(C)) for row in weight.tolist()])

    def writes(weight: Tensor) -> Tensor:
        """Each column, a vector that is added to the stream, is turned."""
        columns = [sum(column[c] * Q[c] for c in range(C)) for column in weight.T.tolist()]
        return torch.stack(columns).T.contiguous()

    ones = torch.ones(C)
    return {"table": reads(model["table"], ones), "head": reads(model["table"], model["norm"]), "blocks": [
        {"qkv": reads(w["qkv"], w["attn_norm"]), "out": writes(w["out"]), "up": reads(w["up"], w["mlp_norm"]),
         "down": writes(w["down"])} for w in model["blocks"]]}


def turns(reads: Callable = lambda weight, gain, Q: weight * gain @ Q,
          writes: Callable = lambda weight, Q: Q.T @ weight,
          table: Callable = lambda table, gain, Q: table @ Q, head: Callable = lambda table, gain, Q: table * gain @ Q,
          gains: tuple[str, str] = ("attn_norm", "mlp_norm"), down: Callable | None = None, up: Callable | None = None,
          ) -> Callable:
    """turn_stream with one thing other than it should be."""
    def answer(model, Q):
        given = model["table"], model["norm"], Q
        return {"table": table(*given), "head": head(*given), "blocks": [
            {"qkv": reads(w["qkv"], w[gains[0]], Q), "out": writes(w["out"], Q),
             "up": (up or reads)(w["up"], w[gains[1]], Q), "down": (down or writes)(w["down"], Q)}
            for w in model["blocks"]]}
    return answer


def no_gains(weight: Tensor, gain: Tensor, Q: Tensor) -> Tensor:
    return weight @ Q


def late_gains(weight: Tensor, gain: Tensor, Q: Tensor) -> Tensor:
    return weight @ Q * gain


def turned_back(weight: Tensor, gain: Tensor, Q: Tensor) -> Tensor:
    return weight * gain @ Q.T


def with_old_norms(model, Q):
    return turns()(model, Q) | {"norm": model["norm"]}


def tied(model, Q):
    return {name: part for name, part in turns()(model, Q).items() if name != "head"}


def first_block_alone(model, Q):
    result = turns()(model, Q)
    keys = "qkv", "out", "up", "down"
    result["blocks"][1:] = [{key: w[key] for key in keys} for w in model["blocks"][1:]]
    return result


def in_place(model, Q):
    result = turns()(model, Q)
    for old, new in zip(model["blocks"], result["blocks"]):
        old.update(new)
        del old["attn_norm"], old["mlp_norm"]
    return result | {"blocks": model["blocks"]}


def draw_turn(C: int, numbers: torch.Generator) -> Tensor:
    """A rotation or reflection by chance: (C, C), whose transpose is its inverse."""
    return torch.linalg.qr(torch.randn(C, C, generator=numbers)).Q.contiguous()


def draw_models(draw: random.Random) -> list[tuple]:
    numbers = generator(draw)
    cases = [(draw_model(2, 2, 1, 1, numbers), torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))]
    for V, C, F_, layers in ((3, 2, 2, 1), (2, 3, 4, 1), (4, 3, 2, 2), (5, 4, 6, 1), (6, 4, 4, 1), (7, 5, 8, 1),
                             (6, 6, 6, 2), (11, 8, 5, 1)):
        cases.append((draw_model(V, C, F_, layers, numbers), draw_turn(C, numbers)))
    return cases


def logits(ids: Tensor, table: Tensor, head: Tensor, blocks: list[dict], gains: list, last: Tensor | float) -> Tensor:
    """A model of one head, with its gains or without: (T, V)."""
    x, ahead = table[ids], torch.ones(len(ids), len(ids)).triu(1).bool()
    for w, (one, two) in zip(blocks, gains):
        q, k, v = (rms_norm(x, one) @ w["qkv"].T).chunk(3, dim=-1)
        scores = (q @ k.T / q.shape[-1] ** 0.5).masked_fill(ahead, -torch.inf)
        x = x + scores.softmax(dim=-1) @ v @ w["out"].T
        x = x + F.gelu(rms_norm(x, two) @ w["up"].T) @ w["down"].T
    return rms_norm(x, last) @ head.T


def says_something_else(answer) -> str | None:
    numbers = torch.Generator().manual_seed(7)
    model, ids = draw_model(13, 6, 10, 3, numbers), torch.tensor([4, 0, 11, 4, 7])
    before = logits(ids, model["table"], model["table"], model["blocks"],
                    [(w["attn_norm"], w["mlp_norm"]) for w in model["blocks"]], model["norm"])
    new = answer(model, draw_turn(6, numbers))
    after = logits(ids, new["table"], new["head"], new["blocks"], [(1.0, 1.0)] * 3, 1.0)
    change = float((after - before).detach().abs().max())
    return None if change < 1e-3 else f"a logit of the turned model differs by {change:.3g}."


EXERCISE = Exercise(
    id="4.6", name="turn_stream", title="The same model in another basis", minutes=30,
    oracle=turn_stream, cases=draw_models, tolerance=1e-4,
    mistakes=(
        Mistake(turns(reads=no_gains, head=no_gains),
                "The gains are lost. Multiply each norm's gains into the matrix that reads behind it, as in 4.1, and "
                "then turn: (weight * gain) @ Q."),
        Mistake(turns(reads=late_gains, head=late_gains),
                "You turn first and multiply by the gains then. A gain belongs to a channel of the old basis: "
                "(weight * gain) @ Q."),
        Mistake(turns(head=no_gains),
                "The head is without the last norm's gains. It reads behind that norm: (table * norm) @ Q."),
        Mistake(turns(head=late_gains),
                "In the head you turn first and multiply by the gains then. A gain belongs to a channel of the old "
                "basis: (table * norm) @ Q."),
        Mistake(turns(table=lambda table, gain, Q: table * gain @ Q),
                "The table at the entrance has the last norm's gains. No norm stands between it and the stream: only "
                "the head gets them."),
        Mistake(turns(reads=turned_back, head=turned_back),
                "You turn back what reads. The stream is x @ Q; a matrix that took x takes x @ Q when it is itself "
                "weight @ Q, since Q @ Q.T is the unit matrix."),
        Mistake(turns(reads=turned_back, head=turned_back, writes=lambda weight, Q: Q @ weight,
                      table=lambda table, gain, Q: table @ Q.T),
                "You turn by Q.T throughout. That would leave the logits alone too, but the stream is x @ Q here: the "
                "table becomes table @ Q."),
        Mistake(turns(writes=lambda weight, Q: Q @ weight),
                "What writes is turned the wrong way. h @ weight.T @ Q is added; as a matrix (C, F) that is "
                "Q.T @ weight."),
        Mistake(turns(writes=lambda weight, Q: weight.clone()),
                "What writes is not turned: out and down add in the old basis to a stream in the new one."),
        Mistake(turns(writes=lambda weight, Q: weight @ Q),
                "You turn what comes into out and down. That is no stream: their result is, so turn the rows, "
                "Q.T @ weight."),
        Mistake(turns(down=lambda weight, Q: weight.clone()),
                "Turn down as well: it writes into the stream, as out does."),
        Mistake(turns(down=lambda weight, Q: Q @ weight),
                "You turn down the wrong way: it is Q.T @ weight, as for out."),
        Mistake(turns(up=lambda weight, gain, Q: Q.T @ (weight * gain) if len(weight) == len(Q) else weight * gain),
                "Turn up as you turn qkv. It reads from the stream: its columns turn, (weight * gain) @ Q."),
        Mistake(turns(reads=lambda weight, gain, Q: weight * gain),
                "You turn neither qkv nor up. They read from the stream: (weight * gain) @ Q."),
        Mistake(turns(table=lambda table, gain, Q: table.clone()),
                "The table at the entrance is not turned, so the stream begins in the old basis: table @ Q."),
        Mistake(turns(head=lambda table, gain, Q: table * gain),
                "The head is not turned. It reads from the stream: (table * norm) @ Q."),
        Mistake(turns(gains=("mlp_norm", "attn_norm")),
                "The gains are swapped: attn_norm stands before qkv, mlp_norm before up."),
        Mistake(turns(gains=("attn_norm", "attn_norm")),
                "In up are the gains of attn_norm. The norm before it is mlp_norm."),
        Mistake(turns(reads=lambda weight, gain, Q: weight * gain @ Q if len(weight) != len(Q)
                      else gain[:, None] * weight @ Q),
                "You multiply the rows of a matrix by the gains, at least where it is square. They belong to the "
                "channels that come in, its columns: weight * gain."),
        Mistake(with_old_norms,
                "The old gains are still in your result. They are in the matrices now: give table, head and blocks."),
        Mistake(tied,
                "The head is missing. With the last norm's gains in it, it is no longer the table: both are needed."),
        Mistake(first_block_alone, "Only the first block is turned. Go through all of them."),
        Mistake(in_place,
                "You change the blocks that you were given. Make new dictionaries."),
    ),
    hints=("Let every vector x of the stream become x @ Q. Which matrices read from the stream, and which write to it? "
           "For each write down what it did, and what it must do now, with Q @ Q.T as the unit matrix.",
           "A reader gives norm(x) * gain @ W.T; with x @ Q in the stream, W becomes (W * gain) @ Q. A writer adds h @ "
           "W.T; now it must add h @ W.T @ Q, so W becomes Q.T @ W. The table becomes table @ Q, the head "
           "(table * norm) @ Q."),
    properties=(Property("every logit is as before", says_something_else),),
)
