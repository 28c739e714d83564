"""Exercise 1.4, longest match, with bytes for the rest: what its check compares with, tries, and recognises."""
import random

from helpers.exercises.exercise import Exercise, Mistake


def encode_longest(text: str, vocabulary: dict[str, int], byte_ids: list[int]) -> list[int]:
    ids, i = [], 0
    while i < len(text):
        for end in range(len(text), i, -1):
            if text[i:end] in vocabulary:
                ids.append(vocabulary[text[i:end]])
                i = end
                break
        else:
            ids += [byte_ids[value] for value in text[i].encode("utf-8")]
            i += 1
    return ids


def encode_with(fallback, shortest: bool = False):
    """encode_longest with another way to write what the vocabulary lacks, or the shortest match."""
    def answer(text, vocabulary, byte_ids):
        ids, i = [], 0
        while i < len(text):
            ends = range(i + 1, len(text) + 1) if shortest else range(len(text), i, -1)
            end = next((end for end in ends if text[i:end] in vocabulary), None)
            ids += [vocabulary[text[i:end]]] if end else fallback(text[i], byte_ids)
            i = end or i + 1
        return ids
    return answer


def in_bytes(character: str, byte_ids: list[int]) -> list[int]:
    return [byte_ids[value] for value in character.encode("utf-8")]


def encode_by_word_or_bytes(text, vocabulary, byte_ids):
    if text in vocabulary:
        return [vocabulary[text]]
    return in_bytes(text, byte_ids)


def draw_vocabularies(draw: random.Random) -> list[tuple]:
    byte_ids = list(range(100, 356))
    small = {"a": 0, "b": 1, "ab": 2, "abc": 3}
    cases = [("ab", small, byte_ids), ("", small, byte_ids), ("abcab", small, byte_ids), ("aé", small, byte_ids),
             ("c", small, byte_ids), ("€a", small, byte_ids), ("a🦙b", small, byte_ids), ("ca", small, byte_ids),
             ("é", small | {"é": 4}, byte_ids), ("bébé", small | {"bé": 4}, byte_ids)]
    for size in range(4, 16):
        tokens = {"".join(draw.choices("abcdé", k=draw.randint(1, 3))) for _ in range(size)}
        vocabulary = {token: i for i, token in enumerate(sorted(tokens))}
        cases.append(("".join(draw.choices("abcdéß€🦙", k=size + 3)), vocabulary, byte_ids[::-1]))
    return cases


EXERCISE = Exercise(
    id="1.4", name="encode_longest", title="Longest match, with bytes for the rest", minutes=20,
    oracle=encode_longest, cases=draw_vocabularies,
    mistakes=(
        Mistake(encode_with(in_bytes, shortest=True),
                "You take the first match, which is the shortest: 'abc' falls into 'a', 'b', .... Begin with the "
                "longest candidate and shorten it."),
        Mistake(encode_with(lambda character, byte_ids: []),
                "A character that the vocabulary lacks disappears. Write its bytes instead, so that the text can be "
                "put together again."),
        Mistake(encode_with(lambda character, byte_ids: [byte_ids[ord(character) % 256]]),
                "ord gives a character's number in Unicode, which can be far above 255. Its bytes are what "
                ".encode(\"utf-8\") gives: one to four of them."),
        Mistake(encode_with(lambda character, byte_ids: list(character.encode("utf-8"))),
                "You append the bytes' values. Byte 195 has the id byte_ids[195], which may be any number."),
        Mistake(encode_with(lambda character, byte_ids: in_bytes(character, byte_ids)[:1]),
                "Only the first byte of a character is written. é has two, € three, 🦙 four."),
        Mistake(encode_by_word_or_bytes,
                "You look up the whole text, and write all of it in bytes when it is not there. Match piece by piece: "
                "only single characters that begin no token become bytes."),
    ),
    hints=("Stand at place i. Which pieces of text can begin there, and in which order should you try them?",
           "Try text[i:end] for end from len(text) down to i + 1; the first that is in the vocabulary wins. If none "
           "is, append byte_ids[value] for each value in text[i].encode(\"utf-8\")."),
)
