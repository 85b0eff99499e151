"""What of a report is embedded, and what is retrieved: whole reports, their chunks, or means."""

import dataclasses
import hashlib
import itertools
import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from clipit_eva.reports.chunking import CountTokens, chunk_reports
from clipit_eva.reports.corpus import ReportCorpus, fingerprint

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class ReportChunks:
    """The texts that are embedded, and the rows that images are paired with.

    A row is a chunk by `truncate` and `chunk`, and a report with all of its chunks by `mean`.

    Attributes:
        corpus: The reports.
        policy: One of `chunking.POLICIES`.
        table: One row per chunk, in order: `report` (int64, row of the corpus), `chunk` (int32),
            and the characters `start` to `end` (int64) of the report.
        dropped: Share of all tokens that no text encoder reads, in [0, 1); NaN if not counted.
    """

    corpus: ReportCorpus
    policy: str
    table: pd.DataFrame
    dropped: float

    @property
    def texts(self) -> list[str]:
        """The chunks' texts, in order."""
        whole = self.corpus.texts
        places = self.table[["report", "start", "end"]].itertuples(index=False)
        return [whole[report][start:end] for report, start, end in places]

    @property
    def row_texts(self) -> Sequence[str | list[str]]:
        """Each row's text, or its chunks' where it is a mean."""
        texts = self.texts
        if self.policy != "mean":
            return texts
        starts = [*np.flatnonzero(self.table["chunk"] == 0), len(texts)]
        return [texts[start:end] for start, end in itertools.pairwise(starts)]

    @property
    def ids(self) -> list[str]:
        """The report id of each row."""
        ids = self.corpus.ids
        return ids if self.policy == "mean" else [ids[row] for row in self.table["report"]]

    @property
    def numbers(self) -> np.ndarray:
        """The number of each row in its report [chunks], int32."""
        if self.policy == "mean":
            return np.zeros(len(self.corpus), dtype=np.int32)
        return self.table["chunk"].to_numpy(np.int32)

    @property
    def first_rows(self) -> Mapping[str, int]:
        """Each report's first row, by report id; its others follow."""
        return {name: row for row, name in reversed(list(enumerate(self.ids)))}

    @property
    def sha256(self) -> str:
        """Fingerprint of the chunks; with `truncate` the corpus's own."""
        if self.policy == "truncate":
            return self.corpus.sha256
        return hashlib.sha256(f"{self.policy} {self.texts_sha256}".encode()).hexdigest()

    @property
    def texts_sha256(self) -> str:
        """Fingerprint of the chunks; of the reports where these are the chunks."""
        if self.policy == "truncate":
            return self.corpus.sha256
        ids = self.corpus.ids
        places = self.table[["report", "chunk"]].itertuples(index=False)
        return fingerprint((f"{ids[report]} {chunk}" for report, chunk in places), self.texts)

    def combine(self, embeddings: np.ndarray) -> np.ndarray:
        """Returns the chunks' embeddings [chunks, d], float32, unit length, of the chunks'."""
        if self.policy != "mean":
            return embeddings
        starts = np.flatnonzero(self.table["chunk"] == 0)
        sums = np.add.reduceat(embeddings, starts, axis=0, dtype=np.float64)
        chunks = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
        chunks.flags.writeable = False
        return chunks

    def log(self) -> None:
        """Says what the policy makes of the reports and drops."""
        _log.info(
            "%s: %d reports, %d texts to embed; policy %r drops %.1f%% of the tokens",
            *(self.corpus.source, len(self.corpus), len(self.table), self.policy),
            100 * self.dropped,
        )


def whole_reports(corpus: ReportCorpus) -> ReportChunks:
    """Returns each report as its only chunk (`truncate`), without counting tokens."""
    return _place(corpus, "truncate", [[text] for text in corpus.texts], np.nan)


def split_reports(
    corpus: ReportCorpus, policy: str, budget: int, count_tokens: CountTokens
) -> ReportChunks:
    """Splits reports by a policy; arguments and errors are those of `chunking.chunk_reports`."""
    chunks, dropped = chunk_reports(corpus, policy, budget, count_tokens)
    return _place(corpus, policy, chunks, dropped)


def _place(
    corpus: ReportCorpus, policy: str, chunks: Sequence[Sequence[str]], dropped: float
) -> ReportChunks:
    """Finds each report's chunks, which are parts of it in order."""
    rows: list[tuple[int, int, int, int]] = []
    for report, (whole, texts) in enumerate(zip(corpus.texts, chunks, strict=True)):
        end = 0
        for chunk, text in enumerate(texts):
            start = whole.index(text, end)
            end = start + len(text)
            rows.append((report, chunk, start, end))
    table = pd.DataFrame(rows, columns=["report", "chunk", "start", "end"], dtype=np.int64)
    return ReportChunks(corpus, policy, table.astype({"chunk": np.int32}), dropped)
