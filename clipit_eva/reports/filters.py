"""Parts of a corpus: the reports of a column's values, of patients, TCGA projects or a tissue.

Each filter returns the reports that match, in order, and raises InputError if there are none, no
such column, or an argument is unknown.
"""

import logging
from collections.abc import Iterable

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import REPORT_ID, ReportCorpus, did_you_mean, require_column
from clipit_eva.reports.tcga import SITES_BY_PROJECT, TISSUES, patient_of, project_of

_log = logging.getLogger(__name__)


def by_column(corpus: ReportCorpus, column: str, values: str | Iterable[object]) -> ReportCorpus:
    """Keeps the reports with one of the given values, each in some report, in a column.

    Values match as they are or as written, so that "3" finds 3.
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
    """Keeps the reports of the given patients; logs how many have none.

    The column has the patient's name, or a barcode that starts with it; of a TCGA barcode, here or
    among the patients, only the patient's part counts.
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
    """Keeps the reports of TCGA projects ("COAD" or "TCGA-COAD").

    A project is known by the tissue source site in the barcode that a column's values start with.
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
    """Keeps the reports of the TCGA projects of a tissue's tumours, a key of `TISSUES`."""
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
