"""Other right answers to the exercises of lessons 03 to 03e."""
import math

import torch
import torch.nn.functional as F


def window_scores_by_triangles(scores, window):
    keep = torch.ones_like(scores).tril() - torch.ones_like(scores).tril(-window)
    return torch.where(keep > 0, scores, -torch.inf)


def window_scores_row_by_row(scores, window):
    result = torch.full(scores.shape, float("-inf"))
    for t in range(scores.shape[-1]):
        past = slice(max(0, t - window + 1), t + 1)
        result[..., t, past] = scores[..., t, past]
    return result


def window_scores_by_adding(scores, window):
    seen = torch.ones(scores.shape[-1], scores.shape[-1]).tril().triu(1 - window)
    return scores + seen.log()                                                   # log 0 is -inf


def grouped_attention_by_pytorch(q, k, v):
    return F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)[0]


def grouped_attention_by_groups(q, k, v):
    """The heads of a group are a dimension of their own; nothing is repeated."""
    (H, T, D), K = q.shape, len(k)
    scores = torch.einsum("kgid,kjd->kgij", q.view(K, H // K, T, D), k) * D ** -0.5
    weights = (scores + torch.full((T, T), -torch.inf).triu(1)).softmax(-1)
    return torch.einsum("kgij,kjd->kgid", weights, v).reshape(H, T, D)


def grouped_attention_head_by_head(q, k, v):
    share = q.shape[0] // k.shape[0]
    mask = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).tril()
    out = []
    for h, one in enumerate(q):
        powers = torch.exp(one @ k[h // share].T / math.sqrt(q.shape[2])) * mask
        out.append(powers / powers.sum(-1, keepdim=True) @ v[h // share])
    return torch.stack(out)


def with_sink_by_logsumexp(scores, sink):
    total = torch.logaddexp(scores.logsumexp(-1), sink[:, None])                 # (H, T)
    return (scores - total[..., None]).exp()


def with_sink_by_share(scores, sink):
    """A softmax, of which the sink leaves a share."""
    left = torch.sigmoid(scores.logsumexp(dim=-1, keepdim=True) - sink.view(-1, 1, 1))
    return F.softmax(scores, dim=-1) * left


def with_sink_by_powers(scores, sink):
    own = sink.reshape(-1, 1, 1)
    top = torch.maximum(scores.amax(dim=-1, keepdim=True), own).detach()
    powers = (scores - top).exp()
    return powers / (powers.sum(-1, keepdim=True) + (own - top).exp())


def with_sink_first(scores, sink):
    (H, T, _), own = scores.shape, sink.unsqueeze(1).repeat(1, scores.shape[1])
    return torch.cat((own.view(H, T, 1), scores), 2).softmax(2)[:, :, 1:]


def rotate_pairs_by_complex(x, base):
    T, D = x.shape[-2:]
    angles = torch.outer(torch.arange(T).float(), base ** (-torch.arange(0, D, 2) / D))
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2)


def rotate_pairs_by_matrices(x, base):
    T, D = x.shape[-2:]
    result = []
    for i in range(D // 2):
        angle = torch.arange(T) * base ** (-2 * i / D)
        cos, sin = angle.cos(), angle.sin()
        turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)      # (T, 2, 2)
        result.append((x[..., 2 * i:2 * i + 2].unsqueeze(-2) @ turn).squeeze(-2))
    return torch.cat(result, dim=-1)


def rotate_pairs_into_a_copy(x, base):
    T, D = x.shape[-2], x.shape[-1]
    angles = torch.arange(T).unsqueeze(1) / base ** (torch.arange(0, D, 2) / D)
    result = torch.empty_like(x)
    result[..., ::2] = x[..., ::2] * angles.cos() - x[..., 1::2] * angles.sin()
    result[..., 1::2] = x[..., 1::2] * angles.cos() + x[..., ::2] * angles.sin()
    return result


def merge_by_logaddexp(out_a, lse_a, out_b, lse_b):
    lse = torch.logaddexp(lse_a, lse_b)
    safe = lse.masked_fill(lse == -torch.inf, 0.0)
    p, q = (lse_a - safe).exp(), (lse_b - safe).exp()
    return p[..., None] * out_a + q[..., None] * out_b, lse


def merge_by_softmax(out_a, lse_a, out_b, lse_b):
    weights = torch.stack([lse_a, lse_b]).softmax(dim=0).nan_to_num()            # (2, ..., T)
    return (weights.unsqueeze(-1) * torch.stack([out_a, out_b])).sum(0), torch.stack([lse_a, lse_b]).logsumexp(0)


def merge_by_sigmoid(out_a, lse_a, out_b, lse_b):
    """As ring attention is often written: move from a towards b."""
    share = torch.sigmoid(lse_b - lse_a).nan_to_num(0.5).unsqueeze(-1)
    return [out_a - share * (out_a - out_b), torch.logaddexp(lse_a, lse_b)]


def merge_token_by_token(out_a, lse_a, out_b, lse_b):
    out, lse = torch.zeros_like(out_a), torch.full_like(lse_a, -torch.inf)
    for at in torch.cartesian_prod(*map(torch.arange, lse_a.shape)).view(-1, lse_a.dim()).tolist():
        at = tuple(at)
        one, other = lse_a[at].item(), lse_b[at].item()
        if max(one, other) > -math.inf:
            p, q = math.exp(one - max(one, other)), math.exp(other - max(one, other))
            out[at] = (p * out_a[at] + q * out_b[at]) / (p + q)
            lse[at] = max(one, other) + math.log(p + q)
    return out, lse


def induction_score_by_masks(weights, ids):
    T = len(ids)
    same = (ids.unsqueeze(1) == ids.unsqueeze(0)).float()
    after = F.pad(same[:, :-1], (1, 0)).tril(-1)                                 # (T, T)
    asked = after.any(dim=-1)
    if not asked.any():
        return 0.0, 0.0
    even = after.sum(-1) / torch.arange(1, T + 1)
    return (weights * after).sum(-1)[asked].mean(), even[asked].mean()           # tensors of no dimension


def induction_score_with_a_table(weights, ids):
    behind, scores, chances = {}, [], []
    for t, token in enumerate(ids.tolist()):
        if t >= 2:                                           # what stands before t is now behind what stands before it
            behind.setdefault(ids[t - 2].item(), []).append(t - 1)
        if token in behind:
            scores.append(weights[t, behind[token]].sum().item())
            chances.append(len(behind[token]) / (t + 1))
    return [sum(scores) / max(1, len(scores)), sum(chances) / max(1, len(chances))]


ANSWERS = {
    "3.1": (window_scores_by_triangles, window_scores_row_by_row, window_scores_by_adding),
    "3.2": (grouped_attention_by_pytorch, grouped_attention_by_groups, grouped_attention_head_by_head),
    "3.3": (with_sink_by_logsumexp, with_sink_by_share, with_sink_by_powers, with_sink_first),
    "3.4": (rotate_pairs_by_complex, rotate_pairs_by_matrices, rotate_pairs_into_a_copy),
    "3.5": (merge_by_logaddexp, merge_by_softmax, merge_by_sigmoid, merge_token_by_token),
    "3.6": (induction_score_by_masks, induction_score_with_a_table),
}
