"""A store of texts and their vectors in one file: DuckDB on disk, and a matrix in memory for speed.

    store = VectorStore("docs.duckdb", model="all-MiniLM-L6-v2", width=384)
    store.add(texts, embed(texts, encoder, tokenizer))
    store.search(embed([question], encoder, tokenizer)[0], k=5)     # [Hit(id, score, text, metadata), ...]

DuckDB lets one process at a time open a file. So each operation opens it, does its work in one transaction, and closes
it; another process (a second notebook) waits for its turn. What `add` has returned from survives whatever comes after.
"""
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

WAIT = 30.0                     # seconds for which another process may hold the file
FRESH = 2.0                     # seconds: a file changed since then may change again without its time showing it
HEADERS = 12_288                # bytes that a DuckDB file has at least; a shorter one is just being made, or cut off
SLICE = 500                     # texts handed to DuckDB at once; old versions are slow with long lists
SLACK = 1e-5                    # far more than float32 loses in a dot product of unit vectors
TURN = threading.RLock()        # threads of one process take turns too


@dataclass(frozen=True)
class Hit:
    """One text that was found."""
    id: str
    score: float                # cosine with the query, -1 to 1
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Index:
    """What a process keeps in memory of the store, and how it knows that the file has changed since."""
    signature: tuple            # of the files when they were read
    trusted: bool               # their last change was long enough before
    created: str
    ids: list[str]
    texts: list[str]
    metadata: list[str]         # as JSON
    matrix: np.ndarray          # (N, C) float32, unit length


class VectorStore:
    """Texts with vectors and metadata in one file, searched by cosine; exact, and shared by several processes.

    path: the file, made if it is not there. model, width: whose vectors these are and how many numbers each has; a
    store that another model or width has made is refused. wait: seconds to wait while another process has the file.
    Raises ValueError for a file that is no such store, or damaged, and leaves it as it is; FileNotFoundError when its
    folder is missing; TimeoutError when another process holds the file for too long.
    """

    def __init__(self, path: str | Path, model: str, width: int, wait: float = WAIT):
        if not isinstance(model, str) or not model.strip():
            raise ValueError(f"model is {model!r}; give the name of the model that makes the vectors.")
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ValueError(f"width is {width!r}; give the number of numbers in a vector, such as 384.")
        self.path, self.model, self.width, self.wait = Path(path), model, width, wait
        self._index: Index | None = None
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"path is {str(path)!r}, and its folder does not exist; make it first.")
        with self._open():                                  # makes it, or checks it
            pass

    def __len__(self) -> int:
        with self._open() as db:
            return count(db)

    def add(self, texts: Sequence[str], vectors: Any, ids: Sequence[str] | None = None,
            metadata: Sequence[dict[str, Any]] | None = None) -> list[str]:
        """Store texts with their vectors, all of them or, if anything goes wrong, none; returns their ids.

        vectors: (N, C) tensor or array. Only their direction is kept: they are stored at unit length, as float32.
        ids: names that no other text in the store has; None numbers them. metadata: a dict for each, kept as JSON.
        Raises ValueError for an empty text, a vector of another width, with nan, or of length 0, an id that is taken.
        """
        if isinstance(texts, str) or len(texts) == 0:
            raise ValueError(f"texts is {texts!r}; give a list of at least one text.")
        for i, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"texts[{i}] is {text!r}; give texts with at least one visible character.")
        rows = unit(vectors, "vectors", len(texts), self.width)                             # (N, C)
        extra = [json.dumps(entry) for entry in metadata] if metadata is not None else ["{}"] * len(texts)
        for name, values in (("ids", ids), ("metadata", extra)):
            if values is not None and len(values) != len(texts):
                raise ValueError(f"{name} holds {len(values)} for {len(texts)} texts; give one for each.")
        with self._open() as db:
            db.execute("BEGIN")
            past = count(db)
            names = [str(past + i) for i in range(len(texts))] if ids is None else [str(name) for name in ids]
            taken = {name for name, in db.execute("SELECT id FROM passages WHERE id IN (SELECT unnest(?::VARCHAR[]))",
                                                  [names]).fetchall()}
            if twice := taken | {name for name, times in Counter(names).items() if times > 1}:
                raise ValueError(f"ids holds {min(twice)!r}, which another text has; give each text an id of its own.")
            vector = f"array_value({', '.join(f'c{c}' for c in range(self.width))})"
            for i in range(0, len(rows), SLICE):
                part = slice(i, i + SLICE)
                columns = np.ascontiguousarray(rows[part].T)                                # (C, slice)
                db.register("arriving", {"i": np.arange(columns.shape[1])} |
                            {f"c{c}": column for c, column in enumerate(columns)})
                db.execute(f"INSERT INTO passages SELECT ? + i, ids[i + 1], texts[i + 1], extras[i + 1], {vector} FROM "
                           "arriving, (SELECT ?::VARCHAR[] AS ids, ?::VARCHAR[] AS texts, ?::VARCHAR[] AS extras)",
                           [past + i, names[part], list(texts[part]), extra[part]])
            db.execute("COMMIT")
        return names

    def search_sql(self, vector: Any, k: int = 10) -> list[Hit]:
        """The k texts whose vectors have the largest cosine with this one, best first, worked out by DuckDB.

        vector: (C,). A pass in float32 finds the candidates, one in float64 orders them; of equal ones, the first that
        was stored comes first. Raises ValueError for another width, nan, k out of range.
        """
        query, C = str(unit(vector, "vector", None, self.width).tolist()), self.width       # fastest as text
        with self._open() as db:
            check_k(k, count(db))
            found = db.execute(
                "WITH rough AS MATERIALIZED (SELECT position, "
                f"array_cosine_similarity(vector, ?::FLOAT[{C}]) AS score FROM passages), "
                "least AS (SELECT min(score) - ? AS score FROM (SELECT score FROM rough ORDER BY score DESC LIMIT ?)) "
                f"SELECT id, array_cosine_similarity(vector::DOUBLE[{C}], ?::DOUBLE[{C}]) AS score, text, metadata "
                "FROM passages WHERE position IN (SELECT position FROM rough, least WHERE rough.score >= least.score) "
                "ORDER BY score DESC, position LIMIT ?", [query, SLACK, k, query, k]).fetchall()
        return [Hit(id, score, text, json.loads(extra)) for id, score, text, extra in found]

    def search(self, vector: Any, k: int = 10) -> list[Hit]:
        """The same as `search_sql`, from a matrix in memory, which is renewed when any process has added something."""
        query = unit(vector, "vector", None, self.width)                                    # (C,)
        index = self._fresh_index()
        check_k(k, len(index.ids))
        scores = index.matrix @ query                                                       # (N, C) @ (C,) -> (N,)
        least = np.partition(scores, -k)[-k] - SLACK
        near = np.flatnonzero(scores >= least)                                  # the k best, and any that may be equal
        rows = index.matrix[near].astype(np.float64)                            # (near, C), exactly this time
        exact = (rows * query.astype(np.float64)).sum(axis=1)
        exact /= np.sqrt((rows ** 2).sum(axis=1)) * np.sqrt((query.astype(np.float64) ** 2).sum())
        best = np.lexsort((near, -exact))[:k]
        return [Hit(index.ids[i], float(score), index.texts[i], json.loads(index.metadata[i]))
                for i, score in zip(near[best], exact[best])]

    def vectors(self) -> np.ndarray:
        """All vectors (N, C), in the order in which they were stored, at unit length. A copy."""
        return self._fresh_index().matrix.copy()

    # The file --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, open for one operation; what was not committed is undone."""
        with TURN:
            db = self._connect()
            try:
                self._check(db)
                yield db
            except duckdb.Error as error:
                raise (self._unusable(error) if is_damage(error) else error) from error
            finally:
                db.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting while another process has it."""
        end = time.monotonic() + self.wait
        while True:
            try:
                if self.path.exists():
                    with self.path.open("rb"):              # what is no file, or not ours to read, says so itself
                        pass
                    if self.path.stat().st_size == 0:
                        raise duckdb.IOException("the file is empty")
                return duckdb.connect(str(self.path))
            except duckdb.Error as error:
                being_made = self._age() < FRESH and self.path.stat().st_size < HEADERS
                if not is_held(error) and not being_made:
                    raise (self._unusable(error) if is_damage(error) else error) from error
                if time.monotonic() > end:
                    raise TimeoutError(f"{self.path} has been open in another program for {self.wait:g} seconds; "
                                       f"close it there, or give a longer wait. DuckDB says: {first_line(error)}"
                                       ) from error
            time.sleep(random.uniform(0.002, 0.02))         # not in step with whoever else is waiting

    def _check(self, db: duckdb.DuckDBPyConnection) -> None:
        """Make the tables in a new file; refuse one that others have made."""
        tables = {name for name, in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if not tables:
            db.execute("BEGIN")
            db.execute("CREATE TABLE about (model VARCHAR, width INTEGER, created VARCHAR)")
            db.execute("CREATE TABLE passages (position BIGINT PRIMARY KEY, id VARCHAR NOT NULL, text VARCHAR NOT NULL,"
                       f" metadata VARCHAR NOT NULL, vector FLOAT[{self.width}] NOT NULL)")
            db.execute("INSERT INTO about VALUES (?, ?, ?)", [self.model, self.width, uuid.uuid4().hex])
            db.execute("COMMIT")
            return
        if not {"about", "passages"} <= tables:
            raise ValueError(f"{self.path} is a DuckDB file with the tables {', '.join(sorted(tables))} and no vector "
                             "store; give another path.")
        model, width = db.execute("SELECT model, width FROM about").fetchone()
        if model != self.model:
            raise ValueError(f"model is {self.model!r}, and {self.path} holds vectors of {model!r}, which cannot be "
                             "compared with them; give that model, or another path.")
        if width != self.width:
            raise ValueError(f"width is {self.width}, and {self.path} holds vectors of {width} numbers; give that "
                             "width, or another path.")

    def _unusable(self, error: Exception) -> ValueError:
        return ValueError(f"{self.path} cannot be used as a vector store, and was left as it is; put back a copy of "
                          f"it, or give another path. DuckDB says: {first_line(error)}")

    def _age(self) -> float:
        """Seconds since the file was last changed; a long time if there is none."""
        return time.time() - self.path.stat().st_mtime if self.path.exists() else float("inf")

    # The matrix in memory --------------------------------------------------------------------------------------------

    def _signature(self) -> tuple:
        """What changes when somebody writes: which file, its size, its time; and those of what is yet to be merged."""
        files = (self.path, self.path.with_name(self.path.name + ".wal"))
        states = (file.stat() if file.exists() else None for file in files)
        return tuple(state and (state.st_ino, state.st_size, state.st_mtime_ns) for state in states)

    def _fresh_index(self) -> Index:
        """The index, read anew as far as the file may hold more than it."""
        with TURN:
            index = self._index
            if index is not None and index.trusted and index.signature == self._signature():
                return index
            with self._open() as db:
                created, = db.execute("SELECT created FROM about").fetchone()
                if index is None or index.created != created:               # none yet, or another file in its place
                    index = Index((), False, created, [], [], [], np.empty((0, self.width), np.float32))
                past = len(index.ids)
                rows = db.execute("SELECT id, text, metadata FROM passages WHERE position >= ? ORDER BY position",
                                  [past]).fetchall()
                if rows:
                    new = db.execute("SELECT vector FROM passages WHERE position >= ? ORDER BY position",
                                     [past]).fetchnumpy()["vector"]
                    index.ids += [row[0] for row in rows]
                    index.texts += [row[1] for row in rows]
                    index.metadata += [row[2] for row in rows]
                    index.matrix = np.concatenate([index.matrix, np.stack(new)])            # (N, C)
                now = time.time()
            # Closing may have merged and so changed the files; if another process was quicker, the next search looks
            # again, because a file that is so fresh is not trusted.
            index.signature = self._signature()
            index.trusted = all(state is None or now - state[2] / 1e9 > FRESH for state in index.signature)
            self._index = index
            return index


def count(db: duckdb.DuckDBPyConnection) -> int:
    """How many texts are stored."""
    return db.execute("SELECT count(*) FROM passages").fetchone()[0]


def check_k(k: int, stored: int) -> None:
    """Refuse a number of hits that the store cannot give."""
    if stored == 0:
        raise ValueError("the store holds nothing yet; add texts before you search.")
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= stored:
        raise ValueError(f"k is {k!r}; the store holds {stored} texts, give 1 to {stored}.")


def unit(vectors: Any, name: str, rows: int | None, width: int) -> np.ndarray:
    """Vectors as float32 of unit length: (rows, width), or (width,) when rows is None; ValueError for what has none."""
    values = vectors.detach().cpu().numpy() if hasattr(vectors, "detach") else np.asarray(vectors)
    expected = (width,) if rows is None else (rows, width)
    if values.shape != expected or values.dtype.kind not in "fiu":
        raise ValueError(f"{name} is {values.dtype} {values.shape}; give numbers of shape {expected}.")
    values = values.astype(np.float64)
    lengths = np.sqrt((values ** 2).sum(axis=-1, keepdims=True))
    if not np.isfinite(lengths).all():
        raise ValueError(f"{name} holds nan or infinity; a vector needs numbers, look at what made it.")
    if not lengths.all():
        raise ValueError(f"{name} holds a vector of zeros, which points nowhere; look at what made it.")
    return (values / lengths).astype(np.float32)


def is_held(error: Exception) -> bool:
    """Whether DuckDB could not open the file because somebody else has it open."""
    words = str(error).lower()
    return any(sign in words for sign in ("set lock on file", "used by another process", "different configuration"))


def is_damage(error: Exception) -> bool:
    """Whether DuckDB complains about the file, and not about what it was asked."""
    return type(error) is duckdb.Error or isinstance(error, (duckdb.IOException, duckdb.InternalException,
                                                             duckdb.FatalException, duckdb.SerializationException))


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
