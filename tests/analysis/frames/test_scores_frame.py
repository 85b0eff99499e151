import pytest

from clipit_eva.analysis.frames.scores_frame import scores_frame


@pytest.fixture
def comparisons(shared_comparisons):
    return shared_comparisons


def test_every_run_is_listed_once_with_its_digest(comparisons, shared_study):
    frame = scores_frame(comparisons)
    assert len(frame) == 24
    assert frame["run"].is_unique
    assert frame["config_digest"].str.fullmatch("[0-9a-f]{12}").all()
    assert all(str(shared_study) in folder for folder in frame["run"])
