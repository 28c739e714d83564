"""Vectors of passages against transformers with the same weights, and searching 10,000 of them within a budget of time.

The store is opened and closed for every search by SQL, as it must be so that other processes can use it; the peer of
that is a budget of 60 ms, and of the search in memory 5 ms and scikit-learn's exact search. For a budget the peer just
waits, so a ratio above 1 says that ours took less.
"""
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel

from benchmarks.harness import Row, compare
from helpers import assets, corpora, pretrained, vector_store
from helpers.retrieval import VectorStore, chunk, embed

PASSAGES, N, C, K = 100, 10_000, 384, 10
SQL_BUDGET, MEMORY_BUDGET = 0.060, 0.005                        # seconds


@torch.no_grad()
def run() -> list[Row]:
    from sklearn.neighbors import NearestNeighbors

    encoder, tokenizer = pretrained.minilm()
    texts = [passage for page in corpora.python_docs().values() for passage in chunk(page, tokenizer, 96, 16)]
    texts = texts[::len(texts) // PASSAGES][:PASSAGES]
    bert = peer()
    difference = (embed(texts, encoder, tokenizer) - embed_as_usual(texts, bert, tokenizer)).abs().max().item()
    if difference > 1e-4:
        raise AssertionError(f"ours and transformers' vectors differ by {difference:.2g}; speeds cannot be compared.")
    vectors = np.random.default_rng(0).standard_normal((N, C)).astype(np.float32)
    exact = NearestNeighbors(n_neighbors=K, metric="cosine", algorithm="brute").fit(vectors)
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder) / "store.duckdb", model="noise", width=C)
        store.add([f"text {i}" for i in range(N)], vectors)
        time.sleep(vector_store.FRESH + 0.5)                    # until the file is old enough to be trusted
        ours = [int(hit.id) for hit in store.search(vectors[7], K)]
        if ours != exact.kneighbors(vectors[7:8])[1][0].tolist():
            raise AssertionError("ours and scikit-learn's neighbours differ: their speeds cannot be compared.")
        return [
            compare(f"vectors of {PASSAGES} passages", "transformers, batches of 32 as they come",
                    ours=lambda: embed(texts, encoder, tokenizer),
                    theirs=lambda: embed_as_usual(texts, bert, tokenizer), work=PASSAGES, unit="passages/s",
                    target=1.0),
            compare(f"search {N:,} in memory", "scikit-learn's NearestNeighbors, brute force",
                    ours=lambda: store.search(vectors[7], K), theirs=lambda: exact.kneighbors(vectors[7:8]),
                    work=1, unit="searches/s", target=1.0, repetitions=15),
            compare(f"search {N:,} in memory", "a budget of 5 ms", ours=lambda: store.search(vectors[7], K),
                    theirs=lambda: time.sleep(MEMORY_BUDGET), work=1, unit="searches/s", target=1.0, repetitions=15),
            compare(f"search {N:,} by SQL, opened anew each time", "a budget of 60 ms",
                    ours=lambda: store.search_sql(vectors[7], K), theirs=lambda: time.sleep(SQL_BUDGET),
                    work=1, unit="searches/s", target=1.0, repetitions=15),
        ]


def peer() -> BertModel:
    """MiniLM as transformers has it, with the same weights."""
    from safetensors.torch import load_file

    model = BertModel(BertConfig(**json.loads(assets.path("minilm.config.json").read_text(encoding="utf-8"))))
    model.load_state_dict(load_file(assets.path("minilm.safetensors")), strict=False)
    return model.eval()


def embed_as_usual(texts: list[str], model: BertModel, tokenizer) -> torch.Tensor:
    """Mean pooling as model cards show it: batches of 32 in the order of the texts, padded to the longest of each."""
    found = []
    for i in range(0, len(texts), 32):
        rows = [torch.tensor(encoding.ids) for encoding in tokenizer.encode_batch(texts[i:i + 32])]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)                           # (B, T)
        real = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        hidden = model(input_ids=ids, attention_mask=real).last_hidden_state                    # (B, T, C)
        mean = (hidden * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
        found.append(torch.nn.functional.normalize(mean, dim=-1))
    return torch.cat(found)
