"""Other right answers to the exercises of lesson 01."""
import codecs
import itertools
import re
from collections import Counter, defaultdict

import regex

from helpers.tokenizer import tiktoken_encoding


def merge_once_by_text(words, new_id):
    """Every token is a character, and merging is str.replace."""
    counts = defaultdict(int)
    for word, n in words.items():
        for i in range(1, len(word)):
            counts[word[i - 1], word[i]] += n
    top = max(counts.values())
    pair = sorted(key for key, value in counts.items() if value == top)[0]
    old, new = "".join(map(chr, pair)), chr(new_id)
    return pair, {tuple(map(ord, "".join(map(chr, word)).replace(old, new))): n for word, n in words.items()}


def merge_once_in_place(words, new_id):
    """Works on a copy, whose lists it changes in place; returns the words in another order, and lists."""
    work = [(list(word), n) for word, n in reversed(words.items())]
    counts = sum((Counter({pair: n * k for pair, k in Counter(itertools.pairwise(word)).items()})
                  for word, n in work), Counter())
    pair = min(counts.items(), key=lambda item: (-item[1], item[0]))[0]
    for word, _ in work:
        i = 0
        while i + 1 < len(word):
            if (word[i], word[i + 1]) == pair:
                word[i:i + 2] = [new_id]
            i += 1
    return [pair, {tuple(word): n for word, n in work}]


def stream_with_codecs(pieces):
    decoder = codecs.getincrementaldecoder("utf-8")()
    return [decoder.decode(piece) for piece in pieces]


def stream_by_first_bytes(pieces):
    """The first byte of a character tells how many there must be."""
    shown, waiting = [], bytearray()
    for piece in pieces:
        text = ""
        for value in piece:
            waiting.append(value)
            first = waiting[0]
            if len(waiting) == 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0):
                text += bytes(waiting).decode()
                waiting.clear()
        shown.append(text)
    return tuple(shown)


def stream_by_what_can_be_read(pieces):
    """Only the cut tail cannot be read, so errors="ignore" ignores nothing else."""
    shown, waiting = [], b""
    for piece in pieces:
        waiting += piece
        shown.append(waiting.decode("utf-8", errors="ignore"))
        waiting = waiting[len(shown[-1].encode("utf-8")):]
    return shown


def split_by_tiktoken(text):
    return regex.findall(tiktoken_encoding("cl100k_base")._pat_str, text)


def split_by_search(text):
    pattern = regex.compile(r"'(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}\p{N}?\p{N}?"
                            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$(?!\n)|\s*[\r\n]|\s+(?!\S)|\s")
    pieces, at = [], 0
    while at < len(text):
        found = pattern.match(text, at)
        pieces.append(found[0])
        at = found.end()
    return pieces


def encode_longest_by_regex(text, vocabulary, byte_ids):
    longest_first = sorted(vocabulary, key=len, reverse=True)
    ids = []
    for piece in re.findall("|".join([*map(re.escape, longest_first), "."]), text, flags=re.DOTALL):
        ids.extend([vocabulary[piece]] if piece in vocabulary else [byte_ids[b] for b in piece.encode()])
    return ids


def encode_longest_recursively(text, vocabulary, byte_ids):
    if not text:
        return []
    starts = [token for token in vocabulary if text.startswith(token)]
    if starts:
        best = max(starts, key=len)
        return [vocabulary[best], *encode_longest_recursively(text[len(best):], vocabulary, byte_ids)]
    here = [byte_ids[int(pair, 16)] for pair in text[0].encode().hex(" ").split()]
    return here + encode_longest_recursively(text[1:], vocabulary, byte_ids)


def chat_cost_by_sums(turns, price_in, price_out, window):
    totals = list(itertools.accumulate(q + a for q, a in turns))
    fitting = sum(total <= window for total in totals)
    kept = turns[:fitting]
    sent = sum(total - answer for total, (_, answer) in zip(totals, kept))
    return sent * (price_in / 1e6) + sum(answer for _, answer in kept) * (price_out / 1e6), fitting


def chat_cost_recursively(turns, price_in, price_out, window, history=0):
    if not turns or history + sum(turns[0]) > window:
        return 0.0, 0
    question, answer = turns[0]
    rest, fitting = chat_cost_recursively(turns[1:], price_in, price_out, window, history + question + answer)
    return rest + (history + question) / 1_000_000 * price_in + answer / 1_000_000 * price_out, fitting + 1


def encode_chat_by_parts(messages, tokenizer):
    def plain(text):
        return tokenizer.encode(text, allowed_special=set(), disallowed_special=())

    parts = [[tokenizer.encode("<|im_start|>", allowed_special="all"), plain(role + "\n" + content),
              tokenizer.encode("<|im_end|>", allowed_special={"<|im_end|>"}), plain("\n")]
             for role, content in messages]
    return [id for message in parts for part in message for id in part]


def encode_chat_with_extend(messages, tokenizer):
    mark = tokenizer.special_tokens
    ids = []
    for role, content in messages:
        text = "\n".join((role, content))
        ids.extend((mark["<|im_start|>"], *tokenizer.encode(text, disallowed_special=[]), mark["<|im_end|>"],
                    *tokenizer.encode("\n")))
    return ids


ANSWERS = {
    "1.1": (merge_once_by_text, merge_once_in_place),
    "1.2": (stream_with_codecs, stream_by_first_bytes, stream_by_what_can_be_read),
    "1.3": (split_by_tiktoken, split_by_search),
    "1.4": (encode_longest_by_regex, encode_longest_recursively),
    "1.5": (chat_cost_by_sums, chat_cost_recursively),
    "1.6": (encode_chat_by_parts, encode_chat_with_extend),
}
