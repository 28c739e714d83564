"""Muon, which trains the matrices of a transformer, and how the learning rate rises and falls.

AdamW is PyTorch's: lesson 05b builds it and shows both equal. `optimizers` splits a model's parameters between the two.
"""
import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)       # Jordan et al. (2024): steep at 0, so that small singular values grow


@torch.no_grad()
def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """Nearly U Vᵀ of a matrix U S Vᵀ: the same directions, all with a singular value near 1 (about .7 to 1.2).

    Newton-Schulz iterations (Jordan et al., "Muon", 2024) come close enough with matrix products alone, which is much
    faster than a singular value decomposition. Lesson 05b builds it.

    matrix: (..., rows, columns), float; each is taken by itself. Returns the same shape.
    Raises ValueError for fewer than two dimensions.
    """
    if matrix.ndim < 2:
        raise ValueError(f"matrix has shape {tuple(matrix.shape)}; give (..., rows, columns).")
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix                                   # (..., short, long): the smaller product
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)                 # no singular value above 1
    for _ in range(steps):
        square = x @ x.mT                                               # (..., short, short)
        x = a * x + (b * square + c * square @ square) @ x              # a s + b s³ + c s⁵ for each singular value s
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al., 2024): every direction of a matrix moves by the same step.

    For matrices inside the network, not for embeddings, norms and biases. Matrices of one shape are taken together: a
    model has many, and one large product is faster than many small ones. Lesson 05b builds it.

    parameters: tensors of two dimensions. lr: the step, as a share of a matrix of singular values 1.
    momentum: how much of the last direction is kept (Nesterov's form). weight_decay: taken off before the step, times
    lr. Raises ValueError for a parameter that is no matrix and for negative settings.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95,
                 weight_decay: float = 0.0):
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name} is {value}; give a number that is not negative.")
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.ndim != 2:
                raise ValueError(f"a parameter has shape {tuple(parameter.shape)}; Muon takes matrices, "
                                 "AdamW the rest.")
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step against the gradients; a parameter without one stays."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape, parameter.dtype, parameter.device].append(parameter)
            for parameters in alike.values():
                self.update(parameters, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def update(self, parameters: list[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        """Move matrices of one shape (rows, columns)."""
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        kept = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(kept, gradients, 1 - momentum)             # kept = momentum kept + (1 - momentum) gradient
        ahead = torch._foreach_lerp(gradients, kept, momentum)          # Nesterov: look where the momentum leads
        rows, columns = parameters[0].shape
        directions = orthogonalize(torch.stack(ahead))                  # (n, rows, columns)
        if weight_decay:
            torch._foreach_mul_(parameters, 1 - lr * weight_decay)
        torch._foreach_add_(parameters, list(directions.unbind()), alpha=-lr * math.sqrt(max(1.0, rows / columns)))


def schedule(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """What to multiply the learning rate by at a step: up in a straight line, then down along half a cosine wave.

    step: from 0 to steps - 1. warmup: steps of the way up; the first has 1 / warmup. floor: where the way down ends.
    Lesson 05b builds it (Loshchilov and Hutter, 2017). Raises ValueError for a step outside, a warm-up longer than the
    training, and a floor outside 0 to 1.
    """
    if not 0 <= step < steps:
        raise ValueError(f"step is {step}; give one from 0 to steps - 1, {steps - 1}.")
    if not 0 <= warmup <= steps:
        raise ValueError(f"warmup is {warmup}; give from 0 to steps, {steps}.")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor is {floor}; give a share of the learning rate, from 0 to 1.")
    if step < warmup:
        return (step + 1) / warmup
    way = (step - warmup) / max(1, steps - warmup)                      # 0 at the top, 1 just after the end
    return floor + (1 - floor) * (1 + math.cos(math.pi * way)) / 2


def optimizers(model: nn.Module, kind: str, learning_rate: float, muon_learning_rate: float, weight_decay: float,
               betas: tuple[float, float]) -> list[torch.optim.Optimizer]:
    """What trains a Transformer: AdamW alone, or Muon for the matrices of its blocks and AdamW for the rest.

    Weight decay pulls at matrices only: norms and biases have to be free (as in Radford et al., 2018).
    Raises ValueError for another kind, and for a model in which nothing is trained.
    """
    if kind not in ("adamw", "muon"):
        raise ValueError(f"optimizer is {kind!r}; choose adamw or muon.")
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    inner = [p for name, p in named if p.ndim == 2 and ".blocks." in f".{name}"]
    apart = {id(p) for p in inner} if kind == "muon" else set()
    decayed = [p for _, p in named if p.ndim >= 2 and id(p) not in apart]
    free = [p for _, p in named if p.ndim < 2]
    if not named:
        raise ValueError("model has no parameter with requires_grad; call requires_grad_(True) on what shall learn.")
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for _, p in named)
    made: list[torch.optim.Optimizer] = []
    if decayed or free:                                                 # adapters inside the blocks may be all there is
        made.append(torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, betas=betas,
                                      fused=fused))
    if apart:
        made.append(Muon(inner, lr=muon_learning_rate, weight_decay=weight_decay))
    return made
