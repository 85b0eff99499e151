"""Options and fixtures that all tests share."""

from pathlib import Path

import pytest

COMMITTED = Path(__file__).parent / "fixtures"
"""Small number fixtures that travel with the project."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fixtures",
        metavar="DIR",
        type=Path,
        default=None,
        help="a folder with more fixtures of the committed forms, run as well as those",
    )


def fixture_files(config: pytest.Config, pattern: str) -> list[Path]:
    """Returns the committed and the given (`--fixtures`) files that match a glob pattern."""
    folders = [COMMITTED, config.getoption("--fixtures")]
    return [
        path for folder in folders if folder is not None for path in sorted(folder.rglob(pattern))
    ]
