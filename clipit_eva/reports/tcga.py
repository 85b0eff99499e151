"""TCGA barcodes: the patient and the project (cancer type) they name.

A barcode `TCGA-AA-3675-...` has the tissue source site (`AA`) and the participant (`3675`). Each
source site contributed to one study, which the code tables of the Genomic Data Commons list
(https://gdc.cancer.gov/resources-tcga-users/tcga-code-tables).
"""

import csv
import re
from pathlib import Path

with Path(__file__).with_name("tcga_sites.csv").open(encoding="utf-8", newline="") as _file:
    _ROWS = list(csv.DictReader(_file))

SITES_BY_PROJECT = {row["project"]: row["sites"] for row in _ROWS}
"""Project, without the prefix `TCGA-` -> codes of its tissue source sites, parted by blanks."""

TISSUES = {
    tissue: tuple(row["project"] for row in _ROWS if tissue in row["tissues"].split("|"))
    for tissue in sorted({tissue for row in _ROWS for tissue in row["tissues"].split("|")} - {""})
}
"""Tissue -> the TCGA projects of its tumours."""

_BARCODE = re.compile(r"(TCGA-([0-9A-Z]{2})-[0-9A-Z]{4})(?![0-9A-Z])", re.IGNORECASE)
_PROJECT_OF_SITE = {
    site: project for project, sites in SITES_BY_PROJECT.items() for site in sites.split()
}


def patient_of(barcode: str) -> str | None:
    """Returns the patient's part of a text that starts with a barcode, or `None` without one."""
    match = _BARCODE.match(barcode)
    return match[1].upper() if match else None


def project_of(barcode: str) -> str | None:
    """Returns the project ("COAD") that the site in a barcode contributed to; `None` if unknown."""
    match = _BARCODE.match(barcode)
    return _PROJECT_OF_SITE.get(match[2].upper()) if match else None
