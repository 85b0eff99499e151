"""The public names of the package, and which of them no command reaches."""

import inspect
import re
from pathlib import Path

import pytest

from clipit_eva.analysis import significance

OTHERS = Path(significance.__file__).parents[1]
NOTEBOOK = {name for names in significance.NOTEBOOK.values() for name in names}


def test_every_public_name_is_found_and_described():
    for name in significance.__all__:
        assert inspect.getdoc(getattr(significance, name)), name
    with pytest.raises(AttributeError, match="no attribute 'p_hacked'"):
        _ = significance.p_hacked


def test_names_for_notebooks_are_used_nowhere_else():
    files = [path for path in OTHERS.rglob("*.py") if path.parent.name != "significance"]
    assert len(files) > 50
    words = set(re.findall(r"\w+", "".join(path.read_text() for path in files)))
    assert not NOTEBOOK & words
