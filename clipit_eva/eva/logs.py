"""Our log messages in eva's log: eva shows loguru's, our modules write the standard library's."""

import logging
from typing import Any

from loguru import logger

NAME = "clipit_eva"
"""The logger above all of ours."""


class _ToLoguru(logging.Handler):
    """Hands messages on to loguru, with where in our code they come from."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hands on one message."""
        where: Any = {"name": record.name, "function": record.funcName, "line": record.lineno}
        logger.patch(lambda shown: shown.update(where)).log(record.levelname, record.getMessage())


def forward() -> None:
    """Shows this package's messages, from INFO on, in eva's log and nowhere else."""
    ours = logging.getLogger(NAME)
    ours.setLevel(logging.INFO)
    ours.addHandler(_ToLoguru())
    ours.propagate = False
