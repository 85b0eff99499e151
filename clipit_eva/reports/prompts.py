"""Texts that name a task's classes: a corpus of prompts to pair images with, instead of reports.

The names of the classes stand in the tasks' cards; the templates follow common practice of
zero-shot classification with CLIP (Radford et al. 2021, section 3.1.4).
"""

import itertools
from pathlib import Path

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.tasks.card import PROMPTS, read_card, shipped_cards

TEMPLATES = (
    "{}.",
    "an H&E stained image of {}.",
    "histopathology image showing {}.",
    "microscopic examination shows {}.",
)
"""What is said of each name of a class."""


def read_prompts(source: str) -> ReportCorpus:
    """Returns the prompts of a task: `PROMPTS` and a shipped task's name, or the file of a card.

    There is one per class, name and template, with columns `report_id`, `text` and `class`.

    Raises:
        InputError: The task is unknown, or its card is wrong or has no words.
    """
    task, cards = source.removeprefix(PROMPTS), shipped_cards()
    file = cards.get(task, Path(task))
    if not file.is_file():
        known = ", ".join(cards)
        raise InputError(f"REPORTS={source}: no such prompts; there are {known}, or name a card")
    words = read_card(file).words
    if words is None:
        raise InputError(
            f"REPORTS={source}: the card lacks `words`, names of classes in prose; add them"
        )
    rows = [
        (f"{label}-{number}", template.format(name), label)
        for label, names in words.items()
        for number, (name, template) in enumerate(itertools.product(names, TEMPLATES), start=1)
    ]
    table = pd.DataFrame(rows, columns=["report_id", "text", "class"])
    return ReportCorpus.from_table(table, source)
