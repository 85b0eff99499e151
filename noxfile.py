"""Checks of the project: `nox` runs all of them in environments of their own."""

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Checks format, style and the citation file."""
    session.install("ruff>=0.9", "cffconvert>=2")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("cffconvert", "--validate", "-i", "CITATION.cff")


@nox.session
def types(session: nox.Session) -> None:
    """Checks types."""
    session.install("-e", ".[dev]")
    session.run("pyright")


@nox.session
def tests(session: nox.Session) -> None:
    """Runs the tests, slow ones too; arguments behind `--` go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def mistakes(session: nox.Session) -> None:
    """Makes every mistake of tests/bad_input and writes docs/mistakes.md anew."""
    session.install("-e", ".[test]")
    session.run("pytest", "tests/bad_input", "--numprocesses=0", "--write-table")


@nox.session
def configs(session: nox.Session) -> None:
    """Renders the shipped configs anew, from benchmark_configs/methods and tasks."""
    session.install("-e", ".")
    session.run("python", "-m", "clipit_eva.tasks.rendering")
