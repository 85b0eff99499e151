import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from clipit_eva.analysis import figures, scores
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


def test_gains_draw_estimates_intervals_and_significance(ax):
    frame = pd.DataFrame(
        {
            "dataset": ["PCAM", "BACH", "PCAM"],
            "backbone": ["UNI", "UNI", "ViT-B/8"],
            "difference_points": [2.0, -1.0, 0.5],
            "low_points": [1.0, -3.0, np.nan],
            "high_points": [3.0, 1.0, np.nan],
            "p_holm": [0.01, 0.4, np.nan],
        }
    )
    figures.plot_gains(frame, ax)
    drawn = {}
    for line in ax.lines:
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            if line.get_linestyle() == "None":
                drawn[float(x)] = (round(float(y)), to_hex(line.get_markerfacecolor()))
    assert set(drawn) == {2.0, -1.0, 0.5}
    assert drawn[2.0][1] != "#ffffff"
    assert drawn[-1.0][1] == drawn[0.5][1] == "#ffffff"
    assert drawn[0.5][0] == 1
    drawn_intervals = [s for c in ax.collections for s in c.get_segments() if len(s)]
    assert [segment[:, 0].tolist() for segment in drawn_intervals] == [[1.0, 3.0], [-3.0, 1.0]]
    assert ticks(ax.yaxis) == ["UNI", "ViT-B/8"]
    assert legend(ax)[:2] == ["PCAM", "BACH"]
    markers = {line.get_marker() for line in ax.lines if line.get_label() in ("PCAM", "BACH")}
    assert len(markers) == 2


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


def test_embeddings_are_compared_before_and_after(ax):
    text = np.eye(4)[[0, 1, 2, 3]]
    before, after = np.roll(text, 1, axis=1), 2 * text
    figures.plot_similarity(before, after, text, ax)
    assert legend(ax) == ["before training (mean 0.000)", "after training (mean 1.000)"]
    other = Figure().add_subplot()
    figures.plot_distance(before, after, text, other)
    assert legend(other) == ["before training (mean 1.414)", "after training (mean 1.000)"]
    with pytest.raises(InputError, match=r"shapes \(4, 4\), \(4, 4\), \(3, 4\)"):
        figures.plot_distance(before, after, text[:3], other)


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
