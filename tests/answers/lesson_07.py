"""Other right answers to the exercises of lesson 07."""
import math
import struct

import torch
import torch.nn.functional as F


def typical_token_by_token(logits, p):
    if p <= 0 or p >= 1:
        raise ValueError(f"p is {p}; it must lie between 0 and 1")
    q = logits.softmax(dim=-1).tolist()
    entropy = -sum(one * math.log(one) for one in q if one > 0)
    left = [i for i, one in enumerate(q) if one > 0]
    result, total = torch.full_like(logits, -torch.inf), 0.0
    while total < p and left:
        nearest = min(left, key=lambda i: abs(math.log(q[i]) + entropy))
        left.remove(nearest)
        result[nearest] = logits[nearest]
        total += q[nearest]
    return result


def typical_by_ranks(logits, p):
    """Each token by what nearer ones hold."""
    if not 0 < p < 1:
        raise ValueError("p must be above 0 and below 1")
    probabilities = logits.softmax(dim=0)
    surprisal = torch.where(probabilities > 0, -probabilities.log(), 1e9)
    distance = (surprisal - (probabilities * surprisal).sum()).abs()             # (V,)
    before = (probabilities * (distance < distance[:, None])).sum(dim=1)         # (V, V) -> (V,)
    return torch.where(before < p, logits, -torch.inf)


def typical_by_scatter(logits, p):
    """As transformers does it: everything behind the first that reaches p is taken out."""
    if not (p > 0 and p < 1):
        raise ValueError(f"`p` has to be a float between 0 and 1, but is {p}")
    logps = F.log_softmax(logits, dim=-1)
    entropy = -(logps * logps.exp()).nansum(-1, keepdim=True)
    _, order = torch.sort((-logps - entropy).abs())
    reached = logits[order].softmax(dim=-1).cumsum(dim=-1)                       # (V,)
    last = (reached < p).sum().clamp(max=len(logits) - 1)
    behind = torch.arange(len(logits)) > last
    return logits.masked_fill(torch.zeros_like(behind).scatter(0, order, behind), -torch.inf)


def presence_frequency_by_scatter(logits, ids, presence, frequency):
    count = torch.zeros_like(logits).scatter_add(1, ids, torch.ones(ids.shape))
    return logits - frequency * count - presence * count.clamp(max=1)


def presence_frequency_by_bincount(logits, ids, presence, frequency):
    counts = torch.stack([torch.bincount(row, minlength=logits.shape[1]) for row in ids])
    return torch.where(counts > 0, logits - (presence + frequency * counts), logits)


def presence_frequency_one_by_one(logits, ids, presence, frequency):
    result = logits.clone()
    for b, row in enumerate(ids.tolist()):
        for token in set(row):
            result[b, token] -= presence
        for token in row:
            result[b, token] -= frequency
    return result


def paged_attention_row_by_row(q, keys, values, table, lengths):
    rows = []
    for query, pages, length in zip(q, table, lengths.tolist()):
        k, v = (pool[pages].flatten(0, 1)[:length] for pool in (keys, values))  # (S, H, D)
        weights = ((k * query).sum(dim=-1) / query.shape[-1] ** 0.5).softmax(dim=0)              # (S, H)
        rows.append((weights[..., None] * v).sum(dim=0))                         # (H, D)
    return torch.stack(rows)


def paged_attention_by_pytorch(q, keys, values, table, lengths):
    P = keys.shape[1]
    place = torch.arange(int(lengths.max()))                                     # (S,)
    at = (table[:, place // P], place % P)                                       # pages (B, S) and places in them (S,)
    seen = place < lengths[:, None]                                              # (B, S)
    k, v = keys[at].transpose(1, 2), values[at].transpose(1, 2)                  # (B, H, S, D)
    return F.scaled_dot_product_attention(q[:, :, None], k, v, attn_mask=seen[:, None, None])[:, :, 0]


def unpack_q4_0_by_the_gguf_package(blocks):
    """The format's own reader: so the exercise is held to the format."""
    from gguf import GGMLQuantizationType, dequantize

    if blocks.shape[-1] != 18:
        raise ValueError(f"blocks are {tuple(blocks.shape)}; a block has 18 bytes")
    return torch.from_numpy(dequantize(blocks.numpy(), GGMLQuantizationType.Q4_0))


def unpack_q4_0_by_struct(blocks):
    if blocks.shape[1] != 18:
        raise ValueError("these blocks are of another format")
    weights = torch.empty(len(blocks), 32)
    for row, block in zip(weights, blocks):
        scale, *packed = struct.unpack("<e16B", bytes(block.tolist()))
        for i, byte in enumerate(packed):
            high, low = divmod(byte, 16)
            row[i], row[i + 16] = scale * (low - 8), scale * (high - 8)
    return weights


def unpack_q4_0_by_shifts(blocks):
    n, width = blocks.shape
    if width != 18:
        raise ValueError(f"a block of Q4_0 has 18 bytes, these have {width}")
    scale = (blocks[:, 0].int() | blocks[:, 1].int() << 8).to(torch.int16).view(torch.float16)   # (n,)
    halves = blocks[:, None, 2:].int() >> torch.tensor([0, 4])[:, None] & 15     # (n, 2, 16)
    return scale[:, None].float() * (halves.reshape(n, 32) - 8)


def longest_lookup_by_growing(ids, count, longest):
    """Each earlier place, and how far back it agrees with the end; the last of the best."""
    def agrees(place):
        return next((n for n in range(min(longest, place)) if ids[place - n - 1] != ids[-n - 1]), min(longest, place))

    best = max(range(1, len(ids)), key=lambda place: (agrees(place), place), default=0)
    return ids[best:best + count] if best and agrees(best) else []


def longest_lookup_by_table(ids, count, longest):
    """Where each run of tokens was last followed by something."""
    behind = {}
    for n in range(1, longest + 1):
        for place in range(n, len(ids)):
            behind[tuple(ids[place - n:place])] = place
    for n in range(longest, 0, -1):
        if n < len(ids) and tuple(ids[-n:]) in behind:
            place = behind[tuple(ids[-n:])]
            return ids[place:place + count]
    return []


def longest_lookup_by_windows(ids, count, longest):
    tokens = torch.tensor(ids, dtype=torch.long)
    for n in reversed(range(1, min(longest, len(ids) - 1) + 1)):
        windows = tokens[:-1].unfold(0, n, 1)                                    # (T - n, n): the end is not there
        hits = (windows == tokens[-n:]).all(dim=1).nonzero()
        if len(hits):
            start = int(hits[-1]) + n
            return tokens[start:start + count].tolist()
    return []


def allowed_by_slices(pieces, written, choices):
    rests = [choice[len(written):] for choice in choices if choice[:len(written)] == written]
    if not rests:
        raise ValueError(f"no choice begins with {written!r}")
    return torch.tensor([bool(piece) and piece in {rest[:len(piece)] for rest in rests} for piece in pieces])


def allowed_by_beginnings(pieces, written, choices):
    """All texts on the way to a choice, as a set."""
    on_the_way = {choice[:n] for choice in choices for n in range(len(choice) + 1)}
    if written not in on_the_way:
        raise ValueError(f"written is {written!r}; no choice begins so")
    mask = torch.zeros(len(pieces), dtype=torch.bool)
    for i, piece in enumerate(pieces):
        mask[i] = written + piece in on_the_way - {written}
    return mask


ANSWERS = {
    "7.1": (typical_token_by_token, typical_by_ranks, typical_by_scatter),
    "7.2": (presence_frequency_by_scatter, presence_frequency_by_bincount, presence_frequency_one_by_one),
    "7.3": (paged_attention_row_by_row, paged_attention_by_pytorch),
    "7.4": (unpack_q4_0_by_the_gguf_package, unpack_q4_0_by_struct, unpack_q4_0_by_shifts),
    "7.5": (longest_lookup_by_growing, longest_lookup_by_table, longest_lookup_by_windows),
    "7.6": (allowed_by_slices, allowed_by_beginnings),
}
