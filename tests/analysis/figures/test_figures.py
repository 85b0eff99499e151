import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from clipit_eva.analysis import figures
from clipit_eva.analysis.metrics import scores
from clipit_eva.errors import InputError


@pytest.fixture(autouse=True)
def _without_a_screen():
    mpl.use("Agg")


@pytest.fixture
def ax():
    return Figure().add_subplot()


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_complementarity_draws_counts_beside_chance(ax):
    frame = pd.DataFrame(
        {
            "backbone": ["UNI", "ViT-B/8"],
            "count_mean": [30.0, 50.0],
            "count_sd": [2.0, 4.0],
            "count_by_chance": [28.0, 61.0],
        }
    )
    assert figures.plot_complementarity(frame, ax, title="PCAM") is ax
    assert [bar.get_height() for bar in ax.patches] == [30.0, 50.0]
    assert all(bar.get_hatch() for bar in ax.patches)
    chance = ax.collections[-1].get_segments()
    assert [segment[0][1] for segment in chance] == [28.0, 61.0]
    assert ticks(ax.xaxis) == ["UNI", "ViT-B/8"]
    assert ax.get_title() == "PCAM"
    assert any("by chance" in text for text in legend(ax))
    assert ax.get_ylim()[1] > 61


def test_contrasts_draw_estimates_intervals_and_significance(ax):
    frame = pd.DataFrame(
        {
            "backbone": ["", "UNI", "", "UNI"],
            "contrast": ["method", "method", "text", "text"],
            "difference_points": [2.0, -1.0, 0.5, None],
            "low_points": [1.0, -3.0, None, None],
            "high_points": [3.0, 1.0, None, None],
            "p": [0.01, 0.4, None, None],
            "p_holm": [0.02, None, None, None],
        }
    )
    figures.plot_contrasts(frame, ax)
    drawn = {}
    for line in ax.lines:
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            if line.get_linestyle() == "None":
                drawn[float(x)] = (round(float(y)), to_hex(line.get_markerfacecolor()))
    assert set(drawn) == {2.0, -1.0, 0.5}
    assert drawn[2.0][1] == "#000000"
    assert drawn[-1.0][1] == drawn[0.5][1] == "#ffffff"
    assert drawn[0.5][0] == 1
    segments = [s[:, 0].tolist() for c in ax.collections for s in c.get_segments() if len(s)]
    assert [s for s in segments if not np.isnan(s).any()] == [[1.0, 3.0], [-3.0, 1.0]]
    assert ticks(ax.yaxis) == ["method:\nCLIP-IT - unimodal", "text:\nCLIP-IT - no text"]
    assert legend(ax) == ["mean over backbones", "UNI", "filled: p < 0.05"]


def test_slopes_draw_one_line_a_seed_and_dash_what_falls(ax):
    figures.plot_slopes([80, 82, 81], [85, 81, 84], ["seed 1", "seed 2", "seed 3"], ax)
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["seed 1", "seed 2", "seed 3", "mean"]
    assert list(lines["seed 2"].get_ydata()) == [82, 81]
    assert [lines[f"seed {s}"].get_linestyle() for s in (1, 2, 3)] == ["-", "--", "-"]
    np.testing.assert_allclose(lines["mean"].get_ydata(), [81, 250 / 3])
    assert ticks(ax.xaxis) == ["unimodal", "CLIP-IT"]


def test_the_forest_shows_verdicts_in_words_and_the_margin(ax):
    verdicts = ["better", "worse", "equivalent", "inconclusive"]
    frame = pd.DataFrame(
        {
            "label": list("abcd"),
            "difference_points": [2.0, -2.0, 0.0, 1.0],
            "low_points": [1.0, -3.0, -0.2, -1.0],
            "high_points": [3.0, -1.0, 0.2, 3.0],
            "verdict": verdicts,
            "margin_points": 0.5,
        }
    )
    figures.plot_forest(frame, ax)
    assert ticks(ax.yaxis) == ["a: better", "b: worse", "c: equivalent", "d: inconclusive"]
    span = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert (round(span.x0, 6), round(span.x1, 6)) == (-0.5, 0.5)
    shown = {line.get_label(): line for line in ax.lines if line.get_label() in verdicts}
    assert [float(shown[name].get_xdata()[0]) for name in verdicts] == [2.0, -2.0, 0.0, 1.0]
    assert len({shown[name].get_marker() for name in verdicts}) == 4


def test_confusion_is_in_percent_of_the_true_class(ax):
    figures.plot_confusion([[9, 1], [2, 2]], ["no", "yes"], ax)
    assert [text.get_text() for text in ax.texts] == ["90.0", "10.0", "50.0", "50.0"]
    assert ticks(ax.yaxis) == ["no", "yes"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[90, 10], [50, 50]])


def test_a_class_without_samples_does_not_break_confusion(ax):
    figures.plot_confusion([[0, 0], [2, 2]], ["no", "yes"], ax)
    assert ax.texts[0].get_text() == "0.0"


def test_flips_go_right_when_rescued_and_left_when_lost(ax):
    flips = scores.Flips(np.array([3.0, 0.0]), np.array([1.0, 2.0]))
    figures.plot_flips(flips, ["no", "yes"], ax)
    assert [bar.get_width() for bar in ax.patches] == [3.0, 0.0, -1.0, -2.0]
    assert len({bar.get_hatch() for bar in ax.patches}) == 2
    assert legend(ax) == ["rescued", "lost"]


def test_calibration_draws_filled_bins_and_prints_the_error(ax):
    probabilities = np.tile([0.75, 0.25], (4, 1))
    curve = scores.calibration(probabilities, [0, 0, 1, 1])
    figures.plot_calibration({"unimodal": curve, "CLIP-IT": curve}, ax)
    assert legend(ax) == ["perfect", "unimodal (ECE 0.250)", "CLIP-IT (ECE 0.250)"]
    line = ax.lines[1]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0.75], [0.5])
    assert ax.lines[1].get_marker() != ax.lines[2].get_marker()


def test_learning_curves_name_each_arm_once(ax):
    rows = [
        {"arm": arm, "label": arm, "replicate": seed, "quantity": quantity, "step": s, "value": s}
        for arm in ("unimodal", "clip_it")
        for seed in ("seed 1", "seed 2")
        for quantity in ("loss", "balanced accuracy")
        for s in (1, 2, 3)
    ]
    figures.plot_learning(pd.DataFrame(rows), "loss", ax)
    assert len(ax.lines) == 4
    assert legend(ax) == ["unimodal", "clip_it"]
    assert ax.get_ylabel() == "validation loss"
    assert len({line.get_linestyle() for line in ax.lines}) == 2


def test_closeness_is_drawn_before_and_after(ax):
    before, after = [0.0, 0.1, 0.2], [0.5, 0.9, 1.0]
    assert figures.plot_alignment(before, after, ax=ax, title="UNI") is ax
    assert legend(ax) == ["before training (mean 0.100)", "after training (mean 0.800)"]
    assert ax.get_xlabel() == "cosine similarity of image and report"
    first, second = ax.containers
    for bars, values in ((first, before), (second, after)):
        assert sum(bar.get_height() for bar in bars) == 3
        filled = [bar for bar in bars if bar.get_height()]
        for value in values:
            assert any(
                b.get_x() - 1e-9 <= value <= b.get_x() + b.get_width() + 1e-9 for b in filled
            )
    assert [bar.get_x() for bar in first] == [bar.get_x() for bar in second]
    assert first[0].get_hatch() != second[0].get_hatch()
    other = Figure().add_subplot()
    figures.plot_alignment(before, after, "Euclidean distance", other)
    assert other.get_xlabel() == "Euclidean distance of image and report"
    with pytest.raises(InputError, match=r"shapes \(3,\) and \(2,\): give \[samples\]"):
        figures.plot_alignment(before, after[:2], ax=other)


def test_the_gain_is_drawn_against_the_share_of_replaced_pairs(ax):
    frame = pd.DataFrame(
        {
            "setting": ["", "", ""],
            "replaced_share": [0.0, 0.5, 1.0],
            "difference_points": [3.0, 1.5, 0.1],
            "low_points": [2.0, -0.5, None],
            "high_points": [4.0, 3.5, None],
            "covers_zero": [False, True, None],
        }
    )
    assert figures.plot_replaced(frame, ax, title="UNI on PCAM") is ax
    ends = {s[0][0]: (s[0][1], s[1][1]) for s in ax.collections[0].get_segments() if len(s)}
    ends = {x: pair for x, pair in ends.items() if not np.isnan(pair).any()}
    assert ends == {0.0: (2.0, 4.0), 50.0: (-0.5, 3.5)}
    drawn = {}
    for line in ax.lines:
        if line.get_linestyle() == "None":
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
                drawn[float(x)] = (float(y), to_hex(line.get_markerfacecolor()))
    assert {x: y for x, (y, _) in drawn.items()} == {0.0: 3.0, 50.0: 1.5, 100.0: 0.1}
    assert drawn[0.0][1] != "#ffffff"
    assert drawn[50.0][1] == drawn[100.0][1] == "#ffffff"
    assert ax.get_xlabel() == "pairs replaced at random (%)"
    assert legend(ax) == ["interval without 0", "covers 0, or refused"]
    assert any(list(line.get_ydata()) == [0, 0] for line in ax.lines)


def test_each_setting_has_a_line_on_pairs_replaced(ax):
    frame = pd.DataFrame(
        {
            "setting": ["", "", "lambda 10", "lambda 10"],
            "replaced_share": [0.0, 1.0, 0.0, 1.0],
            "difference_points": [3.0, 0.5, 9.0, 0.1],
            "low_points": [2.0, -0.5, 7.0, -1.0],
            "high_points": [4.0, 1.5, 11.0, 1.0],
            "covers_zero": [False, True, False, True],
        }
    )
    figures.plot_replaced(frame, ax)
    lines = [line for line in ax.lines if line.get_linestyle() not in ("None", "-")]
    assert [list(line.get_ydata()) for line in lines] == [[3.0, 0.5], [9.0, 0.1]]
    assert any("lambda 10" in words for words in legend(ax))


def test_without_axes_a_figure_is_made():
    from matplotlib import pyplot

    made = figures.plot_slopes([1.0], [2.0])
    assert made.figure.number in pyplot.get_fignums()
    pyplot.close(made.figure)


def test_names_from_the_data_are_no_formulas_and_fit(ax):
    name = r"$\frac$ " + "x" * 200
    figures.plot_confusion([[1, 0], [0, 1]], [name, "yes"], ax, title=name)
    ax.figure.canvas.draw()
    assert max(map(len, ticks(ax.yaxis)[0].splitlines())) <= 22
    assert ticks(ax.yaxis)[0].startswith(r"\$\frac\$")
