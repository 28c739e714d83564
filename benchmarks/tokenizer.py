"""Training against `tokenizers` and encoding against `tiktoken`, both on one thread, on all of Shakespeare.

The learner's own cell starts with nothing remembered, so ours encodes with an empty cache each time; the last
row shows what a second encoding of the same words costs.
"""
import os

os.environ["RAYON_NUM_THREADS"] = "1"               # one thread, like ours; read when tokenizers is imported
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from benchmarks.harness import Row, compare  # noqa: E402
from helpers.corpora import shakespeare  # noqa: E402
from helpers.tokenizer import BPETokenizer, tiktoken_encoding  # noqa: E402

VOCABULARY = 4096
ENCODING = "cl100k_base"


def run() -> list[Row]:
    text = shakespeare()
    megabytes = len(text.encode()) / 1e6
    lines = text.splitlines(keepends=True)      # tokenizers takes 1.7 s so, 2.7 s for one long string
    openai = tiktoken_encoding(ENCODING)
    warm = BPETokenizer.from_tiktoken(ENCODING)
    if warm.encode(text) != openai.encode(text):
        raise AssertionError("ours and tiktoken's ids differ: their speeds cannot be compared.")
    return [
        compare(f"train BPE to {VOCABULARY:,} tokens", "tokenizers, 1 thread, by lines",
                ours=lambda: BPETokenizer.train(text, VOCABULARY), theirs=lambda: train_peer(lines),
                work=megabytes, unit="MB/s", target=1.5),
        compare(f"encode with {ENCODING}, nothing cached", "tiktoken, 1 thread",
                ours=lambda tokenizer: tokenizer.encode(text), theirs=lambda: openai.encode(text),
                work=megabytes, unit="MB/s", target=1 / 3,
                fresh=lambda: BPETokenizer.from_tiktoken(ENCODING)),
        compare(f"encode with {ENCODING}, words cached", "tiktoken, 1 thread",
                ours=lambda: warm.encode(text), theirs=lambda: openai.encode(text),
                work=megabytes, unit="MB/s", target=1 / 3),
    ]


def train_peer(lines: list[str]) -> Tokenizer:
    """The same training with Hugging Face's library: GPT-2's pattern, all 256 bytes, the same size."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer
