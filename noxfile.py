"""Checks of the project: `nox` runs all of them in environments of their own."""

import pathlib

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False  # `quick` takes those that are there


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


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def quick(session: nox.Session) -> None:
    """Runs the quick tests on every Python that is installed."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Runs the quick tests with the lowest versions that pyproject.toml allows."""
    session.install("uv")
    versions = str(pathlib.Path(session.create_tmp()) / "lowest.txt")
    lowest = ("--resolution", "lowest-direct", "--extra", "test", "--output-file", versions)
    session.run("uv", "pip", "compile", "--quiet", "--upgrade", *lowest, "pyproject.toml")
    session.install("-r", versions)
    session.install("--no-deps", "-e", ".")
    # The golden numbers are those of the newest versions.
    golden = "--ignore=tests/test_result_versions.py"
    session.run("pytest", "-m", "not slow", golden, *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """Runs the tests that the default run leaves out because they take it too long."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "long", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kills every stage and cuts its writes, at some 200 file operations; needs `cc` and Linux."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "faults", "--durations=0", "tests/faults", *session.posargs)


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
