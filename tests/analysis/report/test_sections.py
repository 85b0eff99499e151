"""A report is its list of sections: adding one adds its table, figure and files."""

import re
import types
from pathlib import Path

import pandas as pd
import pytest

from clipit_eva.analysis.report import Options, Section, content, make_contents, write_report
from clipit_eva.analysis.report.sections import sections

GUIDE = Path(__file__).parents[3] / "docs" / "adding.md"
HEADING = "## How to add a table or a statistic"
OPTIONS = Options(n_resamples=1000)


@pytest.fixture
def add(monkeypatch):
    """Adds sections behind the report's own."""

    def append(*more: Section) -> None:
        monkeypatch.setattr(content, "sections", lambda options: (*sections(options), *more))

    return append


def guide(pattern: str) -> str:
    """What a pattern finds under the guide's heading."""
    text = GUIDE.read_text().split(f"{HEADING}\n")[1].split("\n## ")[0]
    found = re.search(pattern, text, flags=re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def example() -> types.ModuleType:
    """The module that the guide shows, as if it stood in the package `report`."""
    module = types.ModuleType("clipit_eva.analysis.report.seed_agreement")
    module.__package__ = "clipit_eva.analysis.report"
    exec(compile(guide(r"```python\n(.*?)```"), str(GUIDE), "exec"), module.__dict__)
    return module


def test_the_guides_example_is_one_file_and_one_line(
    add, shared_study, shared_comparisons, tmp_path
):
    seed_agreement = example()
    line = guide(r"^\+ +(Section\([^\n]*\)),$")
    add(eval(line, {"Section": Section, "seed_agreement": seed_agreement}))
    page = write_report(shared_study, tmp_path, OPTIONS)
    text = page.read_text()
    assert '<details id="seed_agreement">\n<summary>Agreement of seeds</summary>' in text
    assert 'id="figure-seed_agreement"' in text
    for name in ("seed_agreement.md", "seed_agreement.tex", "figures/seed_agreement.svg"):
        assert (tmp_path / name).is_file()
    rows = pd.read_csv(tmp_path / "seed_agreement.csv")
    one, two, three = shared_comparisons[0].predictions("unimodal")
    share = 100 * ((one == two) & (two == three)).mean()
    assert rows["agreement_percent"][0] == pytest.approx(share)
    assert len(rows) == sum(len(comparison.runs) for comparison in shared_comparisons)


def test_sections_with_one_frame_compute_it_once_and_empty_ones_are_left_out(add, shared_study):
    calls = []

    def frame(comparisons):
        calls.append(len(comparisons))
        return pd.DataFrame({"x": [1]})

    def refuse(*_):
        raise AssertionError("a section without rows was made")

    add(
        Section("one", frame, lambda *_: None),
        Section("two", frame),
        Section("none", lambda _: pd.DataFrame(), refuse, refuse),
    )
    contents = make_contents(shared_study, OPTIONS)
    assert calls == [2]
    assert contents.results["one"] is contents.results["two"]
    assert contents.results["none"].empty
    names = [table.name for table in contents.tables.values()]
    assert names == ["table1", "ablations", "complementarity", "metrics", "contrasts",
                     "complementarity_by_class", "metrics_by_class", "secondary", "leakage",
                     "runs", "training_settings", "checklist"]  # fmt: skip
    drawn = [drawing.name for _, drawing in contents.drawings()]
    assert drawn == ["contrasts", "complementarity", "calibration_bach", "calibration_crc",
                     "ablations", "confusion_bach", "confusion_crc",
                     "confusion_no_text_bach", "confusion_no_text_crc"]  # fmt: skip


def test_names_of_sections_are_unique():
    names = [section.name for section in sections(OPTIONS)]
    assert len(set(names)) == len(names)
