"""Exercise 0b.3, a cross-entropy that survives: what its check compares with, tries, and recognises."""
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for text, wanted in zip(logits, targets.tolist()):
        for row, target in zip(text, wanted):                                    # (V,)
            if target >= 0:
                largest = max(row.tolist())
                total = sum((logit - largest).exp() for logit in row)
                losses.append(total.log() - (row[target] - largest))
    return sum(losses) / len(losses)


def picked(log_p: Tensor, targets: Tensor) -> Tensor:
    """The log p of each target, 0 where there is none: (B, T)."""
    chosen = log_p.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return chosen * (targets >= 0)


def mean_over_real(log_p: Tensor, targets: Tensor) -> Tensor:
    return -picked(log_p, targets).sum() / (targets >= 0).sum()


def by_powers(logits: Tensor, targets: Tensor) -> Tensor:
    """Powers, their share of the sum, its logarithm."""
    powers = logits.exp()
    return mean_over_real((powers / powers.sum(dim=-1, keepdim=True)).log(), targets)


def by_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """The logit minus the logarithm of the sum of the powers."""
    return mean_over_real(logits - logits.exp().sum(dim=-1, keepdim=True).log(), targets)


def cross_entropy_with_filling(logits, targets):
    V = logits.shape[-1]
    return -logits.log_softmax(dim=-1).gather(-1, (targets % V)[..., None]).mean()


def cross_entropy_by_text(logits, targets):
    each = picked(logits.log_softmax(dim=-1), targets).sum(dim=1) / (targets >= 0).sum(dim=1)         # (B,)
    return -each.mean()


def cross_entropy_without_keepdim(logits, targets):
    shifted = logits - logits.max(dim=-1).values
    return mean_over_real(shifted - shifted.exp().sum(dim=-1).log(), targets)


def cross_entropy_without_values(logits, targets):
    shifted = logits - logits.max(dim=-1, keepdim=True)
    return mean_over_real(shifted.log_softmax(dim=-1), targets)


def cross_entropy_of_every_pair(logits, targets):
    real = targets >= 0
    return -logits.log_softmax(dim=-1)[real][:, targets[real]].mean()


def cross_entropy_without_letter_0(logits, targets):
    real = targets > 0
    return F.cross_entropy(logits[real], targets[real])


def draw_batches(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[0]])),
             (torch.tensor([[[1.0, 0.0], [99.0, 100.0], [5.0, 5.0]]]), torch.tensor([[0, 1, -1]])),
             (torch.tensor([[[120.0, 119.0], [-2.0, 0.0], [0.0, 115.0]]]), torch.tensor([[0, 1, 0]]))]
    numbers = generator(draw)
    for B, T, V, level in ((2, 3, 4, 0), (3, 2, 5, 0), (3, 4, 2, 0), (4, 5, 3, 100), (2, 5, 6, 0), (5, 3, 7, -110)):
        logits = (torch.randn(B, T, V, generator=numbers) * 16).round() / 8 + level            # (B, T, V)
        targets = torch.randint(0, V, (B, T), generator=numbers)                               # (B, T)
        for b in range(B):
            targets[b, max(1, T - b):] = -1                                                    # ever shorter texts
        cases.append((logits, targets))
    return cases


def changed_by_shift(answer) -> str | None:
    numbers = torch.Generator().manual_seed(1)
    logits = (torch.randn(3, 4, 5, generator=numbers) * 16).round() / 8
    targets = torch.tensor([[0, 1, 2, 3], [4, 0, 1, -1], [2, -1, -1, -1]])
    shift = torch.tensor([-96.0, 0.0, 32.0, 96.0])[:, None]                                    # (T, 1)
    before, after = float(answer(logits, targets)), float(answer(logits + shift, targets))
    return None if abs(before - after) < 1e-4 else f"all logits of a place grew alike; {before:.4f} became {after:.4f}."


TOO_LARGE = ("The power of a large logit is infinite in a float32, and inf / inf is nan; very negative logits give log "
             "0. Subtract the largest logit of each place first: the probabilities stay the same.")
NOT_ITS_OWN = ("You subtract the largest logit of the whole batch. Where all logits of a place are far below it, all "
               "powers become 0. Subtract each place's own largest: max(dim=-1, keepdim=True).")

EXERCISE = Exercise(
    id="0b.3", name="cross_entropy", title="A cross-entropy that survives", minutes=25,
    oracle=cross_entropy, cases=draw_batches, gradients=(0,),
    mistakes=(
        Mistake(by_powers, TOO_LARGE),
        Mistake(by_sum, TOO_LARGE),
        Mistake(lambda logits, targets: by_powers(logits - logits.max(), targets), NOT_ITS_OWN),
        Mistake(lambda logits, targets: by_sum(logits - logits.max(), targets), NOT_ITS_OWN),
        Mistake(lambda logits, targets: mean_over_real(logits.softmax(dim=-1).log(), targets),
                "A very small probability becomes 0 in a float32, and log 0 is infinite. Do not take the logarithm of "
                "the quotient: log p is the shifted logit minus the logarithm of the sum."),
        Mistake(lambda logits, targets: -picked(logits.log_softmax(dim=-1), targets).mean(),
                "You divide by B * T. Where the target is -1 nothing is predicted: divide by the number of places "
                "that have a target."),
        Mistake(cross_entropy_with_filling,
                "A target of -1 picks the last letter, as -1 does in every index. It means that there is nothing to "
                "predict: leave such places out."),
        Mistake(lambda logits, targets: -logits.log_softmax(dim=-1).gather(-1, targets[..., None]).mean(),
                "If the index -1 is out of bounds: gather knows no -1, which marks places where nothing is to be "
                "predicted. Leave them out first: with real = targets >= 0, take log_p[real] and targets[real]."),
        Mistake(cross_entropy_without_letter_0,
                "You leave out letter 0 too, as targets > 0 does, and it is a letter like any other. Only -1 means "
                "that there is nothing to predict: targets >= 0."),
        Mistake(cross_entropy_of_every_pair,
                "[:, wanted] takes from every row the letters of all places. Two lists go in pairs: give the row "
                "numbers too, [range(N), wanted], and each row gives one number."),
        Mistake(cross_entropy_without_keepdim,
                "If two sizes do not match: without keepdim=True, max and sum turn (B, T, V) into (B, T), and its T "
                "meets V. Keep the dimension, (B, T, 1), so that each place's number meets the logits of that place."),
        Mistake(cross_entropy_without_values,
                "If you subtract a torch.return_types.max: over a dimension, max returns two tensors, the largest "
                "numbers and their places. The first is wanted: max(dim=-1, keepdim=True).values."),
        Mistake(cross_entropy_by_text,
                "You take the mean of each text, then the mean of those: a letter in a short text counts more than "
                "one in a long text. Take one mean over all places with a target."),
        Mistake(lambda logits, targets: -picked(logits.log_softmax(dim=-1), targets).sum(),
                "This is the sum of the losses. Divide by the number of places that have a target, so that it does "
                "not depend on how much text there is."),
        Mistake(lambda logits, targets: mean_over_real(logits.log_softmax(dim=1), targets),
                "Your probabilities add up to 1 over the places of a text, not over the letters. The letters are the "
                "last dimension: dim=-1."),
        Mistake(lambda logits, targets: mean_over_real(logits.log_softmax(dim=-1), targets) / math.log(2),
                "These are bits: the loss in nats divided by log 2. Use the natural logarithm, torch.log."),
        Mistake(lambda logits, targets: -mean_over_real(logits.log_softmax(dim=-1), targets),
                "A loss is -log p, never below 0. The minus is missing."),
    ),
    hints=("Take one place: which number can you subtract from all its logits so that no power exceeds 1, and at least "
           "one is 1?",
           "Let shifted = logits - logits.max(dim=-1, keepdim=True).values; log p = shifted - the log of the sum of "
           "shifted.exp() over dim=-1, kept too. With real = targets >= 0, log_p[real] has a row for each of N real "
           "places, targets[real] its column. Index with both, row numbers first: range(N)."),
    properties=(Property("the same number added to all logits of a place changes nothing", changed_by_shift),),
)
