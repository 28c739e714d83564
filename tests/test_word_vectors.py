"""Words as points: neighbours and analogies against plain loops, and a sentence for what has no answer."""
import math

import pytest
import torch

from helpers import pretrained
from helpers.word_vectors import WordVectors

NAMES = ["king", "queen", "man", "woman", "fig"]
ROWS = torch.tensor([[5.0, 1.0, 0.2], [5.0, -1.0, 0.1], [1.0, 1.0, 0.0], [1.0, -1.0, 0.3], [0.5, 0.0, 4.0]])


@pytest.fixture
def words():
    return WordVectors(NAMES, ROWS)


def by_loops(query):
    """Every word's cosine with a vector, from plain numbers."""
    means = [sum(column) / len(NAMES) for column in zip(*ROWS.tolist())]
    found = []
    for name, row in zip(NAMES, ROWS.tolist()):
        row = [x - mean for x, mean in zip(row, means)]
        dot = sum(x * y for x, y in zip(row, query))
        found.append((name, dot / math.hypot(*row) / math.hypot(*query)))
    return sorted(found, key=lambda pair: -pair[1])


def test_nearest_is_what_the_loops_find(words):
    expected = [pair for pair in by_loops(words.vector("king").tolist()) if pair[0] != "king"]
    found = words.nearest("king", 4)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-6)
    assert found[0][1] == pytest.approx(words.cosine("king", found[0][0]))


def test_analogy_is_the_nearest_to_the_sum(words):
    target = [b - a + c for a, b, c in zip(*(words.vector(word).tolist() for word in ("man", "king", "woman")))]
    everyone = by_loops(target)
    assert [name for name, _ in words.analogy("man", "king", "woman", 5, exclude=False)] == [n for n, _ in everyone]
    assert words.analogy("man", "king", "woman", 1)[0][0] == "queen"
    assert {name for name, _ in words.analogy("man", "king", "woman", 2)} == {"queen", "fig"}


def test_the_length_of_a_query_does_not_matter(words):
    one, ten = words.nearest(ROWS[0], 5), words.nearest(10 * ROWS[0], 5)
    assert [name for name, _ in one] == [name for name, _ in ten]


def test_of_model_has_the_whole_words_of_the_table():
    model, tokenizer = pretrained.smollm2()
    words = WordVectors.of_model(model, tokenizer)
    assert {"king", "King", "JavaScript", "queen", ""} & set(words.words) == {"king", "King", "queen"}
    token = tokenizer.encode(" king")[0]
    rows = model.embed.weight[[tokenizer.encode(" " + word)[0] for word in words.words]]
    direct = torch.nn.functional.normalize(model.embed.weight[token] - rows.mean(dim=0), dim=0)
    assert torch.allclose(words.vector("king"), direct, atol=1e-6)


@pytest.mark.parametrize("call, said", [
    (lambda words: words.nearest("kingg"), "word is 'kingg', which has no vector of its own here; try 'king'."),
    (lambda words: words.nearest("xyzzy"), "word is 'xyzzy', which has no vector of its own here; try a more common"),
    (lambda words: words.nearest(""), "word is '', which has no vector"),
    (lambda words: words.analogy("man", "prince", "woman", 1), "word is 'prince'"),
    (lambda words: words.cosine("king", "x"), "word is 'x'"),
    (lambda words: words.nearest("king", 5), "k is 5; there are 4 words to choose from."),
    (lambda words: words.nearest("king", 0), "k is 0; there are 4 words"),
    (lambda words: words.nearest(torch.ones(2)), r"query has shape \(2,\); give a vector \(3,\)."),
    (lambda words: words.nearest(ROWS[0] * torch.nan), "query holds nan or inf, or nothing but 0"),
    (lambda words: words.nearest(torch.zeros(3)), "query holds nan or inf, or nothing but 0"),
    (lambda words: words.nearest("king", 1, without="queen"), "without is 'queen'; give a list of words."),
    (lambda words: words.nearest("king", 1, without=["qeen"]), "word is 'qeen'"),
    (lambda words: WordVectors(NAMES, ROWS[:4]), r"vectors has shape \(4, 3\) and there are 5 words"),
    (lambda words: WordVectors(["a", "b", "a"], ROWS[:3]), "words holds 'a' twice; give each word once."),
    (lambda words: WordVectors(["a", "b"], ROWS[:2] * torch.inf), "vectors holds inf or nan"),
])
def test_what_has_no_answer_is_refused(words, call, said):
    with pytest.raises(ValueError, match=said):
        call(words)
