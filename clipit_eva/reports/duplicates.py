"""Exact and near duplicates among reports, of which the first is kept."""

import hashlib
import logging
import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus

_log = logging.getLogger(__name__)

NEAR_DUPLICATE = 0.8
"""Jaccard similarity of two reports' shingles from which they are near duplicates."""

SHINGLE_WORDS = 3
"""Consecutive words in a shingle."""

# 32 bands of 4 hashes miss a pair of Jaccard similarity 0.8 with probability 5e-8, 0.6 with 0.01.
_BANDS, _BAND_ROWS = 32, 4
_HASHES = _BANDS * _BAND_ROWS
# Standard deviations by which a MinHash estimate may fall short of the threshold: 1 in 30,000.
_ESTIMATE_MARGIN = 4.0

_WORD = re.compile(r"\w+")
_UInt64s = npt.NDArray[np.uint64]


def find_duplicates(corpus: ReportCorpus, threshold: float = NEAR_DUPLICATE) -> pd.DataFrame:
    """Finds the reports that repeat an earlier one.

    A report is an exact duplicate if its text equals an earlier report's, and a near duplicate if
    its set of shingles (`SHINGLE_WORDS` consecutive words, in lower case, without punctuation)
    has a Jaccard similarity of at least `threshold` with that of an earlier report that is itself
    no duplicate. Candidates come from MinHash with banding (Broder 1997; Leskovec et al.,
    Mining of Massive Datasets, ch. 3) and are then compared exactly. Deterministic.

    Args:
        corpus: The reports.
        threshold: Least similarity of near duplicates, in (0, 1].

    Returns:
        One row per duplicate, in corpus order: `report_id` (str), `duplicate_of` (str, the first
        such report, which is kept), `kind` (str, "exact" or "near") and `similarity` (float64,
        Jaccard; 1 for exact duplicates).

    Raises:
        InputError: The threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"near-duplicate threshold {threshold} is not in (0, 1]; give 0.8, say")
    ids, texts = corpus.ids, corpus.texts
    first: dict[str, int] = {}
    rows: list[tuple[int, int, str, float]] = []
    for row, text in enumerate(texts):
        if first.setdefault(text, row) != row:
            rows.append((row, first[text], "exact", 1.0))
    distinct = list(first.values())
    for later, earlier, similarity in _near((texts[row] for row in distinct), threshold):
        rows.append((distinct[later], distinct[earlier], "near", similarity))
    kept = {row: of for row, of, kind, _ in rows if kind == "near"}
    # What equals a near duplicate repeats the report that is kept.
    rows = [(row, kept.get(of, of), kind, similarity) for row, of, kind, similarity in sorted(rows)]
    table = pd.DataFrame(
        {
            "report_id": pd.Series([ids[row] for row, *_ in rows], dtype=str),
            "duplicate_of": pd.Series([ids[of] for _, of, *_ in rows], dtype=str),
            "kind": pd.Series([kind for *_, kind, _ in rows], dtype=str),
            "similarity": pd.Series([similarity for *_, similarity in rows], dtype=np.float64),
        }
    )
    exact = int((table["kind"] == "exact").sum())
    _log.info(
        "%s: %d exact and %d near duplicates (Jaccard of %d-word shingles >= %g) in %d reports",
        *(corpus.source, exact, len(table) - exact, SHINGLE_WORDS, threshold, len(corpus)),
    )
    return table


def drop_duplicates(corpus: ReportCorpus, duplicates: pd.DataFrame) -> ReportCorpus:
    """Keeps the first of each group of duplicates.

    Args:
        corpus: The reports.
        duplicates: What `find_duplicates` found in them.

    Returns:
        The corpus without the reports in the column `report_id` of `duplicates`.
    """
    kept = ~corpus.table["report_id"].isin(duplicates["report_id"])
    return ReportCorpus.from_table(corpus.table.loc[kept], corpus.source)


def _near(texts: Iterable[str], threshold: float) -> list[tuple[int, int, float]]:
    """Returns (later, first earlier that is kept, Jaccard similarity) of near duplicates."""
    shingles = _shingle_sets(texts)
    signatures = np.stack([_minhash(s) for s in shingles]) if shingles else np.empty((0, _HASHES))
    margin = _ESTIMATE_MARGIN * np.sqrt(threshold * (1 - threshold) / _HASHES)
    buckets: list[dict[bytes, list[int]]] = [{} for _ in range(_BANDS)]
    found = []
    for row, own in enumerate(shingles):
        if not own.size:
            continue
        bands = signatures[row].reshape(_BANDS, _BAND_ROWS)
        places = [
            bucket.setdefault(band.tobytes(), [])
            for bucket, band in zip(buckets, bands, strict=True)
        ]
        earlier = np.unique(np.concatenate([np.array(p, dtype=np.int64) for p in places]))
        estimates = (signatures[earlier] == signatures[row]).mean(axis=1)
        for other in earlier[estimates >= threshold - margin].tolist():
            similarity = _jaccard(own, shingles[other])
            if similarity >= threshold:
                found.append((row, other, similarity))
                break
        else:
            for place in places:
                place.append(row)
    return found


def _shingle_sets(texts: Iterable[str]) -> list[_UInt64s]:
    """Returns each text's distinct shingles as sorted 64-bit hashes, none for a text of no word."""
    codes: dict[str, int] = {}
    weights = _mix(np.arange(1, SHINGLE_WORDS + 1, dtype=np.uint64)) | np.uint64(1)
    sets = []
    for text in texts:
        words = _WORD.findall(text.lower())
        for word in words:
            if word not in codes:
                digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
                codes[word] = int.from_bytes(digest, "little")
        coded = np.array([codes[word] for word in words], dtype=np.uint64)
        size = min(SHINGLE_WORDS, len(words))
        length = len(words) - size + 1 if words else 0
        sums = np.zeros(length, dtype=np.uint64)
        for place in range(size):
            sums += coded[place : place + length] * weights[place]
        sets.append(np.unique(_mix(sums)))
    return sets


def _minhash(shingles: _UInt64s) -> npt.NDArray[np.uint32]:
    """Returns the least value of each of `_HASHES` multiply-shift hashes, [_HASHES]."""
    if not shingles.size:
        return np.zeros(_HASHES, dtype=np.uint32)
    hashed = (_FACTORS[:, None] * shingles + _OFFSETS[:, None]).min(axis=1)
    return (hashed >> np.uint64(32)).astype(np.uint32)


def _jaccard(left: _UInt64s, right: _UInt64s) -> float:
    """Returns the Jaccard similarity of two sets given as sorted distinct values."""
    common = np.intersect1d(left, right, assume_unique=True).size
    return common / (left.size + right.size - common)


def _mix(values: _UInt64s) -> _UInt64s:
    """Scrambles 64-bit values (the finalizer of SplitMix64, Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_FACTORS = _mix(np.arange(1000, 1000 + _HASHES, dtype=np.uint64)) | np.uint64(1)
_OFFSETS = _mix(np.arange(2000, 2000 + _HASHES, dtype=np.uint64))
