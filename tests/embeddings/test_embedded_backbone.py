"""The backbone whose embeddings are on disk."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from eva.vision.models import ModelFromRegistry

from clipit_eva.embeddings import EmbeddedBackbone
from clipit_eva.embeddings.embedded_backbone import weights_digest
from clipit_eva.errors import InputError
from clipit_eva.tasks import synthetic


def test_embeddings_are_handed_on(backbone: Any) -> None:
    embeddings = torch.randn(4, 7)
    assert copy.deepcopy(backbone)(embeddings) is embeddings
    assert not list(backbone.parameters())


def test_images_are_refused(backbone: Any) -> None:
    with pytest.raises(InputError, match=r"takes embeddings \[B, d\], not \(2, 3, 8, 8\); use"):
        backbone(torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("no/such", None, r"MODEL_NAME=no/such cannot be made \(eva has no such backbone\); see"),
        ("pathology/mahmod_uni", None, r"backbone; close are pathology/mahmood_uni, [^\[]{,90}see"),
        (synthetic.NAME, {"depth": 2}, "unexpected keyword argument 'depth'"),
    ],
)
def test_what_cannot_be_made_is_told(name: str, arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EmbeddedBackbone(name, arguments).load()


def test_digest_is_that_of_the_backbone_that_embedded(
    backbone: Any, embed: Any, tiles: Any
) -> None:
    embed({"train": tiles()})
    assert weights_digest(backbone) == weights_digest(ModelFromRegistry(synthetic.NAME))
    assert backbone.record()["width"] == synthetic.FEATURES


def test_digest_without_embeddings(backbone: Any) -> None:
    with pytest.raises(InputError, match=f"EMBEDDINGS_ROOT={backbone.root} has no embeddings by"):
        weights_digest(backbone)


def test_damaged_record_counts_as_none(backbone: Any) -> None:
    backbone.keep_record("a", 3)
    for text in ("", "{", "[]", '{"weights": "a"}'):
        backbone.record_file.write_text(text)
        assert backbone.record() is None


def test_other_arguments_have_another_record(tmp_path: Path) -> None:
    backbones = [
        EmbeddedBackbone(name, kwargs, str(tmp_path))
        for name, kwargs in (("a", None), ("b", None), ("a", {"k": 1}), ("a", {"k": 2}))
    ]
    assert len({backbone.record_file for backbone in backbones}) == 4
    assert EmbeddedBackbone("a", {}, str(tmp_path)).record_file == backbones[0].record_file
