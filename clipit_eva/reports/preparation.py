"""What is done to a corpus before it is used: selection, cleaning, removal of duplicates."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from clipit_eva.errors import InputError
from clipit_eva.reports import filters
from clipit_eva.reports.cleaning import clean_corpus
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.duplicates import drop_duplicates, find_duplicates

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
    """

    columns: Mapping[str, str | Sequence[str]] | None = None
    patients: str | None = None
    projects: Sequence[str] | None = None
    tissue: str | None = None
    cleaning: bool = False
    duplicates: Literal["keep", "drop_exact", "drop_near"] = "keep"


def prepare(corpus: ReportCorpus, preparation: ReportPreparation) -> ReportCorpus:
    """Selects, cleans and removes duplicates, in this order; logs how many reports each takes.

    Raises:
        InputError: A filter names what is not there, or no report is left.
    """
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
    if preparation.cleaning:
        corpus = clean_corpus(corpus)
    return _without_duplicates(corpus, preparation.duplicates)


@contextlib.contextmanager
def _setting(name: str) -> Iterator[None]:
    """Puts the name of a setting before what is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _without_duplicates(corpus: ReportCorpus, duplicates: str) -> ReportCorpus:
    if duplicates == "keep":
        if repeated := int(corpus.table["text"].duplicated().sum()):
            _log.info(
                "%s: %d of %d reports repeat an earlier one's text",
                *(corpus.source, repeated, len(corpus)),
            )
        return corpus
    found = find_duplicates(corpus)
    if duplicates == "drop_exact":
        found = found.loc[found["kind"] == "exact"]
    if len(found):
        dropped = corpus.source, len(found), len(corpus)
        _log.info("%s: dropped %d duplicates of %d reports", *dropped)
        corpus = drop_duplicates(corpus, found)
    return corpus


def _patients(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path} cannot be read as text ({error}); give a UTF-8 file") from None
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise InputError(f"{path} names no patient; write one a line")
    return names
