from typing import Any

import pytest

from clipit_eva.analysis.arms import Arm, resolve, traits
from clipit_eva.errors import InputError


def config(lora: dict | None = None, train: dict | None = None, **arguments: Any) -> dict:
    if lora is not None:
        arguments["lora"] = {"class_path": "LoRASettings", "init_args": lora}
    datasets = {"class_path": "DatasetsSchema", "init_args": {"train": {"init_args": train or {}}}}
    return {
        "model": {"class_path": "clipit_eva.CLIPITModule", "init_args": arguments},
        "data": {"init_args": {"datasets": datasets}},
    }


def name(*configs: dict, branch: str = "fused") -> list[str]:
    return [arm.name for arm in resolve([traits(one, branch) for one in configs])]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (config(), "clip_it"),
        (config(lora={"vision": False, "rank": 99}), "no_lora"),
        (config(distill_weight=0.0, word_dropout=0.3), "no_text"),
        (config(word_dropout=0.3), "word_dropout_30"),
        (config(lora={"text": True}), "text_lora"),
        (config(lora={"vision": False}, distill_weight=0), "no_text+no_lora"),
    ],
)
def test_ablations_are_read_off_the_configuration(made, expected):
    assert name(config(), made)[1] == expected


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        ({"control": "shuffled"}, Arm("shuffled_pairs", "shuffled pairs")),
        ({"replaced_share": 0.5}, Arm("replaced_pairs_50", "50% of pairs replaced at random")),
        ({"replaced_share": 0.0}, Arm("clip_it", "CLIP-IT")),
        ({}, Arm("clip_it", "CLIP-IT")),
    ],
)
def test_controls_are_read_off_the_pairing_table(pairing, expected):
    assert resolve([traits(config(), "fused", pairing)]) == [expected]


def test_without_text_the_pairs_are_no_matter():
    run = traits(config(distill_weight=0), "fused", {"control": "shuffled"})
    assert resolve([run])[0].name == "no_text"


def test_other_settings_are_named_after_what_differs():
    rank = config(lora={"rank": 8})
    weighed = config(distill_weight=0.3, train={"top_k": 5})
    assert name(config(), rank, weighed) == ["clip_it", "rank_8", "lambda_0.3+top-k_5"]


def test_the_only_settings_are_the_full_arm_whatever_they_are():
    rank, ablated = config(lora={"rank": 8}), config(lora={"rank": 8}, word_dropout=0.5)
    assert name(rank, rank, ablated) == ["clip_it", "clip_it", "word_dropout_50"]


def test_which_of_several_settings_is_the_headline_is_not_guessed():
    with pytest.raises(InputError, match=r"rank 32; rank 8\) and none is the default"):
        name(config(lora={"rank": 8}), config(lora={"rank": 32}))


def test_another_vision_model_is_an_arm_of_its_own():
    linear = {"model": {"class_path": "eva.core.models.modules.head.HeadModule"}}
    other = {"model": {"class_path": "my.Baseline"}}
    assert name(linear, other, branch="vision") == ["unimodal", "unimodal+Baseline"]
