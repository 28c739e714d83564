"""Other right answers to the exercises of lessons 02 to 02c."""
import math

import torch
import torch.nn.functional as F


def lookup_gradient_by_one_hot(ids, grad, rows):
    marks = F.one_hot(ids.flatten(), rows).float()                               # (N, V)
    return marks.T @ grad.reshape(-1, grad.shape[-1])                            # (V, N) @ (N, C) -> (V, C)


def lookup_gradient_by_backward(ids, grad, rows):
    table = torch.zeros(rows, grad.shape[-1], requires_grad=True)
    table[ids].backward(grad)
    return table.grad


def lookup_gradient_by_accumulating(ids, grad, rows):
    return torch.zeros(rows, grad.shape[-1]).index_put((ids,), grad, accumulate=True)


def lookup_gradient_row_by_row(ids, grad, rows):
    return torch.stack([grad[ids == row].sum(dim=0) for row in range(rows)])


def ppmi_by_logarithms(counts):
    """log N + log count - log of both sums, where there is a count."""
    each = counts.log() + counts.sum().log() - counts.sum(1, keepdim=True).log() - counts.sum(0).log()
    return torch.where(counts > 0, each, 0.0).relu()


def ppmi_of_pairs(counts):
    result = torch.zeros_like(counts)
    for w, c in counts.nonzero().tolist():
        lift = counts[w, c] * counts.sum() / (counts[w].sum() * counts[:, c].sum())
        result[w, c] = math.log(max(1.0, lift.item()))
    return result


def ppmi_of_conditionals(counts):
    """p(c | w) against p(c)."""
    after = counts / counts.sum(dim=-1, keepdim=True)
    lift = after / (counts.sum(dim=0) / counts.sum())
    return lift.nan_to_num(0.0).clamp(min=1).log()


def ppmi_with_a_tiny_number(counts):
    p = counts / counts.sum().clamp(min=1)
    chance = p.sum(1, keepdim=True) @ p.sum(0, keepdim=True)
    return (p / chance.clamp(min=1e-30) + 1e-12).log().clamp(min=0)


def analogy_by_logarithms(table, a, b, c):
    near = (F.cosine_similarity(table[:, None], table[[a, b, c]], dim=-1) + 1) / 2        # (V, 3)
    scores = near[:, 1].log() + near[:, 2].log() - (near[:, 0] + 0.001).log()
    order = scores.argsort(descending=True).tolist()
    return next(row for row in order if row not in (a, b, c))


def analogy_row_by_row(table, a, b, c):
    best, where = -1.0, None
    for row, vector in enumerate(table):
        if row in {a, b, c}:
            continue
        to_a, to_b, to_c = ((1 + torch.cosine_similarity(vector, table[one], dim=0)) / 2 for one in (a, b, c))
        score = to_b * to_c / (to_a + 1e-3)
        if score > best:
            best, where = score, row
    return where


def analogy_with_a_mask(table, a, b, c):
    unit = F.normalize(table)
    near = (unit @ unit.T).add(1).div(2)                                         # (V, V)
    scores = near[b] * near[c] / (near[a] + 0.001)
    left = torch.ones(len(table)).index_fill(0, torch.tensor([a, b, c]), 0)
    return (scores * left).argmax()                                              # a tensor of no dimension


def without_common_by_eigh(vectors, k):
    rows = vectors - vectors.mean(0, keepdim=True)
    main = torch.linalg.eigh(rows.T @ rows).eigenvectors                         # (C, C)  the strongest last
    for j in range(1, k + 1):
        u = main[:, -j]
        rows = rows - (rows @ u)[:, None] * u
    return rows


def without_common_by_singular_values(vectors, k):
    """Sets the k largest singular values to 0 and puts the rest together again."""
    U, S, Vh = torch.linalg.svd(vectors - vectors.mean(dim=0), full_matrices=False)
    S[:k] = 0
    return U * S @ Vh


def without_common_one_by_one(vectors, k):
    rows = vectors - torch.stack(list(vectors)).mean(dim=0)
    for _ in range(k):
        u = torch.linalg.svd(rows)[2][0]
        rows = rows - torch.outer(rows @ u, u)
    return rows


def sentence_vectors_text_by_text(hidden, mask):
    rows = [F.normalize(one[real].sum(dim=0), dim=0) for one, real in zip(hidden, mask)]
    return torch.stack(rows)


def sentence_vectors_with_where(hidden, mask):
    total = torch.where(mask.unsqueeze(-1), hidden, 0.0).sum(1)                  # (B, C)
    mean = total / mask.sum(-1, keepdim=True).clamp(min=1)
    return mean / (mean.norm(dim=-1, keepdim=True) + 1e-12)


def sentence_vectors_by_product(hidden, mask):
    clean = hidden.clone()
    clean[~mask] = 0
    mean = torch.einsum("bt,btc->bc", mask / mask.sum(-1, keepdim=True).clamp_min(1), clean)
    return F.normalize(mean)


def diverse_with_running_largest(query, vectors, k, balance):
    """Keeps the largest cosine to any chosen text, and renews it with each pick."""
    rows, wanted = F.normalize(vectors), F.normalize(query, dim=0)
    near, like, chosen = rows @ wanted, None, []
    while len(chosen) < k:
        scores = near * balance - (0 if like is None else (1 - balance) * like)
        scores[chosen] = -math.inf
        chosen.append(scores.argmax().item())
        to_new = rows @ rows[chosen[-1]]
        like = to_new if like is None else torch.maximum(like, to_new)
    return chosen


def diverse_in_loops(query, vectors, k, balance):
    chosen, left = [], list(range(len(vectors)))
    for _ in range(k):
        def score(i):
            near = torch.cosine_similarity(query, vectors[i], dim=0)
            like = max([torch.cosine_similarity(vectors[i], vectors[j], dim=0) for j in chosen], default=0)
            return balance * near - (1 - balance) * like
        best = max(left, key=score)
        left.remove(best)
        chosen.append(best)
    return tuple(chosen)


ANSWERS = {
    "2.1": (lookup_gradient_by_one_hot, lookup_gradient_by_backward, lookup_gradient_by_accumulating,
            lookup_gradient_row_by_row),
    "2.2": (ppmi_by_logarithms, ppmi_of_pairs, ppmi_of_conditionals, ppmi_with_a_tiny_number),
    "2.3": (analogy_by_logarithms, analogy_row_by_row, analogy_with_a_mask),
    "2.4": (without_common_by_eigh, without_common_by_singular_values, without_common_one_by_one),
    "2.5": (sentence_vectors_text_by_text, sentence_vectors_with_where, sentence_vectors_by_product),
    "2.6": (diverse_with_running_largest, diverse_in_loops),
}
