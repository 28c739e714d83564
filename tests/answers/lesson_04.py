"""Other right answers to the exercises of lessons 04 to 04e."""
import itertools
import math

import torch
import torch.nn.functional as F


def fold_norm_by_probing(gain, shift, weight, bias):
    """What the function makes of zeros is the new bias; what one channel adds to it, a column."""
    def both(bare):
        return F.linear(bare * gain + shift, weight, bias)
    zero = both(torch.zeros_like(gain))
    return (both(torch.eye(len(gain))) - zero).T, zero


def fold_norm_by_einsum(gain, shift, weight, bias):
    return [torch.einsum("oc,c->oc", weight, gain), bias + torch.einsum("oc,c->o", weight, shift)]


def fold_norm_by_diagonal(gain, shift, weight, bias):
    return weight @ torch.diag(gain), torch.addmv(bias, weight, shift)


def forward_by_pytorch(ids, model, heads):
    x = F.embedding(ids, model["table"])
    C = x.shape[-1]
    for w in model["blocks"]:
        y = F.rms_norm(x, (C,), w["attn_norm"], eps=1e-5)
        q, k, v = (y @ w["qkv"].T).view(len(ids), 3, heads, C // heads).permute(1, 2, 0, 3)
        mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        x = x + F.linear(mixed.transpose(0, 1).flatten(1), w["out"])
        x = x + F.linear(F.gelu(F.linear(F.rms_norm(x, (C,), w["mlp_norm"], eps=1e-5), w["up"])), w["down"])
    return F.linear(F.rms_norm(x, (C,), model["norm"], eps=1e-5), model["table"])


def forward_head_by_head(ids, model, heads):
    def norm(x, gain):
        return gain * x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5)

    x, T = model["table"][ids].clone(), len(ids)
    D = x.shape[1] // heads
    for w in model["blocks"]:
        parts = (norm(x, w["attn_norm"]) @ w["qkv"].T).split(D, dim=1)           # 3 heads parts (T, D)
        mixed = []
        for h in range(heads):
            powers = (parts[h] @ parts[heads + h].T / D ** 0.5).exp().tril()
            mixed.append(powers / powers.sum(1, keepdim=True) @ parts[2 * heads + h])
        x += torch.cat(mixed, dim=1) @ w["out"].T
        wide = norm(x, w["mlp_norm"]) @ w["up"].T
        x += (wide * (1 + torch.erf(wide / math.sqrt(2))) / 2) @ w["down"].T
    return norm(x, model["norm"]) @ model["table"].T


def count_experts_by_shapes(sizes, experts, active):
    V, C, H, K, D, wide = (sizes[name] for name in ("vocabulary", "d_model", "heads", "kv_heads", "head_size", "d_ff"))
    always, resting = [(V, C), (V, C), (1, C)], []
    for n in experts:
        always += [(H * D, C), (K * D, C), (K * D, C), (C, H * D), (2, C)] + [(n, C)] * (n > 1)
        always += [(wide, C)] * 3 * min(n, active)
        resting += [(wide, C)] * 3 * max(0, n - active)
    used = sum(map(math.prod, always))
    return used + sum(map(math.prod, resting)), used


def count_experts_by_difference(sizes, experts, active):
    C = sizes["d_model"]
    expert = 3 * C * sizes["d_ff"]
    rows = 2 * sizes["head_size"] * (sizes["heads"] + sizes["kv_heads"]) + 2
    held = C * (2 * sizes["vocabulary"] + 1 + rows * len(experts) + sum(n for n in experts if n != 1))
    held += expert * sum(experts)
    return [held, held - expert * sum(n - active for n in experts if n > active)]


def contributions_one_by_one(parts, gain, table, token, other):
    stream = torch.stack(list(itertools.accumulate(parts)))[-1]
    size = math.sqrt(stream.dot(stream).item() / len(stream) + 1e-5)
    return torch.stack([((part / size * gain) * (table[token] - table[other])).sum() for part in parts])


def contributions_by_what_is_missing(parts, gain, table, token, other):
    """The difference of the logits with all parts, less that without one, at the same size."""
    total = parts.sum(dim=0)
    size = total.square().mean().add(1e-5).sqrt()

    def logits(x):
        return x / size * gain @ table.T
    lost = logits(total) - logits(total - parts)                                 # (N, V)
    return lost[:, token] - lost[:, other]


def corrupt_from_the_end(ids, spans, sentinels):
    source, target = list(ids), [sentinels[len(spans)]]
    for mark, (start, end) in reversed(list(zip(sentinels, sorted(spans)))):
        target = [mark] + ids[start:end] + target
        source[start:end] = [mark]
    return source, target


def corrupt_token_by_token(ids, spans, sentinels):
    begins = {start: (mark, end) for mark, (start, end) in zip(sentinels, sorted(spans))}
    source, target, gap = [], [], 0
    for place, token in enumerate(ids):
        if place in begins:
            mark, gap = begins[place]
            source.append(mark)
            target.append(mark)
        (target if place < gap else source).append(token)
    return [source, target + [sentinels[len(spans)]]]


def turn_stream_by_einsum(model, Q):
    def reads(weight, gain):
        return torch.einsum("oc,c,cd->od", weight, gain, Q)

    def writes(weight):
        return torch.einsum("ci,cd->di", weight, Q)
    return {"blocks": [{"qkv": reads(w["qkv"], w["attn_norm"]), "out": writes(w["out"]),
                        "up": reads(w["up"], w["mlp_norm"]), "down": writes(w["down"])} for w in model["blocks"]],
            "head": reads(model["table"], model["norm"]), "table": torch.einsum("vc,cd->vd", model["table"], Q)}


def turn_stream_transposed(model, Q):
    """Columns are vectors of the stream: Q.T turns them from the left."""
    new = {"table": (Q.T @ model["table"].T).T, "head": (Q.T @ (model["norm"][:, None] * model["table"].T)).T,
           "blocks": []}
    for w in model["blocks"]:
        new["blocks"].append({name: (Q.T @ (w[gain][:, None] * w[name].T)).T
                              for name, gain in (("qkv", "attn_norm"), ("up", "mlp_norm"))}
                             | {name: (w[name].T @ Q).T for name in ("out", "down")})
    return new


ANSWERS = {
    "4.1": (fold_norm_by_probing, fold_norm_by_einsum, fold_norm_by_diagonal),
    "4.2": (forward_by_pytorch, forward_head_by_head),
    "4.3": (count_experts_by_shapes, count_experts_by_difference),
    "4.4": (contributions_one_by_one, contributions_by_what_is_missing),
    "4.5": (corrupt_from_the_end, corrupt_token_by_token),
    "4.6": (turn_stream_by_einsum, turn_stream_transposed),
}
