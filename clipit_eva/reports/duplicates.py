"""Exact and near duplicates among reports, of which the first is kept."""

import logging
import re
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.tcga import patient_of

_log = logging.getLogger(__name__)

NEAR_DUPLICATE = 0.8
"""Jaccard similarity of two reports' shingles from which they are near duplicates."""

SHINGLE_WORDS = 3
"""Consecutive words in a shingle."""

_FEATURES = 1 << 22
_MARGIN = 0.02
"""How far an estimate may fall short of the similarity, since shingles share hashed features."""

_BLOCK = 256
"""Reports compared with all others at a time."""

_WORD = re.compile(r"\w+")
_COLUMNS = {"report_id": str, "duplicate_of": str, "kind": str, "similarity": np.float64}


def find_duplicates(corpus: ReportCorpus, threshold: float = NEAR_DUPLICATE) -> pd.DataFrame:
    """Finds the reports that repeat an earlier one.

    A report is an exact duplicate if its text equals an earlier report's, and a near duplicate if
    its set of shingles (`SHINGLE_WORDS` consecutive words, in lower case, without punctuation)
    has a Jaccard similarity of at least `threshold` with that of an earlier report that is itself
    no duplicate. Reports whose ids name different TCGA patients are no near duplicates: what they
    share is a printed form, what differs may be the diagnosis. Candidates come from a product of
    hashed features and are then compared exactly.

    Returns:
        One row per duplicate, in corpus order: `report_id` (str), `duplicate_of` (str, the first
        such report, which is kept), `kind` (str, "exact" or "near") and `similarity` (float64,
        Jaccard; 1 for exact duplicates).

    Raises:
        InputError: The threshold is not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise InputError(f"near-duplicate threshold {threshold} is not in (0, 1]; give 0.8, say")
    ids, texts = corpus.ids, corpus.texts
    first: dict[str, int] = {}
    rows = [
        (row, first[text], "exact", 1.0)
        for row, text in enumerate(texts)
        if first.setdefault(text, row) != row
    ]
    distinct = list(first.values())
    patients = [patient_of(ids[row]) for row in distinct]
    for later, earlier, similarity in _near([texts[row] for row in distinct], patients, threshold):
        rows.append((distinct[later], distinct[earlier], "near", similarity))
    kept = {row: of for row, of, kind, _ in rows if kind == "near"}
    # What equals a near duplicate repeats the report that is kept.
    rows = [(row, kept.get(of, of), kind, similarity) for row, of, kind, similarity in sorted(rows)]
    named = [(ids[row], ids[of], kind, similarity) for row, of, kind, similarity in rows]
    table = pd.DataFrame(named, columns=list(_COLUMNS)).astype(_COLUMNS)
    exact = int((table["kind"] == "exact").sum())
    _log.info(
        "%s: %d exact and %d near duplicates (Jaccard of %d-word shingles >= %g) in %d reports",
        *(corpus.source, exact, len(table) - exact, SHINGLE_WORDS, threshold, len(corpus)),
    )
    return table


def drop_duplicates(corpus: ReportCorpus, duplicates: pd.DataFrame) -> ReportCorpus:
    """Returns a corpus without the duplicates that `find_duplicates` found in it."""
    kept = ~corpus.table["report_id"].isin(duplicates["report_id"])
    return ReportCorpus.from_table(corpus.table.loc[kept], corpus.source)


def _near(
    texts: list[str], patients: list[str | None], threshold: float
) -> list[tuple[int, int, float]]:
    """Returns (later, first earlier that is kept, Jaccard similarity) of near duplicates."""
    options: dict[str, Any] = {"analyzer": _shingles, "norm": None, "alternate_sign": False}
    vectorizer = HashingVectorizer(n_features=_FEATURES, binary=True, **options)
    features: Any = vectorizer.transform(texts)  # sparse [texts, features]
    sizes = np.asarray(features.sum(axis=1)).ravel()
    others = features.T.tocsr()
    kept = np.ones(len(texts), dtype=bool)
    found = []
    for start in range(0, len(texts), _BLOCK):
        common = (features[start : start + _BLOCK] @ others).tocsr()
        for row in range(start, min(start + _BLOCK, len(texts))):
            line = common[row - start]
            estimates = line.data / (sizes[row] + sizes[line.indices] - line.data)
            near = line.indices[(estimates >= threshold - _MARGIN) & (line.indices < row)]
            for other in np.sort(near[kept[near]]).tolist():
                if (
                    None not in (patients[row], patients[other])
                    and patients[row] != patients[other]
                ):
                    continue
                own, theirs = set(_shingles(texts[row])), set(_shingles(texts[other]))
                similarity = len(own & theirs) / len(own | theirs)
                if similarity >= threshold:
                    found.append((row, other, similarity))
                    kept[row] = False
                    break
    return found


def _shingles(text: str) -> list[str]:
    """Returns a text's shingles; of fewer words than a shingle has, all of them as one."""
    words = _WORD.findall(text.lower())
    size = min(SHINGLE_WORDS, len(words))
    return [" ".join(words[at : at + size]) for at in range(len(words) - size + 1 if words else 0)]
