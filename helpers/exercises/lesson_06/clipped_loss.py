"""Exercise 6.6, a clip that does not hold: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator
from helpers.exercises.lesson_06.masks import draw_mask


def clipped_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, completion_mask: Tensor, clip: float) -> Tensor:
    gains = []
    B, T = logps.shape
    for b in range(B):
        for t in range(T):
            if completion_mask[b, t]:
                ratio = torch.exp(logps[b, t] - old_logps[b, t])
                if advantages[b, t] > 0 and ratio > 1 + clip:
                    ratio = 1 + clip + 0 * ratio                                 # far enough up: no slope any more
                if advantages[b, t] < 0 and ratio < 1 - clip:
                    ratio = 1 - clip + 0 * ratio                                 # far enough down
                gains.append(ratio * advantages[b, t])
    return -sum(gains) / len(gains)


def quotient(logps: Tensor, old_logps: Tensor) -> Tensor:
    return (logps - old_logps).exp()                                             # (B, T)


def both(ratio: Tensor, advantages: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """The gain as it is, and with the ratio held."""
    return ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages


def smaller(ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    return torch.minimum(*both(ratio, advantages, clip))


def larger(ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    return torch.maximum(*both(ratio, advantages, clip))


def over_answers(gain: Tensor, mask: Tensor) -> Tensor:
    return gain[mask].mean()


def over_all(gain: Tensor, mask: Tensor) -> Tensor:
    return gain.mean()


def loses(gain: Callable = smaller, mean: Callable = over_answers, ratio: Callable = quotient, sign: int = -1
          ) -> Callable:
    """clipped_loss with one thing other than it should be."""
    def answer(logps, old_logps, advantages, completion_mask, clip):
        return sign * mean(gain(ratio(logps, old_logps), advantages, clip), completion_mask)
    return answer


def held_above(ratio, advantages, clip):
    return torch.minimum(ratio * advantages, ratio.clamp(max=1 + clip) * advantages)


def held_below(ratio, advantages, clip):
    return torch.minimum(ratio * advantages, ratio.clamp(min=1 - clip) * advantages)


def clamped_around_0(ratio, advantages, clip):
    return torch.minimum(ratio * advantages, ratio.clamp(-clip, clip) * advantages)


def clamped_gain(ratio, advantages, clip):
    return torch.minimum(ratio * advantages, (ratio * advantages).clamp(1 - clip, 1 + clip))


def clipped_logarithms(logps, old_logps, advantages, completion_mask, clip):
    apart = logps - old_logps
    gain = torch.minimum(apart.exp() * advantages, apart.clamp(-clip, clip).exp() * advantages)
    return -gain[completion_mask].mean()


def mean_of_means(gain, mask):
    return ((gain * mask).sum(dim=1) / mask.sum(dim=1)).mean()


def draw_answers(draw: random.Random) -> list[tuple]:
    ratios = torch.tensor([[3.0, 1.5, 1.5, 0.5, 0.5, 0.2]])
    cases = [(torch.tensor([[-1.0, -1.0]]), torch.tensor([[-1.0, -2.0]]), torch.tensor([[4.0, 1.0]]),
              torch.tensor([[False, True]]), 0.2),
             (ratios.log() - 2, torch.full((1, 6), -2.0), torch.tensor([[5.0, 1.0, -1.0, 1.0, -1.0, 3.0]]),
              torch.tensor([[False, True, True, True, True, False]]), 0.2)]
    numbers = generator(draw)
    for B, T, clip, far in ((2, 3, 0.2, 0.5), (1, 5, 0.1, 0.5), (3, 4, 0.3, 1.0), (2, 7, 0.2, 0.05), (4, 5, 0.2, 0.8),
                            (3, 8, 0.4, 0.7), (5, 6, 0.1, 0.3), (4, 9, 0.2, 1.0), (6, 7, 0.25, 0.6)):
        moved = far * torch.randn(B, T, generator=numbers)
        for edge in (math.log(1 - clip), math.log(1 + clip)):                    # no slope may hang on a rounding
            moved = torch.where((moved - edge).abs() < 0.01, edge + 0.02, moved)
        old_logps = -3 * torch.rand(B, T, generator=numbers)
        cases.append((old_logps + moved, old_logps, torch.randn(B, T, generator=numbers), draw_mask(draw, B, T), clip))
    return cases


def minds_filling(answer) -> str | None:
    numbers = torch.Generator().manual_seed(5)
    logps, old_logps, advantages = (torch.randn(2, 9, generator=numbers) for _ in range(3))
    mask = torch.tensor([[False, True, True, True] + [False] * 5, [False, False, True, True] + [False] * 5])
    losses = [float(answer(logps[:, :T].clone(), old_logps[:, :T].clone(), advantages[:, :T].clone(),
                           mask[:, :T].clone(), 0.2)) for T in (4, 9)]
    return None if abs(losses[0] - losses[1]) < 1e-5 else (f"five more filled places were added, and {losses[0]:.4f} "
                                                           f"became {losses[1]:.4f}.")


EXERCISE = Exercise(
    id="6.6", name="clipped_loss", title="A clip that does not hold", minutes=20,
    oracle=clipped_loss, cases=draw_answers, gradients=(0,),
    mistakes=(
        Mistake(loses(larger, over_all),
                "Both bugs are left. Take a token whose ratio is 1.5 and whose advantage is 1: which of the two gains "
                "is taken? And which places enter the mean?"),
        Mistake(loses(larger),
                "One bug is left: of the two gains you take the larger, and so the clip holds the wrong tokens. One "
                "that has gone far enough must gain no more by going on: the smaller one."),
        Mistake(loses(mean=over_all),
                "One bug is left: requests and filling enter the mean. Only tokens of the answers were written by the "
                "model: gain[completion_mask]."),
        Mistake(loses(mean=lambda gain, mask: (gain * mask).mean()),
                "Requests and filling add nothing to your sum any more, but you still divide by B * T, as if they did. "
                "Divide by completion_mask.sum()."),
        Mistake(loses(mean=mean_of_means),
                "You take the mean of each answer, then of the answers, so that a token of a short one weighs more. "
                "Here all tokens weigh alike: one mean over all."),
        Mistake(loses(mean=lambda gain, mask: gain[mask].sum()),
                "You add up. The loss is the mean over the tokens of the answers."),
        Mistake(loses(mean=lambda gain, mask: gain * mask),
                "You give a loss for each token. One number was asked for: the mean over the answers' tokens."),
        Mistake(loses(gain=lambda *given: both(*given)[1]),
                "You take the clipped gain alone. Then a token that went far the wrong way has no slope either, and "
                "cannot come back: torch.minimum of both."),
        Mistake(loses(gain=lambda *given: both(*given)[0]),
                "You took the clip out. It must hold a token that has gone far enough: torch.minimum of both gains."),
        Mistake(loses(gain=held_above),
                "Nothing holds below 1 - clip. A token that shall become rarer must stop there: clamp(1 - clip, 1 + "
                "clip), as it was."),
        Mistake(loses(gain=held_below),
                "Nothing holds above 1 + clip. A token that shall become more frequent must stop there: clamp(1 - "
                "clip, 1 + clip), as it was."),
        Mistake(loses(gain=clamped_around_0),
                "You clamp around 0. A ratio of 1 means that nothing has moved: clamp(1 - clip, 1 + clip), as it was."),
        Mistake(loses(gain=clamped_gain),
                "You clamp the gain. What is held is the ratio, before it meets the advantage."),
        Mistake(clipped_logarithms,
                "You clamp a difference of logarithms. What is held is the ratio, between 1 - clip and 1 + clip."),
        Mistake(loses(ratio=lambda logps, old_logps: logps / old_logps),
                "You divide the logarithms. The ratio of two probabilities is exp of the difference of their "
                "logarithms, as it was."),
        Mistake(loses(ratio=lambda logps, old_logps: (old_logps - logps).exp()),
                "Your ratio is upside down: it is the new probability over the old one."),
        Mistake(loses(sign=1),
                "The minus is missing. A loss is made smaller, and the gain shall grow."),
    ),
    hints=("Make a table of four tokens by hand: ratio 1.5 or 0.5, advantage 1 or -1. In which of the four has the "
           "token gone far enough? What do the two gains say there?",
           "The smaller of the two gains, torch.minimum, and its mean over gain[completion_mask] alone."),
    properties=(Property("more filling changes nothing", minds_filling),),
)
