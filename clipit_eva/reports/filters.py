"""Parts of a corpus: the reports of a column's values, of patients, TCGA projects or a tissue.

Each filter returns the reports that match, in order, and raises InputError if there are none, or
no such column.
"""

import logging
from collections.abc import Iterable

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import REPORT_ID, ReportCorpus, did_you_mean, require_column
from clipit_eva.reports.tcga import SITES_BY_PROJECT, TISSUES, patient_of, project_of

_log = logging.getLogger(__name__)


def by_column(corpus: ReportCorpus, column: str, values: str | Iterable[object]) -> ReportCorpus:
    """Keeps the reports with one of the given values in a column.

    Args:
        corpus: The reports.
        column: A column of `corpus.table`.
        values: A value, or several. They match as they are or as written, so that "3" finds 3.

    Raises:
        InputError: There is no such column, or a value in no report.
    """
    require_column(corpus.source, column, corpus.table.columns.tolist())
    written = corpus.table[column].map(str)
    wanted = list(dict.fromkeys(map(str, [values] if isinstance(values, str) else values)))
    present = set(written)
    for value in wanted:
        if value not in present:
            raise InputError(
                f"reports {corpus.source} have no {value!r} in column {column!r}"
                f"{did_you_mean(value, present)}; mend the filter"
            )
    return _keep(corpus, written.isin(wanted), f"{column} in {', '.join(wanted)}")


def by_patients(
    corpus: ReportCorpus, patients: Iterable[str], column: str = REPORT_ID
) -> ReportCorpus:
    """Keeps the reports of the given patients.

    Args:
        corpus: The reports.
        patients: The patients' names. Of a TCGA barcode only the patient's part counts. Those
            without a report are logged by number.
        column: The column with the patient's name, or with a barcode that starts with it.

    Raises:
        InputError: There is no such column, or no report of any of these patients.
    """
    require_column(corpus.source, column, corpus.table.columns.tolist())
    wanted = {patient_of(name.strip()) or name.strip() for name in patients}
    named = corpus.table[column].map(lambda value: patient_of(str(value)) or str(value))
    if missing := len(wanted - set(named)):
        _log.warning("%s: %d of %d patients have no report", corpus.source, missing, len(wanted))
    return _keep(corpus, named.isin(wanted), f"{column} of {len(wanted)} patients")


def by_projects(
    corpus: ReportCorpus, projects: str | Iterable[str], column: str = REPORT_ID
) -> ReportCorpus:
    """Keeps the reports of TCGA projects, by the tissue source site in the barcode.

    Args:
        corpus: The reports.
        projects: One project or several: "COAD" or "TCGA-COAD".
        column: The column whose values start with a TCGA barcode.

    Raises:
        InputError: There is no such column, a project is unknown, or none has a report.
    """
    require_column(corpus.source, column, corpus.table.columns.tolist())
    given = [projects] if isinstance(projects, str) else list(projects)
    wanted = [name.upper().removeprefix("TCGA-") for name in given]
    for name in wanted:
        if name not in SITES_BY_PROJECT:
            raise InputError(
                f"TCGA project {name!r} is unknown{did_you_mean(name, SITES_BY_PROJECT)}; give one "
                f"of {', '.join(SITES_BY_PROJECT)}"
            )
    found = corpus.table[column].map(lambda value: project_of(str(value)) or "")
    if unknown := int((found == "").sum()):
        _log.warning(
            "%s: %d of %d reports have no known TCGA barcode in column %r and are left out",
            *(corpus.source, unknown, len(corpus), column),
        )
    return _keep(corpus, found.isin(wanted), f"TCGA project in {', '.join(wanted)}")


def by_tissue(corpus: ReportCorpus, tissue: str, column: str = REPORT_ID) -> ReportCorpus:
    """Keeps the reports of the TCGA projects of a tissue's tumours.

    Args:
        corpus: The reports.
        tissue: A key of `TISSUES`: "breast", "colon".
        column: The column whose values start with a TCGA barcode.

    Raises:
        InputError: There is no such column, the tissue is unknown, or it has no report.
    """
    projects = TISSUES.get(tissue.lower())
    if projects is None:
        raise InputError(
            f"tissue {tissue!r} is unknown{did_you_mean(tissue, TISSUES)}; give one of "
            f"{', '.join(TISSUES)}"
        )
    return by_projects(corpus, projects, column)


def _keep(corpus: ReportCorpus, mask: pd.Series, condition: str) -> ReportCorpus:
    """Returns the corpus's rows in the mask, of which there has to be one, and logs how many."""
    if not mask.any():
        raise InputError(f"reports {corpus.source}: none has {condition}; mend the filter")
    _log.info("%s: kept %d of %d reports: %s", corpus.source, mask.sum(), len(mask), condition)
    return ReportCorpus.from_table(corpus.table.loc[mask], corpus.source)
