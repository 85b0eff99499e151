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
class ReportWindows:
    """The texts that are embedded, and the units that images are paired with.

    A unit is a window by the policies `truncate` and `chunk`, and a report with all of its windows
    by `mean`.

    Attributes:
        corpus: The reports.
        policy: One of `chunking.POLICIES`.
        spans: One row per window, in order: `report` (int64, row of the corpus), `chunk` (int32),
            and the characters `start` to `end` (int64) of the report.
        dropped: Share of all tokens that no text encoder reads, in [0, 1); NaN if not counted.
    """

    corpus: ReportCorpus
    policy: str
    spans: pd.DataFrame
    dropped: float

    @property
    def texts(self) -> list[str]:
        """The windows' texts, in order."""
        whole = self.corpus.texts
        columns = (self.spans[name].tolist() for name in ("report", "start", "end"))
        return [whole[report][start:end] for report, start, end in zip(*columns, strict=True)]

    @property
    def unit_of_window(self) -> np.ndarray:
        """The unit that each window belongs to [windows], int64, ascending."""
        if self.policy == "mean":
            return self.spans["report"].to_numpy(np.int64)
        return np.arange(len(self.spans))

    @property
    def unit_texts(self) -> Sequence[str | list[str]]:
        """Each unit's text, or its windows' where it is a mean."""
        texts = self.texts
        if self.policy != "mean":
            return texts
        starts = np.searchsorted(self.unit_of_window, np.arange(len(self.corpus) + 1))
        return [texts[start:end] for start, end in itertools.pairwise(starts)]

    @property
    def ids(self) -> list[str]:
        """The report id of each unit."""
        ids = self.corpus.ids
        return ids if self.policy == "mean" else [ids[row] for row in self.spans["report"]]

    @property
    def chunks(self) -> np.ndarray:
        """The number of each unit in its report [units], int32."""
        if self.policy == "mean":
            return np.zeros(len(self.corpus), dtype=np.int32)
        return self.spans["chunk"].to_numpy(np.int32)

    @property
    def first_rows(self) -> Mapping[str, int]:
        """Each report's first unit, by report id; its others follow."""
        return {name: row for row, name in reversed(list(enumerate(self.ids)))}

    @property
    def sha256(self) -> str:
        """Fingerprint of the units; with `truncate` the corpus's own."""
        if self.policy == "truncate":
            return self.corpus.sha256
        return hashlib.sha256(f"{self.policy} {self.texts_sha256}".encode()).hexdigest()

    @property
    def texts_sha256(self) -> str:
        """Fingerprint of the windows; of the reports where these are the windows."""
        if self.policy == "truncate":
            return self.corpus.sha256
        ids = self.corpus.ids
        columns = (self.spans[name].tolist() for name in ("report", "chunk"))
        names = (f"{ids[report]} {chunk}" for report, chunk in zip(*columns, strict=True))
        return fingerprint(names, self.texts)

    def combine(self, embeddings: np.ndarray) -> np.ndarray:
        """Returns the units' embeddings [units, d], float32, unit length, of the windows'."""
        if self.policy != "mean":
            return embeddings
        starts = np.searchsorted(self.unit_of_window, np.arange(len(self.corpus)))
        sums = np.add.reduceat(embeddings, starts, axis=0, dtype=np.float64)
        units = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
        units.flags.writeable = False
        return units

    def log(self) -> None:
        """Says what the policy makes of the reports and drops."""
        _log.info(
            "%s: %d reports, %d texts to embed; policy %r drops %.1f%% of the tokens",
            *(self.corpus.source, len(self.corpus), len(self.spans), self.policy),
            100 * self.dropped,
        )


def whole_reports(corpus: ReportCorpus) -> ReportWindows:
    """Returns each report as its only window (`truncate`), without counting tokens."""
    return ReportWindows(
        corpus, "truncate", _spans(corpus, corpus.texts, range(len(corpus))), np.nan
    )


def split_reports(
    corpus: ReportCorpus, policy: str, budget: int, count_tokens: CountTokens
) -> ReportWindows:
    """Splits reports by a policy; see `chunking.chunk_reports`.

    Args:
        corpus: The reports.
        policy: One of `chunking.POLICIES`.
        budget: Tokens that the text encoder reads, special tokens included.
        count_tokens: Counts the tokens of texts before any truncation.

    Raises:
        InputError: The policy is unknown.
    """
    made = chunk_reports(corpus, policy, budget, count_tokens)
    table = made.table
    spans = _spans(corpus, table["text"].tolist(), table["report"].tolist())
    return ReportWindows(corpus, policy, spans, made.dropped_overall)


def _spans(corpus: ReportCorpus, texts: Sequence[str], reports: Sequence[int]) -> pd.DataFrame:
    """Finds windows in their reports, of which they are parts in order."""
    whole = corpus.texts
    rows: list[tuple[int, int, int, int]] = []
    previous, chunk, end = -1, 0, 0
    for text, report in zip(texts, reports, strict=True):
        chunk, end = (chunk + 1, end) if report == previous else (0, 0)
        start = whole[report].index(text, end)
        end, previous = start + len(text), report
        rows.append((report, chunk, start, end))
    spans = pd.DataFrame(rows, columns=["report", "chunk", "start", "end"], dtype=np.int64)
    return spans.astype({"chunk": np.int32})
