"""Exercise 6c.2, the reward model within: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def implied_probability(chosen_logps: Tensor, rejected_logps: Tensor, ref_chosen_logps: Tensor,
                        ref_rejected_logps: Tensor, beta: float) -> Tensor:
    probabilities = []
    for chosen, rejected, ref_chosen, ref_rejected in zip(
            chosen_logps.tolist(), rejected_logps.tolist(), ref_chosen_logps.tolist(), ref_rejected_logps.tolist()):
        chosen_reward = beta * (chosen - ref_chosen)
        rejected_reward = beta * (rejected - ref_rejected)
        largest = max(chosen_reward, rejected_reward)
        one, other = math.exp(chosen_reward - largest), math.exp(rejected_reward - largest)
        probabilities.append(one / (one + other))
    return torch.tensor(probabilities)                                           # (B,)


def rewards(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float
            ) -> tuple[Tensor, Tensor]:
    """The rewards of chosen and rejected answers, up to what both share: (B,) each."""
    return beta * (chosen - ref_chosen), beta * (rejected - ref_rejected)


def margin(*given) -> Tensor:
    one, other = rewards(*given)
    return one - other


def in_terms_of(probability: Callable[[Tensor], Tensor]) -> Callable:
    """A probability made of the difference of the two rewards."""
    return lambda *given: probability(margin(*given))


def by_powers(*given):
    one, other = (reward.exp() for reward in rewards(*given))
    return one / (one + other)


def by_probabilities(chosen, rejected, ref_chosen, ref_rejected, beta):
    one, other = (chosen.exp() / ref_chosen.exp()) ** beta, (rejected.exp() / ref_rejected.exp()) ** beta
    return one / (one + other)


def draw_pairs(draw: random.Random) -> list[tuple]:
    cases = [tuple(map(torch.tensor, ([-4.0], [-7.0], [-5.0], [-6.5]))) + (0.5,),
             tuple(map(torch.tensor, ([-50.0, -60.0, -120.0], [-55.0, -230.0, -131.0], [-50.0, -260.0, -320.0],
                                [-55.0, -30.0, -330.0]))) + (1.0,)]
    numbers = generator(draw)
    for B, beta, far, level in ((2, 0.1, 3.0, 20), (3, 0.5, 2.0, 30), (1, 1.0, 1.0, 10), (4, 0.2, 4.0, 20),
                                (5, 0.05, 20.0, 40), (6, 2.0, 0.5, 25), (7, 0.3, 3.0, 160), (9, 0.1, 6.0, 30)):
        refs = [-level - 10 * torch.rand(B, generator=numbers) for _ in range(2)]
        moved = [ref + far * torch.randn(B, generator=numbers) for ref in refs]
        cases.append((*moved, *refs, beta))
    return cases


def partial(answer) -> str | None:
    """One of the two answers is preferred; and a model that has not moved has no opinion."""
    numbers = torch.Generator().manual_seed(2)
    chosen, rejected, ref_chosen, ref_rejected = (-10 * torch.rand(5, generator=numbers) for _ in range(4))
    one = answer(chosen.clone(), rejected.clone(), ref_chosen.clone(), ref_rejected.clone(), 0.4)
    other = answer(rejected.clone(), chosen.clone(), ref_rejected.clone(), ref_chosen.clone(), 0.4)
    still = answer(chosen.clone(), rejected.clone(), chosen.clone(), rejected.clone(), 0.4)
    if (one + other - 1).abs().max() < 1e-5 and (still - 0.5).abs().max() < 1e-5:
        return None
    return (f"both orders of a pair have {float((one + other)[0]):.4f} together, and the reference says "
            f"{float(still[0]):.4f}.")


EXERCISE = Exercise(
    id="6c.2", name="implied_probability", title="The reward model within", minutes=10,
    oracle=implied_probability, cases=draw_pairs,
    mistakes=(
        Mistake(lambda *given: margin(*given),
                "That is the difference of the two rewards. Bradley and Terry make a probability of it: its sigmoid."),
        Mistake(in_terms_of(F.logsigmoid),
                "That is the logarithm of the probability, as the loss needs it. Here the probability itself was asked "
                "for."),
        Mistake(in_terms_of(lambda m: -F.logsigmoid(m)),
                "That is DPO's loss. The probability is exp of minus that, or the sigmoid itself."),
        Mistake(in_terms_of(lambda m: torch.sigmoid(-m)),
                "That is the probability of the rejected answer. Take the rewards the other way round."),
        Mistake(lambda chosen, rejected, ref_chosen, ref_rejected, beta: torch.sigmoid(
                    (chosen - ref_chosen) - (rejected - ref_rejected)),
                "The factor beta is missing: a reward is beta times the log-ratio."),
        Mistake(lambda chosen, rejected, ref_chosen, ref_rejected, beta: torch.sigmoid(
                    ((chosen - ref_chosen) - (rejected - ref_rejected)) / beta),
                "You divide by beta, as by a temperature. A reward is beta times the log-ratio."),
        Mistake(lambda chosen, rejected, ref_chosen, ref_rejected, beta: torch.sigmoid(beta * (chosen - rejected)),
                "The reference is missing. An answer's reward is how much likelier it has become, times beta, not how "
                "likely it is."),
        Mistake(lambda chosen, rejected, ref_chosen, ref_rejected, beta: torch.sigmoid(chosen - rejected),
                "You compare how likely the model would write each. Its opinion is in what has changed: the reference "
                "and beta belong to it."),
        Mistake(lambda chosen, rejected, ref_chosen, ref_rejected, beta: torch.sigmoid(
                    beta * (chosen - rejected + ref_chosen - ref_rejected)),
                "You add the reference's difference. It is where the model began: take it off."),
        Mistake(lambda chosen, rejected, ref_chosen, ref_rejected, beta: torch.sigmoid(beta * (chosen - ref_chosen)),
                "You look at the chosen answer alone. A reward says nothing by itself; the difference of two does."),
        Mistake(in_terms_of(lambda m: (m > 0).float()),
                "You say which of the two has the larger reward. How sure the model is was asked for: the sigmoid of "
                "the difference."),
        Mistake(in_terms_of(lambda m: torch.sigmoid(m).mean()),
                "You take the mean over the pairs. Each pair has its own probability: (B,)."),
        Mistake(in_terms_of(lambda m: m.softmax(dim=0)),
                "Your softmax goes over the pairs of the batch, which have nothing to do with each other. It goes over "
                "the two answers of a pair, which is a sigmoid of the difference."),
        Mistake(in_terms_of(lambda m: m.exp() / (1 + m.exp())),
                "Where the rewards lie far apart, exp is infinite in a float32, and inf / inf is nan. torch.sigmoid "
                "takes care of that."),
        Mistake(by_powers,
                "The power of a large reward is infinite in a float32, and inf / inf is nan. Take the difference of "
                "the rewards first, and torch.sigmoid of it."),
        Mistake(by_probabilities,
                "The probability of a long answer is 0 in a float32, and 0 / 0 is nan. Stay with the logarithms: a "
                "ratio is a difference of them."),
    ),
    hints=("What does a reward model say of two answers? And what stands in the place of its reward, if there is none "
           "but a model and the one it began as?",
           "Take torch.sigmoid of beta * ((chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps))."),
    properties=(Property("the two orders of a pair add up to 1, and a model that has not moved says 1/2", partial),),
)
