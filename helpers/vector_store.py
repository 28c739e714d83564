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

from helpers.vector_store_input import as_json, check_k, check_text, first_line, list_of_texts, one_each, unit

WAIT = 30.0                     # seconds for which another process may hold the file
FRESH = 2.0                     # seconds: a file changed since then may change again without its time showing it
HEADERS = 12_288                # bytes that a DuckDB file has at least; a shorter one is just being made, or cut off
SLICE = 500                     # texts handed to DuckDB at once; old versions are slow with long lists
SLACK = 1e-5                    # far more than float32 loses in a dot product of unit vectors
WIDEST = 32_768                 # numbers in a vector; DuckDB itself ends at 100,000, and is very slow long before
TURNS: dict[Path, Any] = {}     # a lock for each file: threads of one process take turns too
COLUMNS = ("position", "id", "text", "metadata", "version", "vector")       # of the table passages
NOT_DAMAGE = ("no space left", "not enough space", "quota exceeded", "file too large", "permission denied",
              "access is denied", "read-only file system", "no such file", "too many open files")


@dataclass(frozen=True)
class Hit:
    """One text that was found."""
    id: str
    score: float                # cosine with the query, -1 to 1
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """What a process keeps in memory of the store, and how it knows that the file has changed since."""
    signature: tuple            # of the files when they were read
    trusted: bool               # their last change was long enough before
    version: str                # of the `add` that stored the last text
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
        check_text(model, "model", "give the name of the model that makes the vectors.")
        if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= WIDEST:
            raise ValueError(f"width is {width!r}; give the number of numbers in a vector, such as 384, and at most "
                             f"{WIDEST:,}.")
        if str(path) == ":memory:":
            raise ValueError("path is ':memory:', which is lost when it is closed, after each operation; give a file.")
        self.path, self.model, self.width, self.wait = Path(path).absolute(), model, width, wait
        self._index: Index | None = None
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"path is {str(path)!r}, and its folder does not exist; make it first.")
        with self._open(new=True):                          # makes it, or checks it
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
        texts = list_of_texts(texts)
        rows = unit(vectors, "vectors", len(texts), self.width)                             # (N, C)
        names = None if ids is None else one_each(ids, "ids", str, len(texts))
        extra = ["{}"] * len(texts) if metadata is None else as_json(one_each(metadata, "metadata", dict, len(texts)))
        version = uuid.uuid4().hex                          # no other add, here or in a copy of the file, has it
        with self._open() as db:
            db.execute("BEGIN")
            past = count(db)
            if names is None:                               # of that many numbers, as many as are needed must be free
                names = [name for name, in db.execute(
                    "SELECT n::VARCHAR FROM range(?::BIGINT, ?::BIGINT) AS numbers(n) "
                    "WHERE n::VARCHAR NOT IN (SELECT id FROM passages) ORDER BY n LIMIT ?",
                    [past, 2 * past + len(texts), len(texts)]).fetchall()]
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
                db.execute(f"INSERT INTO passages SELECT ? + i, ids[i + 1], texts[i + 1], extras[i + 1], ?, {vector} "
                           "FROM arriving, (SELECT ?::VARCHAR[] AS ids, ?::VARCHAR[] AS texts, ?::VARCHAR[] AS extras)",
                           [past + i, version, names[part], texts[part], extra[part]])
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
    def _open(self, new: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, open for one operation; what was not committed is undone. new: it is made if it is not there."""
        with self._turn:
            db = self._connect(new)
            try:
                self._check(db, new)
                yield db
            except duckdb.Error as error:
                raise (self._unusable(error) if is_damage(error) else error) from error
            finally:
                db.close()

    @property
    def _turn(self) -> Any:
        return TURNS.setdefault(self.path.resolve(), threading.RLock())

    def _connect(self, new: bool) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting while another process has it."""
        end = time.monotonic() + self.wait
        while True:
            made = not self.path.exists()
            try:
                if not made:
                    with self.path.open("rb"):              # what is no file, or not ours to read, says so itself
                        pass
                    if self.path.stat().st_size == 0:
                        raise duckdb.IOException("the file is empty")
                elif not new:
                    raise FileNotFoundError(f"{self.path} is gone; put it back, or make a new VectorStore.")
                return duckdb.connect(str(self.path))
            except duckdb.Error as error:
                now = state(self.path)
                short = now is not None and now[1] < HEADERS
                if not is_held(error) and not (short and not is_old(now) and is_damage(error)):     # not being made
                    if made and short:
                        self.path.unlink(missing_ok=True)               # no room to make it
                    raise (self._unusable(error) if is_damage(error) else error) from error
                if time.monotonic() > end:
                    raise TimeoutError(f"{self.path} has been open in another program for {self.wait:g} seconds; "
                                       f"close it there, or give a longer wait. DuckDB says: {first_line(error)}"
                                       ) from error
            time.sleep(random.uniform(0.002, 0.02))         # not in step with whoever else is waiting

    def _check(self, db: duckdb.DuckDBPyConnection, new: bool) -> None:
        """Make the tables in a new file; refuse one that others have made."""
        try:
            about = db.execute("SELECT model, width FROM about").fetchall()
            columns = [(name, kind) for name, kind, *_ in db.execute("DESCRIBE passages").fetchall()]
        except (duckdb.CatalogException, duckdb.BinderException):           # no such tables, or not with these columns
            about, columns = [], []
        kinds = ["BIGINT", *["VARCHAR"] * 4, *(f"FLOAT[{width}]" for _, width in about)]
        if columns != list(zip(COLUMNS, kinds)) or len(about) != 1:
            names = [name for name, in db.execute("SELECT table_name FROM information_schema.tables ORDER BY 1"
                                                  ).fetchall()]             # views too
            if names or not new:
                raise ValueError(f"{self.path} is a DuckDB file that holds {', '.join(names) or 'nothing'} and no "
                                 "vector store; give another path.")
            db.execute("BEGIN")
            db.execute("CREATE TABLE about (model VARCHAR, width INTEGER)")
            db.execute("CREATE TABLE passages (position BIGINT PRIMARY KEY, id VARCHAR NOT NULL, text VARCHAR NOT NULL,"
                       f" metadata VARCHAR NOT NULL, version VARCHAR NOT NULL, vector FLOAT[{self.width}] NOT NULL)")
            about = [(self.model, self.width)]
            db.execute("INSERT INTO about VALUES (?, ?)", about[0])
            db.execute("COMMIT")
        (model, width), = about
        if model != self.model:
            raise ValueError(f"model is {self.model!r}, and {self.path} holds vectors of {model!r}, which cannot be "
                             "compared with them; give that model, or another path.")
        if width != self.width:
            raise ValueError(f"width is {self.width}, and {self.path} holds vectors of {width} numbers; give that "
                             "width, or another path.")

    def _unusable(self, error: Exception) -> ValueError:
        return ValueError(f"{self.path} cannot be used as a vector store, and was left as it is; put back a copy of "
                          f"it, or give another path. DuckDB says: {first_line(error)}")

    # The matrix in memory --------------------------------------------------------------------------------------------

    def _signature(self) -> tuple:
        """What changes when somebody writes: which file, its size, its time; and those of what is yet to be merged."""
        return state(self.path), state(self.path.with_name(self.path.name + ".wal"))

    def _fresh_index(self) -> Index:
        """The index, read anew as far as the file may hold more than it, or another file has taken its place."""
        with self._turn:
            index, before = self._index, self._signature()
            if index is not None and index.trusted and index.signature == before:
                return index
            with self._open() as db:
                if index is None or not self._goes_on(db, index):
                    index = Index((), False, "", [], [], [], np.empty((0, self.width), np.float32))
                past, matrix, version = len(index.ids), index.matrix, index.version
                rows = db.execute("SELECT id, text, metadata, version FROM passages WHERE position >= ? "
                                  "ORDER BY position", [past]).fetchall()
                if rows:
                    new = db.execute("SELECT vector FROM passages WHERE position >= ? ORDER BY position",
                                     [past]).fetchnumpy()["vector"]
                    matrix, version = np.concatenate([matrix, np.stack(new)]), rows[-1][3]              # (N, C)
                ids, texts, metadata = ([row[column] for row in rows] for column in range(3))
            # Closing may have merged and so changed the files. If that is so, if another process was quicker, or if the
            # file is so fresh that it may change again within the grain of the clock, the next search looks again.
            after = self._signature()
            trusted = after == before and all(map(is_old, after))
            self._index = Index(after, trusted, version, index.ids + ids, index.texts + texts,
                                index.metadata + metadata, matrix)
            return self._index

    def _goes_on(self, db: duckdb.DuckDBPyConnection, index: Index) -> bool:
        """Whether the file begins with all that the index holds: texts are only ever added after one another, so it
        does if the `add` that stored the index's last one stored that one in this file too."""
        last = db.execute("SELECT version FROM passages WHERE position = ?", [len(index.ids) - 1]).fetchone()
        return last == (index.version,)


def state(file: Path) -> tuple | None:
    """Which file it is, its size, its time in ns; None if there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def is_old(state: tuple | None) -> bool:
    """Whether a file was last changed so long ago that any change from now on shows in its time."""
    return state is None or time.time() - state[2] / 1e9 > FRESH


def count(db: duckdb.DuckDBPyConnection) -> int:
    """How many texts are stored."""
    return db.execute("SELECT count(*) FROM passages").fetchone()[0]


def is_held(error: Exception) -> bool:
    """Whether DuckDB could not open the file because somebody else has it open."""
    words = str(error).lower()
    return any(sign in words for sign in ("set lock on file", "used by another process", "different configuration"))


def is_damage(error: Exception) -> bool:
    """Whether DuckDB complains about the file, and not about what it was asked, or what the system denied it."""
    kinds = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)
    words = str(error).lower()
    return (type(error) is duckdb.Error or isinstance(error, kinds)) and not any(sign in words for sign in NOT_DAMAGE)
