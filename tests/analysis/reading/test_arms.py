from typing import Any

import pytest

from clipit_eva.analysis.reading.arms import Arm, resolve, traits
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


def text_config(train: dict | None = None, **reports: Any) -> dict:
    """A text-only run: no backbone, and its reports are an argument of its data."""
    made = config(train={"reports": {"init_args": reports}, **(train or {})})
    return {**made, "model": {"class_path": "eva.HeadModule", "init_args": {"head": {}}}}


def clip_config(**reports: Any) -> dict:
    return config(reports={"class_path": "ReportSource", "init_args": reports})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (config(), "clip_it"),
        (config(lora={"vision": False, "rank": 99}), "no_lora"),
        (config(distill_weight=0.0, word_dropout=0.3), "no_text"),
        (config(word_dropout=0.3), "word_dropout_30"),
        (config(lora={"text": True}), "text_lora"),
        (config(text_gradient=False), "stop_gradient"),
        (config(text_gradient=True), "clip_it"),
        (config(text_gradient=False, distill_weight=0), "no_text"),
        (clip_config(path="prompts:bach"), "class_prompts"),
        (clip_config(path="prompts.txt"), "clip_it"),
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
        ({"policy": {"name": "nearest"}}, Arm("clip_it", "CLIP-IT")),
        (
            {"control": "random", "policy": {"name": "random", "seed": 3}},
            Arm("random_pairs", "random pairs"),
        ),
        ({"control": "constant"}, Arm("constant_pairs", "constant pairs")),
        (
            {"reports": {"source": "prompts:crc", "sha256": "0"}},
            Arm("class_prompts", "class prompts instead of reports"),
        ),
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


def test_policies_against_hubs_are_told_apart():
    made = [
        {"policy": {"name": "nearest"}},
        {"policy": {"name": "csls", "neighbours": 10}},
        {"policy": {"name": "csls", "neighbours": 5}},
        {"policy": {"name": "inverted_softmax", "temperature": 0.05}},
    ]
    assert [arm.name for arm in resolve([traits(config(), "fused", one) for one in made])] == [
        "clip_it",
        "pairing_csls_neighbours_10",
        "pairing_csls_neighbours_5",
        "pairing_inverted_softmax_temperature_0.05",
    ]


def test_a_policy_that_all_runs_share_is_the_full_method():
    policy = {"policy": {"name": "csls", "neighbours": 10}}
    runs = [traits(config(), "fused", policy), traits(text_config(), "text", policy)]
    assert [arm.name for arm in resolve(runs)] == ["clip_it", "text_only"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (config(lora={"rank": 4}), "rank_4"),
        (config(lora={"rank": 4, "alpha": 2}), "rank_4+alpha_2"),
        (config(train={"top_k": 3}), "top-k_3"),
        (config(distill_weight=10), "lambda_10"),
        (config(word_dropout=0.3, lora={"rank": 4}), "word_dropout_30+rank_4"),
        (config(criterion="softmax_cross_entropy"), "criterion_softmax_cross_entropy"),
        (config(criterion="cross_entropy"), "clip_it"),
        (config(vision_head_checkpoint="logs/unimodal"), "clip_it"),
        (clip_config(clip_model="hf-hub:some/BiomedCLIP"), "clip_model_biomedclip"),
        (clip_config(policy="chunk"), "report_policy_chunk"),
        (clip_config(preparation={"tissue": "colon", "cleaning": True, "duplicates": "keep"}),
         "reports_cleaning_true_tissue_colon"),
    ],
)  # fmt: skip
def test_settings_of_a_grid_are_arms_of_their_own(made, expected):
    full = clip_config(clip_model="conch", policy="truncate", preparation={"cleaning": False})
    full["model"]["init_args"]["vision_head_checkpoint"] = "x"
    made["model"]["init_args"].setdefault("vision_head_checkpoint", "x")
    assert name(full, made) == ["clip_it", expected]


def test_settings_that_cannot_matter_name_no_arm():
    """Without text, pairs do not matter; without LoRA, its rank does not."""
    others = [config(train={"top_k": 3}, distill_weight=0), config(lora={"vision": False})]
    assert name(config(), config(lora={"rank": 4}), *others) == [
        "clip_it", "rank_4", "no_text", "no_lora",
    ]  # fmt: skip


def test_a_setting_that_all_share_does_not_hide_which_is_the_headline():
    """The demo's CLIP model is not the recipe's; of the ranks the recipe's is the full method."""
    runs = [clip_config(clip_model="/any/where/clip") for _ in range(2)]
    runs[1]["model"]["init_args"]["lora"] = {"rank": 4}
    assert name(*runs) == ["clip_it", "rank_4"]


def test_text_only_runs_are_named_after_what_differs_from_full_clip_it():
    runs = [
        traits(config(), "fused"),
        traits(text_config(), "text"),
        traits(text_config({"top_k": 5}), "text"),
        traits(text_config(path="prompts:bach"), "text"),
        traits(text_config(), "text", {"control": "shuffled"}),
        traits(text_config(), "text", {"replaced_share": 1.0}),
    ]
    assert [arm.name for arm in resolve(runs)][1:] == [
        "text_only",
        "text_only+top-k_5",
        "text_only+class_prompts",
        "text_only+shuffled_pairs",
        "text_only+replaced_pairs_100",
    ]
    assert resolve(runs[2:3])[0].name == "text_only"


def test_the_share_of_replaced_pairs_is_read_off_the_arm():
    shares = [0.0, 0.25, 0.5, 1.0]
    runs = [traits(config(), "fused", {"replaced_share": share}) for share in shares]
    assert [arm.replaced_share for arm in resolve(runs)] == shares
    more = traits(config(lora={"rank": 4}), "fused", {"replaced_share": 0.5})
    assert resolve([runs[0], more])[1].replaced_share is None
    assert Arm("no_text", "").replaced_share is None


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
