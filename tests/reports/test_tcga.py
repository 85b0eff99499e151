"""Patients and projects are read from TCGA barcodes."""

import pytest

from clipit_eva.reports.tcga import SITES_BY_PROJECT, TISSUES, patient_of, project_of


@pytest.mark.parametrize(
    ("barcode", "patient", "project"),
    [
        ("TCGA-AA-3675.25c0b433-5557-4165-922e-2c1eac9c26f0", "TCGA-AA-3675", "COAD"),
        ("tcga-aa-3675-01a-pr", "TCGA-AA-3675", "COAD"),
        ("TCGA-BP-5195.x", "TCGA-BP-5195", "KIRC"),
        ("TCGA-02-0001", "TCGA-02-0001", "GBM"),
        ("TCGA-EM-A1YA", "TCGA-EM-A1YA", "THCA"),
        ("TCGA-3G-AB0O", "TCGA-3G-AB0O", "THYM"),
        ("TCGA-A5-A0G1", "TCGA-A5-A0G1", "UCEC"),
        ("TCGA-NH-A6GC", "TCGA-NH-A6GC", "COAD"),
        ("TCGA-07-0227", "TCGA-07-0227", None),  # cell lines
        ("TCGA-AA-36750", None, None),
        ("XTCGA-AA-3675", None, None),
        ("report 12", None, None),
    ],
)
def test_barcodes(barcode: str, patient: str | None, project: str | None) -> None:
    assert patient_of(barcode) == patient
    assert project_of(barcode) == project


def test_the_33_projects_have_sites_of_their_own() -> None:
    sites = [site for codes in SITES_BY_PROJECT.values() for site in codes.split()]
    assert len(SITES_BY_PROJECT) == 33
    assert len(sites) == len(set(sites))
    assert {len(site) for site in sites} == {2}
    assert {project for projects in TISSUES.values() for project in projects} <= set(
        SITES_BY_PROJECT
    )
