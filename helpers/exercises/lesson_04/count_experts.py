"""Exercise 4.3, many networks and few at work: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

from helpers.exercises.exercise import Exercise, Mistake, Property

MIXTRAL = {"vocabulary": 32_000, "d_model": 4_096, "heads": 32, "kv_heads": 8, "head_size": 128, "d_ff": 14_336}


def count_experts(sizes: dict, experts: list[int], active: int) -> tuple[int, int]:
    C, D = sizes["d_model"], sizes["head_size"]
    held = used = 0
    for rows, columns in ((sizes["vocabulary"], C), (sizes["vocabulary"], C), (C, 1)):           # in, out, last norm
        held, used = held + rows * columns, used + rows * columns
    for number in experts:
        for rows, columns in ((sizes["heads"] * D, C), (sizes["kv_heads"] * D, C), (sizes["kv_heads"] * D, C),
                              (C, sizes["heads"] * D), (number if number > 1 else 0, C), (C, 1), (C, 1)):
            held, used = held + rows * columns, used + rows * columns
        for expert in range(number):
            for rows, columns in ((sizes["d_ff"], C), (sizes["d_ff"], C), (C, sizes["d_ff"])):
                held += rows * columns
                used += rows * columns * (expert < active)
    return held, used


def choosing(n: int, active: int) -> int:
    """The rows of a layer's router: none where there is nothing to choose."""
    return n * (n > 1)


def counts(tables: int = 2, keys: Callable = lambda s: 2 * s["kv_heads"] * s["head_size"],
           wide: Callable = lambda s: s["heads"] * s["head_size"],
           out: Callable = lambda s: s["heads"] * s["head_size"],
           matrices: int = 3, router: Callable = choosing, router_used: Callable | None = None,
           norms: int = 2, last: int = 1, running: Callable = min, biases: Callable = lambda s: 0,
           tables_used: int | None = None) -> Callable:
    """count_experts with one thing other than it should be."""
    def answer(s, experts, active):
        C, both = s["d_model"], []
        for networks, route, number in ((lambda n, active: n, router, tables),
                                        (running, router_used or router,
                                         tables if tables_used is None else tables_used)):
            layers = sum((wide(s) + keys(s) + out(s)) * C + biases(s) + route(n, active) * C + norms * C
                         + networks(n, active) * matrices * s["d_ff"] * C for n in experts)
            both.append(number * s["vocabulary"] * C + layers + last * C)
        return tuple(both)
    return answer


def share_of_all(s, experts, active):
    held = count_experts(s, experts, active)[0]
    return held, held * active // max(experts)


def draw_sizes(draw: random.Random) -> list[tuple]:
    cases = [({"vocabulary": 10, "d_model": 4, "heads": 2, "kv_heads": 1, "head_size": 2, "d_ff": 3}, [3], 1),
             ({"vocabulary": 10, "d_model": 4, "heads": 2, "kv_heads": 1, "head_size": 2, "d_ff": 3}, [1], 1),
             ({"vocabulary": 7, "d_model": 4, "heads": 2, "kv_heads": 2, "head_size": 3, "d_ff": 5}, [1, 4], 2)]
    for scale in range(1, 10):
        kv_heads = draw.randint(1, 2 + scale // 3)
        active = draw.randint(1, 4)
        experts = [draw.choice((1, active + draw.randint(1, 4 * scale))) for _ in range(scale)]
        cases.append(({"vocabulary": draw.randint(20, 900) * scale, "d_model": 8 * draw.randint(1, 9) * scale,
                       "heads": kv_heads * draw.randint(2, 6), "kv_heads": kv_heads,
                       "head_size": 2 * draw.randint(1, 20) * scale, "d_ff": draw.randint(5, 300) * scale},
                      [*experts, active + draw.randint(1, 3)], active))
    return cases


def misses_mixtral(answer) -> str | None:
    held, used = answer(dict(MIXTRAL), [8] * 32, 2)
    if (round(held / 1e8), round(used / 1e8)) != (467, 129):
        return f"Mixtral 8x7B comes out with {held / 1e9:.1f} and {used / 1e9:.1f} thousand million."
    return None


EXERCISE = Exercise(
    id="4.3", name="count_experts", title="Many networks, few at work", minutes=15,
    oracle=count_experts, cases=draw_sizes,
    mistakes=(
        Mistake(counts(running=lambda n, active: n),
                "Both numbers are the same. A token is sent to `active` of a layer's experts: the second number counts "
                "no more."),
        Mistake(counts(running=lambda n, active: active),
                "A layer of one network has no more to send a token to: at work are min(active, number) of them."),
        Mistake(counts(running=lambda n, active: 1),
                "Your second number has one expert a layer. A token is sent to `active` of them, where there are as "
                "many."),
        Mistake(counts(running=lambda n, active: max(n - active, 0)),
                "Your second number counts the experts that rest. It counts those at work: `active` a layer."),
        Mistake(share_of_all,
                "You take active / experts of everything. Only experts rest: tables, attention, routers and norms "
                "work on every token."),
        Mistake(counts(router=lambda n, active: 0),
                "The router is missing: a matrix (experts, d_model) in each layer that has several, which scores "
                "them."),
        Mistake(counts(router=lambda n, active: n),
                "A layer of one network has no router: there is nothing to choose."),
        Mistake(counts(router_used=lambda n, active: 0),
                "Your second number is without the router. It works on every token, since it has to choose."),
        Mistake(counts(router_used=lambda n, active: active * (n > 1)),
                "Your second number has `active` rows of the router. It scores all experts, to choose among them."),
        Mistake(counts(router=lambda n, active: n > 1),
                "Your router has one row. It gives every expert a score: (experts, d_model)."),
        Mistake(counts(keys=lambda s: 2 * s["heads"] * s["head_size"]),
                "You give every query head keys and values of its own. There are kv_heads of them."),
        Mistake(counts(keys=lambda s: s["kv_heads"] * s["head_size"]),
                "Keys and values are two matrices, each of kv_heads * head_size rows."),
        Mistake(counts(wide=lambda s: s["d_model"], out=lambda s: s["d_model"]),
                "You take it that queries are d_model wide. They are heads * head_size, which may be something else; "
                "so are the columns of the matrix after the heads."),
        Mistake(counts(out=lambda s: 0),
                "The matrix after the heads is missing: it brings heads * head_size numbers back to d_model."),
        Mistake(counts(matrices=2),
                "Your networks have two matrices. A SwiGLU network has three: gate, up and down."),
        Mistake(counts(tables=1),
                "You count one table. Here the head has a table of its own: it is not tied."),
        Mistake(counts(tables_used=0),
                "Your second number is without the tables. By the usual count all that is no resting expert is at "
                "work."),
        Mistake(counts(tables_used=1),
                "Your second number has one table. By the usual count all that is no resting expert is at work: both."),
        Mistake(counts(norms=0, last=0), "The norms are missing: two in each layer, and one at the end, d_model each."),
        Mistake(counts(last=0), "The last norm is missing, the one before the head."),
        Mistake(counts(norms=1), "Each layer has two norms: before attention, and before the experts."),
        Mistake(counts(norms=4, last=2), "Your norms have a shift too. RMSNorm has gains alone: d_model numbers each."),
        Mistake(counts(biases=lambda s: (s["heads"] + 2 * s["kv_heads"]) * s["head_size"] + s["d_model"]),
                "You count biases in attention. There are none."),
        Mistake(lambda *given: count_experts(*given)[::-1],
                "The order is wrong: first what is there, then what works on a token."),
        Mistake(lambda s, experts, active: count_experts(s, experts[:1], active),
                "You count one layer. The list has a number for each: go through all of them."),
        Mistake(lambda *given: count_experts(*given)[0],
                "You give one number. Two are asked for: what is there, and what works on a token."),
    ),
    hints=("All but the experts counts fully in both numbers. Write a layer's matrices down as shapes: four of "
           "attention, the router, and three for each expert.",
           "One expert is 3 * d_ff * d_model. The rest of a layer: 2 * heads * head_size * d_model for q and out, 2 * "
           "kv_heads * head_size * d_model for k and v, 2 * d_model, and n * d_model for the router of n experts, if n "
           "is above 1. Outside: 2 * vocabulary * d_model + d_model."),
    properties=(Property("Mixtral comes out as published", misses_mixtral),),
)
