"""Examples are pieces of the text with the next token as target; the same number gives the same batch."""
import json

import numpy as np
import pytest
import torch

from helpers.token_data import IGNORE, Examples, Mixed, TokenStream, memory_map

IDS = torch.arange(100, 200)


def test_every_target_is_the_token_after_its_input():
    inputs, targets = TokenStream(IDS).batch(3, 5, 7, seed=1)
    assert inputs.shape == targets.shape == (5, 7)
    assert torch.equal(targets, inputs + 1)                 # the text counts up
    assert torch.equal(inputs[:, 1:], inputs[:, :1] + torch.arange(1, 7))


def test_a_batch_depends_on_its_number_and_seed_alone():
    stream = TokenStream(IDS)
    first = stream.batch(2, 4, 5, seed=0)
    stream.batch(7, 4, 5, seed=0)
    assert torch.equal(stream.batch(2, 4, 5, seed=0)[0], first[0])
    assert not torch.equal(stream.batch(3, 4, 5, seed=0)[0], first[0])
    assert not torch.equal(stream.batch(2, 4, 5, seed=1)[0], first[0])


def test_pieces_come_from_everywhere_and_never_past_the_end():
    stream = TokenStream(torch.arange(10))
    starts = {int(row[0]) for number in range(60) for row in stream.batch(number, 8, 4, 0)[0]}
    assert starts == set(range(6))                          # 10 tokens: the last piece of 4 + 1 starts at 5


def test_pieces_can_begin_where_texts_begin():
    ids = torch.tensor([1, 2, 0, 3, 4, 5, 0, 6, 0, 7, 8, 0])
    stream = TokenStream(ids, begin_after=0)
    firsts = {int(row[0]) for number in range(40) for row in stream.batch(number, 4, 4, 0)[0]}
    assert firsts == {1, 3, 6}                              # from 7 on there is no whole piece any more
    assert torch.equal(torch.cat([x for x, _ in stream.in_order(2, 3)]).flatten(), ids[:9])


def test_a_text_whose_only_beginning_is_its_own_has_one_example():
    stream = TokenStream([1, 2, 3, 4, 5], begin_after=9)
    assert stream.batch(0, 2, 3, 0)[0].tolist() == [[1, 2, 3]] * 2


def test_in_order_covers_the_text_once():
    inputs = torch.cat([x for x, _ in TokenStream(IDS).in_order(3, 9)])
    targets = torch.cat([y for _, y in TokenStream(IDS).in_order(3, 9)])
    assert torch.equal(inputs.flatten(), IDS[:99]) and torch.equal(targets.flatten(), IDS[1:])


@pytest.mark.parametrize("ids", [torch.zeros(3, 3, dtype=torch.int64), torch.zeros(9), np.zeros(4), torch.ones(3) > 0,
                                 [1.5, 2], [1, 2.0], [True, False]])
def test_what_is_no_row_of_whole_numbers_is_refused(ids):
    with pytest.raises(ValueError, match="give whole numbers"):
        TokenStream(ids)


def test_a_list_of_small_whole_numbers_becomes_one_of_usual_ones():
    assert TokenStream([np.uint16(3), np.uint16(60_000)]).largest() == 60_000


def test_a_text_shorter_than_the_context_is_refused():
    with pytest.raises(ValueError, match="ids has 5 tokens.*give at least 6 tokens or choose a smaller context"):
        TokenStream([1, 2, 3, 4, 5]).batch(0, 1, 5, 0)
    assert TokenStream([1, 2, 3, 4, 5]).batch(0, 1, 4, 0)[0].tolist() == [[1, 2, 3, 4]]
    with pytest.raises(ValueError, match="ids has 0 tokens"):
        TokenStream([]).batch(0, 1, 5, 0)


def test_the_question_is_read_and_not_predicted():
    inputs, targets = next(iter(Examples([([5, 6, 7, 8], 2), ([1, 2, 3, 4, 5, 6], 0)]).in_order(2, 10)))
    assert inputs.tolist() == [[5, 6, 7, 0, 0], [1, 2, 3, 4, 5]]
    assert targets.tolist() == [[IGNORE, 7, 8, IGNORE, IGNORE], [2, 3, 4, 5, 6]]


def test_examples_come_all_once_before_one_comes_again():
    examples = Examples([([i, i + 1], 0) for i in range(7)])
    seen = [int(row[0]) for number in range(7) for row in examples.batch(number, 3, 4, 0)[0]]
    for epoch in range(3):
        assert sorted(seen[7 * epoch:7 * epoch + 7]) == list(range(7))
    assert seen[:7] != seen[7:14]
    again = Examples([([i, i + 1], 0) for i in range(7)])
    assert [int(row[0]) for row in again.batch(5, 3, 4, 0)[0]] == seen[15:18]


@pytest.mark.parametrize(("rows", "words"), [([], "rows is empty"), ([([1, 2], 2)], r"rows\[0\] has 2 tokens, 2 of"),
                                             ([([1, 2], 0), ([3], 0)], r"rows\[1\] has 1 tokens"),
                                             ([([1, 2], 0), ([1.5, 2], 0)], r"rows\[1\] is torch.float32; give w")])
def test_examples_that_cannot_be_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        Examples(rows)


def test_an_example_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="an example has 6 tokens; with context 4 at most 5 fit"):
        Examples([([1, 2, 3, 4, 5, 6], 0)]).batch(0, 1, 4, 0)


@pytest.mark.parametrize(("vocabulary", "kind"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_a_large_text_is_read_from_a_file(tmp_path, vocabulary, kind):
    texts = ["ab", "c", "abc"] * 20
    file = tmp_path / "ids.bin"
    ids = memory_map(texts, lambda text: [ord(letter) for letter in text], vocabulary, file)
    assert ids.dtype == kind and bytes(ids.astype(np.uint8)).decode() == "".join(texts)
    assert isinstance(ids, np.memmap)
    inputs, targets = TokenStream(ids).batch(0, 4, 6, 0)
    same, _ = TokenStream(torch.tensor([ord(letter) for letter in "".join(texts)])).batch(0, 4, 6, 0)
    assert torch.equal(inputs, same) and inputs.dtype == targets.dtype == torch.int64
    again = memory_map(iter(()), None, vocabulary, file)    # not encoded again
    assert np.array_equal(ids, again)


def test_a_file_that_is_not_whole_is_refused(tmp_path):
    file = tmp_path / "ids.bin"
    memory_map(["abcdef"], lambda text: [ord(letter) for letter in text], 200, file)
    with pytest.raises(ValueError, match="vocabulary of 200 .* or yours has 300; delete both"):
        memory_map(["abcdef"], None, 300, file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="ids.bin is not the 6 tokens"):
        memory_map(["abcdef"], None, 200, file)
    assert json.loads((tmp_path / "ids.bin.json").read_text())["tokens"] == 6


def test_a_mixed_batch_has_rows_of_both_and_nothing_to_predict_where_it_was_filled_up():
    ones, twos = Examples([([1, 1, 1], 0)]), TokenStream([2] * 20)
    inputs, targets = Mixed(ones, twos, 0.25).batch(0, 8, 5, 0)
    assert inputs.shape == targets.shape == (8, 5)
    assert inputs[:6].tolist() == [[1, 1, 0, 0, 0]] * 6 and inputs[6:].tolist() == [[2] * 5] * 2
    assert targets[:6].tolist() == [[1, 1, IGNORE, IGNORE, IGNORE]] * 6 and targets[6:].tolist() == [[2] * 5] * 2


@pytest.mark.parametrize("share, rows", [(0.0, 0), (1.0, 8)])
def test_a_mixture_may_be_of_one_alone(share, rows):
    mixed = Mixed(TokenStream([1] * 9), TokenStream([2] * 9), share)
    inputs, _ = mixed.batch(0, 8, 4, 0)
    assert int((inputs[:, 0] == 2).sum()) == rows and mixed.largest() == 2
    assert sum(len(inputs) for inputs, _ in mixed.in_order(3, 4)) == 4


def test_a_share_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match="share is 1.5; give 0 to 1"):
        Mixed(TokenStream([1] * 9), TokenStream([2] * 9), 1.5)
