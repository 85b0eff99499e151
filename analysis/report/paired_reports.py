"""The reports paired with test samples, read only when a user asks for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import read_pairs
from clipit_eva.reports.corpus import read_corpus

from ..reading import arms
from ..reading.run_files import recorded
from ..reading.runs import Run
from ..reading.study import Comparison


def paired_texts(comparison: Comparison, indices: Sequence[int]) -> Mapping[int, str]:
    """Returns the best report of some test samples, as the comparison's text-only runs read it.

    Samples are named by their indices in the eva dataset; without text-only runs there is none.

    Raises:
        InputError: The pairing table or the reports are not where the run's configuration has them.
    """
    arm = comparison.arm(arms.TEXT_ONLY)
    if arm is None:
        return {}
    run = comparison.runs[arm][0]
    test = run.config.part("data.datasets.test")
    reports = test.part("reports")
    pairs, _ = read_pairs(_existing(run, test.get("pairing_table"), "pairing table"))
    corpus = read_corpus(
        _existing(run, reports.get("path"), "reports"), reports.get("column") or "text"
    )
    wanted = (pairs["split"] == test.get("split")) & (pairs["rank"] == 0)
    chosen = pairs.loc[wanted & pairs["index"].isin(list(indices))]
    text_of = dict(zip(corpus.ids, corpus.texts, strict=True))
    rows = zip(chosen["index"].tolist(), chosen["report_id"].tolist(), strict=True)
    return {index: text_of[name] for index, name in rows if name in text_of}


def _existing(run: Run, path: Any, what: str) -> Path:
    """Returns what there is at a path that a run recorded."""
    found = next(recorded(path, run.path), None)
    if found is None:
        raise InputError(
            f"--report-text: the {what} of {run.path} ({path}) is not found from here; run the "
            "command where the run was started"
        )
    return found
