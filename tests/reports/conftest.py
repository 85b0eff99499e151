"""The real reports some checks read, wherever they are."""

from pathlib import Path

import pytest

from clipit_eva.reports.corpus import ReportCorpus, read_corpus

NAME = "tcga_colon_reports.txt"


@pytest.fixture(scope="session")
def colon_reports(request: pytest.FixtureRequest) -> ReportCorpus:
    """The TCGA colon reports, which may not be copied into the project."""
    given: Path | None = getattr(request.config, "given_fixtures", None)
    for folder in (given, request.config.rootpath.parent / "shared"):
        for path in sorted(folder.rglob(NAME)) if folder else []:
            return read_corpus(path)
    pytest.skip(f"needs {NAME}, in the folder of --fixtures or in ../shared")
