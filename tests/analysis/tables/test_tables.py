import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from clipit_eva.analysis.frames.ablation_frame import ablation_frame
from clipit_eva.analysis.frames.complementarity_frames import (
    complementarity_by_class_frame,
    complementarity_frame,
)
from clipit_eva.analysis.frames.contrasts_frame import contrasts_frame
from clipit_eva.analysis.frames.headline_frame import headline_frame
from clipit_eva.analysis.frames.scores_frame import scores_frame
from clipit_eva.analysis.frames.secondary_frame import secondary_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.tables import complementarity_tables, table, table_files
from clipit_eva.analysis.tables.ablation_table import ablations
from clipit_eva.analysis.tables.contrasts_table import contrasts
from clipit_eva.analysis.tables.runs_table import runs
from clipit_eva.analysis.tables.secondary_table import secondary
from clipit_eva.analysis.tables.table1 import table1
from clipit_eva.errors import InputError

TEX = shutil.which("pdflatex") or shutil.which("tectonic")


def tables_of(comparisons):
    made = (
        contrasts(contrasts_frame(comparisons), comparisons),
        table1(headline_frame(comparisons), comparisons),
        ablations(ablation_frame(comparisons), comparisons),
        complementarity_tables.complementarity(complementarity_frame(comparisons), comparisons),
        complementarity_tables.complementarity_by_class(
            complementarity_by_class_frame(comparisons), comparisons
        ),
        secondary(secondary_frame(comparisons, 1000), comparisons, 1000),
        runs(scores_frame(comparisons)),
    )
    return {one.name: one for one in made}


@pytest.fixture(scope="module")
def tables(shared_comparisons):
    return tables_of(shared_comparisons)


def test_table_1_has_the_papers_layout_and_labels_published_numbers(tables):
    shown = tables["table1"].shown
    assert list(shown.columns) == [
        "Backbone", "Method", "BACH", "BACH (published)", "CRC", "CRC (published)",
    ]  # fmt: skip
    assert shown["Method"].tolist() == ["unimodal", "CLIP-IT"]
    assert shown["BACH (published)"].tolist() == [
        "78.89 (v1); 78.9 ± 0.90 (repository)",
        "81.79 (v1); 81.8 ± 1.14 (repository)",
    ]
    assert any("not measured here" in note for note in tables["table1"].notes)


def test_numbers_are_printed_as_they_were_computed(tables):
    made = tables["contrasts"]
    row, data = made.shown.iloc[0], made.data.iloc[0]
    ends = f"[{data['low_points']:.2f}, {data['high_points']:.2f}]"
    assert row["difference [95% CI]"].startswith(f"{data['difference_points']:+.2f} {ends}")
    assert row["wins"] == "1/1"
    data = tables["table1"].data.iloc[0]
    shown = f"{data['clip_it_mean_percent']:.2f} ± {data['clip_it_sd_points']:.2f}"
    assert tables["table1"].shown.loc[1, "BACH"] == shown


def test_what_is_significant_is_starred_and_bold(comparisons_of_slides):
    made = contrasts(contrasts_frame(comparisons_of_slides), comparisons_of_slides)
    means = made.data[made.data["backbone"] == ""]
    for shown, p in zip(made.shown["difference [95% CI]"], means["p_holm"], strict=True):
        assert shown.endswith(table.STAR) == (p < 0.05)
    assert made.shown["difference [95% CI]"].str.endswith(table.STAR).any()
    assert "** \\* |" in table_files.markdown(made)
    assert "$^{*}$" in table_files.latex(made)
    assert r"\textbf{+" in table_files.latex(made)


def test_what_is_patch_level_and_optimistic_is_neither_starred_nor_bold(tables):
    assert (tables["contrasts"].data["p_holm"] < 0.05).any()
    for made in tables.values():
        for text in made.shown.to_numpy().ravel():
            assert not str(text).endswith(table.STAR)
        assert "**" not in table_files.markdown(made)
    verdict = tables["contrasts"].shown["verdict"]
    assert verdict[verdict != ""].str.endswith(table.DAGGER).all()


def test_the_footer_says_what_a_reader_must_know(tables):
    footer = " ".join(tables["ablations"].notes)
    for words in (
        "BACH 120 (slides unknown; 3 seeds), CRC 90 (slides unknown; 3 seeds)",
        "seed 1, seed 2, seed 3",
        "only the training seed varied",
        "Benjamini-Hochberg over a family of 2 comparisons",
        "Margin 0.5 points.",
        "patch-level, optimistic",
        "Warning: only 3 seeds (fewer than 5)",
    ):
        assert words in footer
    assert "Holm over 4 tests of all datasets" in " ".join(tables["contrasts"].notes)
    assert "1,000 bootstrap resamples." in tables["secondary"].notes


def test_counts_are_never_without_chance(tables):
    for name in ("complementarity", "complementarity_by_class"):
        column = tables[name].shown["text right, vision wrong (by chance)"]
        assert column.str.fullmatch(r"[\d.]+ ± [\d.]+ \([\d.]+\)").all()


def test_text_only_arms_are_named_where_there_are_several(write_run, drawn):
    targets = np.arange(40) % 4
    for method in ("unimodal", "text_only"):
        write_run(method, targets, drawn(targets, 0.6, len(method)))
    control = {"pairing": {"control": "random"}}
    write_run("text_only", targets, drawn(targets, 0.3, 1), name="random", provenance=control)
    comparisons = gather(read_runs(write_run.folder))
    made = complementarity_tables.complementarity(complementarity_frame(comparisons), comparisons)
    assert made.shown["Text"].tolist() == ["text only", "text only, random pairs"]
    made = complementarity_tables.complementarity_by_class(
        complementarity_by_class_frame(comparisons), comparisons
    )
    assert made.shown["Text"].tolist() == ["text only"] * 4 + ["text only, random pairs"] * 4


def test_classes_have_rows_of_their_own(tables):
    shown = tables["complementarity_by_class"].shown
    assert "Text" not in shown
    assert shown["Class"].tolist() == list("abcd") * 2
    assert shown["N"].tolist() == ["30"] * 4 + ["23", "23", "22", "22"]


def test_settings_that_differ_between_seeds_are_no_seeds_of_one_arm(write_run):
    targets = np.arange(20) % 4
    for seed, weight in ((1, 0.5), (2, 0.5), (3, 0.7)):
        options = {"seed": seed, "head": {"weight": weight}, "vision_head_checkpoint": f"{seed}"}
        write_run("unimodal", targets, targets, **options)
    with pytest.raises(InputError, match=r"unimodal \(weight 0\.5; weight 0\.7\) and none is the"):
        gather(read_runs(write_run.folder))


def test_refusals_are_printed_with_their_reason(write_run, drawn):
    targets = np.arange(40) % 4
    for seed in (1, 2):
        write_run("unimodal", targets, drawn(targets, 0.5, seed), seed=seed)
        write_run("clip_it", targets, drawn(targets, 0.8, seed), seed=seed)
    comparisons = gather(read_runs(write_run.folder))
    made = contrasts(contrasts_frame(comparisons), comparisons)
    assert made.shown["difference [95% CI]"][0].endswith(" [1]")
    assert made.shown["Holm p"][0] == table.NONE
    assert "[1] 2 seeds: the crossed test needs at least 3" in made.notes
    assert not any("optimistic" in note for note in made.notes)


def test_rank_tests_over_few_datasets_are_refused_in_the_footer(tables):
    notes = " ".join(tables["contrasts"].notes)
    assert "(Nemenyi) refused: 2 datasets: a critical-difference diagram needs at least 6" in notes


def test_csv_has_every_number_unrounded(tables, tmp_path):
    for made in tables.values():
        paths = table_files.write_table(made, tmp_path)
        assert [path.suffix for path in paths] == [".csv", ".md", ".tex"]
        again = pd.read_csv(tmp_path / f"{made.name}.csv", float_precision="round_trip")
        for column in made.data.select_dtypes("number"):
            np.testing.assert_array_equal(again[column], made.data[column])
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


NASTY = "a_b & 50% #1 {x} ~ ^ \\ $ <b> | [c] `d` *"


def nasty() -> table.Table:
    frame = pd.DataFrame({"Name": [NASTY, "[0.1, 0.2]† *"], "value_%": ["±1", "x"]})
    return table.Table("na_sty", NASTY, frame, frame, {}, (NASTY,))


def test_markdown_cells_cannot_break_out():
    lines = table_files.markdown(nasty()).splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 4
    assert r"\<b\> \| \[c\]" in lines[4]


@pytest.mark.slow
@pytest.mark.skipif(TEX is None, reason="neither pdflatex nor tectonic is installed")
def test_latex_compiles(tables, tmp_path):
    names = []
    for made in [*tables.values(), nasty()]:
        table_files.write_table(made, tmp_path)
        names.append(made.name)
    inputs = "\n".join(rf"\input{{{name}}}" for name in names)
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )
    command = [TEX, "all.tex"]
    if "pdflatex" in TEX:
        command[1:1] = ["-halt-on-error", "-interaction=nonstopmode"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000


@pytest.fixture
def with_authors(write_run, drawn):
    """Three seeds of unimodal, CLIP-IT and its no-text ablation, the latter by both recipes."""
    targets = np.arange(80) % 4
    authors = {"validation_distillation": True, "criterion": "softmax_cross_entropy"}
    for seed in (1, 2, 3):
        write_run("unimodal", targets, drawn(targets, 0.5, seed), seed=seed)
        for place, more in enumerate(({}, {"distill_weight": 0}, authors,
                                      {**authors, "distill_weight": 0})):  # fmt: skip
            share = 0.6 + 0.05 * place
            write_run(
                "clip_it", targets, drawn(targets, share, 10 * seed + place), seed=seed,
                name=f"run_{seed}_{place}", **more,
            )  # fmt: skip
    return gather(read_runs(write_run.folder))


def test_published_numbers_stand_beside_the_authors_recipe(with_authors):
    made = table1(headline_frame(with_authors), with_authors)
    shown = made.shown.set_index("Method")["BACH (published)"]
    assert shown.index.tolist() == ["unimodal", "CLIP-IT", "CLIP-IT by the authors' recipe"]
    assert shown["unimodal"].startswith("78.89 (v1)")
    assert shown["CLIP-IT"] == table.NONE
    assert shown["CLIP-IT by the authors' recipe"].startswith("81.79 (v1)")
    mean = made.data["clip_it_authors_mean_percent"].item()
    assert made.shown["BACH"].iloc[2].startswith(f"{mean:.2f}")
    assert not any("not the authors' own" in note for note in made.notes)


def test_without_it_the_table_says_whose_recipe_stands_there(tables):
    for name in ("table1", "ablations"):
        assert any("not the authors' own" in note for note in tables[name].notes)


def test_ablations_are_of_their_own_recipe(with_authors):
    frame = ablation_frame(with_authors).set_index("arm")
    assert frame.index.tolist() == ["clip_it_authors+no_text", "no_text"]
    assert frame["published_arm"].to_dict() == {"clip_it_authors+no_text": "no_text", "no_text": ""}
    scores = headline_frame(with_authors).iloc[0]
    for arm, full in (("no_text", "clip_it"), ("clip_it_authors+no_text", "clip_it_authors")):
        assert frame.loc[arm, "clip_it_mean_percent"] == scores[f"{full}_mean_percent"]


def test_the_runs_table_tells_the_recipe(with_authors):
    shown = runs(scores_frame(with_authors)).shown
    recipes = shown.groupby("Arm")["Recipe"].unique().str[0].to_dict()
    assert recipes == {
        "unimodal": table.NONE,
        "CLIP-IT": "this package's",
        "no text (same layers)": "this package's, no text (same layers)",
        "CLIP-IT by the authors' recipe": "the authors'",
        "CLIP-IT by the authors' recipe, no text (same layers)":
            "the authors', no text (same layers)",
    }  # fmt: skip
