"""Objects from a recorded configuration."""

from collections import OrderedDict

import pytest
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.export.construction import build

from .conftest import describe


def test_nested_objects_are_built_and_secrets_left_out() -> None:
    layer = describe("torch.nn.modules.linear.Linear", in_features=2, out_features=3, device="***")
    module = build(describe("torch.nn.modules.container.ModuleList", modules=[layer]))
    assert isinstance(module[0], nn.Linear)
    assert build({"a": [layer, 1]})["a"][1] == 1


@pytest.mark.parametrize("path", ["os.system", "collections.OrderedDict", "torchlike.Module"])
def test_other_packages_are_refused(path: str) -> None:
    with pytest.raises(InputError, match=f"made with {path}; export makes classes of"):
        build(describe(path))
    with pytest.raises(InputError, match=path):
        build(OrderedDict(a=[describe(path)]))
