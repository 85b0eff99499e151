"""What is done to a corpus before it is used: selection, cleaning, removal of duplicates."""

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.reports import filters
from clipit_eva.reports.cleaning import clean_corpus
from clipit_eva.reports.corpus import REPORT_ID, TEXT, RepeatedIds, ReportCorpus, fingerprint
from clipit_eva.reports.duplicates import drop_duplicates, find_duplicates
from clipit_eva.result_versions import RESULT_VERSIONS

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ReportPreparation:
    """How a corpus is prepared; nothing is done by default.

    Attributes:
        columns: Values to keep, by column: `{tissue: [colon, rectum]}`.
        patients: A text file with one patient a line, whose reports are kept.
        projects: TCGA projects whose reports are kept, by the barcode in `report_id`.
        tissue: Tissue whose TCGA projects' reports are kept.
        cleaning: Whether OCR text is cleaned.
        duplicates: Which repeated reports are dropped: none (`keep`), those with the same text
            (`drop_exact`), or those with much the same words too (`drop_near`).
        repeated_ids: Which of a file's reports with one id is kept, see `corpus.read_corpus`.
    """

    columns: Mapping[str, str | Sequence[str]] | None = None
    patients: str | None = None
    projects: Sequence[str] | None = None
    tissue: str | None = None
    cleaning: bool = False
    duplicates: Literal["keep", "drop_exact", "drop_near"] = "keep"
    repeated_ids: RepeatedIds = "refuse"


def prepare(
    corpus: ReportCorpus, preparation: ReportPreparation, folder: Path | None = None
) -> ReportCorpus:
    """Selects, cleans and removes duplicates, in this order; logs how many reports each takes.

    Cleaning and the search for duplicates take minutes: given a folder, their result is kept there
    by the digest of what it is made of, and read when the same is asked for again. Beside it a CSV
    file lists the reports that were dropped, and why.

    Raises:
        InputError: A filter names what is not there, or no report is left.
    """
    corpus = _select(corpus, preparation)
    if not preparation.cleaning and preparation.duplicates == "keep":
        _log_repeated(corpus)
        return corpus
    if folder is None:
        return _refine(corpus, preparation)[0]
    facts = {
        "reports": corpus.sha256,
        "cleaning": preparation.cleaning,
        "duplicates": preparation.duplicates,
        "version": RESULT_VERSIONS["reports"],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    file, list_ = folder / f"prepared-{digest}.parquet", folder / f"dropped-{digest}.csv"
    refined = _read_prepared(file, corpus)
    if refined is None:
        refined, dropped = _refine(corpus, preparation)
        with files.atomic_path(list_) as temporary:
            dropped.to_csv(temporary, index=False)
        made = {**facts, "prepared": refined.sha256}
        files.write_table(refined.table[[REPORT_ID, TEXT]], file, provenance=made)
    if len(refined) < len(corpus):
        dropped = len(corpus) - len(refined)
        _log.info("%s: %d reports are dropped; %s says why", corpus.source, dropped, list_)
    return refined


def _select(corpus: ReportCorpus, preparation: ReportPreparation) -> ReportCorpus:
    for column, values in (preparation.columns or {}).items():
        with _setting("REPORT_FILTER"):
            corpus = filters.by_column(corpus, column, values)
    if preparation.patients is not None:
        with _setting("REPORT_PATIENTS"):
            corpus = filters.by_patients(corpus, _patients(Path(preparation.patients)))
    if preparation.projects is not None:
        with _setting("REPORT_PROJECTS"):
            corpus = filters.by_projects(corpus, preparation.projects)
    if preparation.tissue is not None:
        with _setting("REPORT_TISSUE"):
            corpus = filters.by_tissue(corpus, preparation.tissue)
    return corpus


def _read_prepared(file: Path, corpus: ReportCorpus) -> ReportCorpus | None:
    """Returns what was made of a corpus; `None` if it was not yet, or the file is damaged."""
    if not file.is_file():
        return None
    try:
        kept, made = files.read_table(file, columns=[REPORT_ID, TEXT], kind="prepared reports")
    except InputError as error:
        _log.warning("%s; the reports are prepared again", error)
        return None
    kept = kept.astype(str)
    if fingerprint(kept[REPORT_ID], kept[TEXT]) != made.get("prepared"):
        _log.warning("prepared reports %s are damaged; the reports are prepared again", file)
        return None
    table = corpus.table.set_index(REPORT_ID).loc[kept[REPORT_ID]].reset_index()
    return ReportCorpus.from_table(table.assign(text=kept[TEXT]), corpus.source)


def _refine(
    corpus: ReportCorpus, preparation: ReportPreparation
) -> tuple[ReportCorpus, pd.DataFrame]:
    """Returns the cleaned corpus without duplicates, and the reports dropped, with the reason."""
    cleaned = clean_corpus(corpus) if preparation.cleaning else corpus
    empty = corpus.table.loc[~corpus.table[REPORT_ID].isin(cleaned.ids), [REPORT_ID]]
    found = pd.DataFrame(columns=["report_id", "duplicate_of", "kind", "similarity"])
    if preparation.duplicates != "keep":
        found = find_duplicates(cleaned)
        if preparation.duplicates == "drop_exact":
            found = found.loc[found["kind"] == "exact"]
        cleaned = drop_duplicates(cleaned, found)
    else:
        _log_repeated(cleaned)
    dropped = [
        *empty.assign(kind="nothing but marks").to_dict("records"),
        *found.to_dict("records"),
    ]
    return cleaned, pd.DataFrame(dropped, columns=found.columns)


@contextlib.contextmanager
def _setting(name: str) -> Iterator[None]:
    """Puts the name of a setting before what is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _log_repeated(corpus: ReportCorpus) -> None:
    if repeated := int(corpus.table["text"].duplicated().sum()):
        _log.info(
            "%s: %d of %d reports repeat an earlier one's text",
            *(corpus.source, repeated, len(corpus)),
        )


def _patients(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path} cannot be read as text ({error}); give a UTF-8 file") from None
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise InputError(f"{path} names no patient; write one a line")
    return names
