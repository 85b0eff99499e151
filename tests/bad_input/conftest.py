"""Runs the cases of `cases/` and keeps docs/mistakes.md true.

`pytest tests/bad_input -n0 --write-table` writes the table anew (`nox -s mistakes`).
"""

import runpy
from pathlib import Path

import pytest
from forked import ForkServer
from wrong_input import Case, environment

from clipit_eva.tasks import configs

AREAS = sorted((Path(__file__).parent / "cases").glob("*.py"))
TABLE = Path(__file__).parents[2] / "docs" / "mistakes.md"
ROWS = pytest.StashKey[dict[str, list[str]]]()

START = """# Mistakes and what they print

Written by `nox -s mistakes`, which makes each mistake: {count} of them. Each ends with exit status
2 and one line, and leaves no result behind; the tests hold this table to what is printed. `...`
stands for a folder, or for what a library says.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mistakes")
    group.addoption("--write-table", action="store_true", help="write docs/mistakes.md")
    group.addoption("--all-cases", action="store_true", help="run all of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests that ask for `case` on all cases; by default, of those of `eva`, on a tenth."""
    if "case" not in metafunc.fixturenames:
        return
    # The options are there if this folder is named in the command line.
    everything = any(
        metafunc.config.getoption(name, False) for name in ("write_table", "all_cases")
    )
    cases = [
        pytest.param(area, case, id=f"{area}-{case.wrong}")
        for area, own in _cases().items()
        for place, case in enumerate(own)
        if everything or place % 10 == 0 or not case.command.startswith("eva")
    ]
    metafunc.parametrize(("area", "case"), cases)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes the table, if all cases hold."""
    rows = session.config.stash.get(ROWS, {})
    if rows and exitstatus == 0 and session.config.getoption("write_table", False):
        parts = [START.format(count=sum(map(len, rows.values())))]
        for area, own in rows.items():
            title = area.replace("_", " ").capitalize()
            parts.append(f"## {title}\n\n| wrong | command | printed |\n| --- | --- | --- |")
            parts[-1] += "".join(f"\n{row}" for row in own) + "\n"
        TABLE.write_text("\n".join(parts), encoding="utf-8")


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """Rows of the table that is written, by area."""
    return request.config.stash.setdefault(ROWS, {})


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> list[str] | None:
    """Lines of the committed table; None while it is written."""
    if request.config.getoption("write_table", False):
        return None
    return TABLE.read_text("utf-8").splitlines()


@pytest.fixture(scope="session")
def all_cases() -> dict[str, list[Case]]:
    return _cases()


@pytest.fixture(scope="session")
def shared(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is right: images, reports, a pairing table, embeddings and two trained runs."""
    from clipit_eva.demo.cohort import make_cohort

    folder = tmp_path_factory.mktemp("shared")
    make_cohort(folder, seed=1)
    for verb, config, output in (
        ("predict", "pairing/bach", "pairing"),
        ("predict", "embeddings/bach", "embedding"),
        ("fit", "unimodal_cached/bach", "unimodal"),
        ("fit", "clip_it/bach", "clip_it"),
    ):
        variables = {**environment(folder), "OUTPUT_ROOT": str(folder / output)}
        command = ["eva", verb, "--config", str(configs.path(config))]
        ended = server.run(command, folder, variables)
        assert ended.status == 0, ended.output
    for method in ("unimodal", "clip_it"):
        (session,) = (folder / method).iterdir()
        session.rename(folder / method / "session")
    return folder


def _cases() -> dict[str, list[Case]]:
    """Returns the cases by area."""
    return {path.stem: runpy.run_path(str(path))["CASES"] for path in AREAS}
