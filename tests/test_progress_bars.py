"""Progress bars are shown, and silenced by the variable that silences Lightning's."""

import pytest

from clipit_eva.progress_bars import progress


def test_bars_are_silenced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TQDM_REFRESH_RATE", raising=False)
    assert list(progress(range(3), desc="shown")) == [0, 1, 2]
    assert "shown" in capsys.readouterr().err
    monkeypatch.setenv("TQDM_REFRESH_RATE", "0")
    assert list(progress(range(3), desc="shown")) == [0, 1, 2]
    assert not capsys.readouterr().err
