import pytest

from clipit_eva.analysis.frames.ablation_frame import ablation_frame


@pytest.fixture
def comparisons(shared_comparisons):
    return shared_comparisons


def test_ablations_are_variant_minus_full_with_verdicts(comparisons):
    frame = ablation_frame(comparisons, margin_points=0.5)
    assert frame["arm"].tolist() == ["no_text", "no_text"]
    assert (frame["difference_points"] < 0).all()
    assert set(frame["verdict"]) <= {"worse", "inconclusive"}
    wide = ablation_frame(comparisons, margin_points=60)
    assert wide["verdict"].tolist() == ["equivalent", "equivalent"]
