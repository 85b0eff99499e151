from typing import Any

import pytest

from clipit_eva.analysis.reading.arms import Arm, recipe_of
from clipit_eva.analysis.reading.arms import resolve as resolve_settings
from clipit_eva.analysis.reading.run_settings import method_of, settings_of
from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.tasks import configs


def config(lora: dict | None = None, train: dict | None = None, **arguments: Any) -> dict:
    if lora is not None:
        arguments["lora"] = {"class_path": "LoRASettings", "init_args": lora}
    datasets = {"class_path": "DatasetsSchema", "init_args": {"train": {"init_args": train or {}}}}
    return {
        "model": {"class_path": "clipit_eva.CLIPITModule", "init_args": arguments},
        "data": {"init_args": {"datasets": datasets}},
    }


def traits(made: dict, branch: str, pairing: dict | None = None) -> tuple[str, Any]:
    config = RecordedConfig(made)
    return method_of(config, branch), settings_of(config, branch, pairing)


def resolve(runs: list, plain: list[bool] | None = None) -> list[Arm]:
    return resolve_settings(runs, plain)


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
    assert [arm.setting_and_share for arm in resolve(runs)] == [("clip_it", s) for s in shares]
    more = traits(config(lora={"rank": 4}), "fused", {"replaced_share": 0.5})
    arm = resolve([runs[0], more])[1]
    assert arm.setting_and_share == ("rank_4", 0.5)
    assert arm.without_text == "no_text+rank_4"
    assert Arm("no_text", "").setting_and_share == ("no_text", 0)


def test_the_only_settings_are_the_full_arm_whatever_they_are():
    rank, ablated = config(lora={"rank": 8}), config(lora={"rank": 8}, word_dropout=0.5)
    assert name(rank, rank, ablated) == ["clip_it", "clip_it", "word_dropout_50"]


def test_which_of_several_settings_is_the_headline_is_not_guessed():
    with pytest.raises(InputError, match=r"rank 32; rank 8\) and none is the default"):
        name(config(lora={"rank": 8}), config(lora={"rank": 32}))


def test_another_vision_model_is_an_arm_of_its_own():
    linear = {"model": {"class_path": "eva.core.models.modules.head.HeadModule"}}
    other = {"model": {"class_path": "my.Baseline"}}
    assert name(linear, other, branch="vision") == ["unimodal", "Baseline"]


def recorded(kind: str, **environment: str) -> dict:
    """A shipped config as a run records it."""
    return configs.resolved(configs.path(f"{kind}/bach"), environment)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("WEIGHT_DECAY", "0.01", "weight_decay_0.01"),
        ("BATCH_SIZE", "32", "batch_size_32"),
        ("MAX_STEPS", "100", "steps_100"),
        ("PATIENCE", "5", "patience_5"),
        ("PRECISION", "bf16-mixed", "precision_bf16-mixed"),
        ("RESIZE_DIM", "512", "size_512"),
    ],
)
def test_any_setting_tells_arms_apart(variable: str, value: str, expected: str) -> None:
    assert name(recorded("clip_it"), recorded("clip_it", **{variable: value})) == [
        "clip_it",
        expected,
    ]


@pytest.mark.parametrize("method", ["unimodal", "text_only", "clip_it"])
def test_a_setting_that_does_not_exist_yet_tells_arms_apart(method: str) -> None:
    old, new = recorded(method), recorded(method)
    new["model"]["init_args"]["new_knob"] = 3
    branch = {"unimodal": "vision", "text_only": "text", "clip_it": "fused"}[method]
    first, second = name(old, new, branch=branch)
    assert first == method
    assert second.endswith("new_knob_3")


def test_a_callback_that_is_left_out_tells_arms_apart() -> None:
    others = [recorded("clip_it", DISTILL_WEIGHT="3"), recorded("clip_it", TOP_K="2")]
    without = recorded("clip_it")
    callbacks = without["trainer"]["init_args"]["callbacks"]
    callbacks[:] = [one for one in callbacks if not one["class_path"].endswith("EarlyStopping")]
    found = name(recorded("clip_it"), *others, without)
    assert len(set(found)) == 4
    assert found[0] == "clip_it"


@pytest.mark.parametrize(
    "variable",
    ["OUTPUT_ROOT", "DATA_ROOT", "N_DATA_WORKERS", "NUM_DEVICES", "SAVE_LAST", "TQDM_REFRESH_RATE",
     "EMBEDDINGS_ROOT", "GRADIENT_CHECKPOINTING", "PAIRING_TABLE", "N_RUNS", "DOWNLOAD_DATA"],
)  # fmt: skip
def test_places_and_speed_tell_no_arms_apart(variable: str) -> None:
    assert name(recorded("clip_it"), recorded("clip_it", **{variable: "7"})) == ["clip_it"] * 2


def test_learning_rates_of_unimodal_runs_are_two_arms() -> None:
    found = resolve(
        [traits(recorded("unimodal", LR_VALUE=rate), "vision") for rate in ("0.0003", "0.5")]
    )
    assert found == [
        Arm("unimodal", "unimodal", "unimodal"),
        Arm("unimodal+learning_rate_0.5", "unimodal, learning rate 0.5", "unimodal"),
    ]


def test_runs_on_embeddings_are_the_arms_of_runs_on_images() -> None:
    assert name(recorded("unimodal"), recorded("unimodal_cached"), branch="vision") == [
        "unimodal", "unimodal",
    ]  # fmt: skip
    frozen = recorded("clip_it", LORA_VISION="false"), recorded("no_lora_cached")
    assert name(recorded("clip_it"), recorded("clip_it", TOP_K="2"), *frozen)[2:] == [
        "no_lora", "no_lora",
    ]  # fmt: skip


def test_what_all_runs_share_names_no_arm() -> None:
    """A study of frozen backbones has its full method among them."""
    made = [config(lora={"vision": False}, word_dropout=rate) for rate in (0.0, 0.3)]
    assert name(*made) == ["clip_it", "word_dropout_30"]


def test_most_arms_say_what_the_full_method_is() -> None:
    lower = {"optimizer": {"init_args": {"lr": 0.1}}}
    made = [config(**lower), config(**lower, distill_weight=0), config(**lower, word_dropout=0.3)]
    assert name(*made, config()) == ["clip_it", "no_text", "word_dropout_30", "learning_rate_0.001"]


def test_a_plan_says_what_the_full_method_is() -> None:
    runs = [traits(config(lora={"rank": rank}), "fused") for rank in (4, 8, 16)]
    assert [arm.name for arm in resolve(runs)] == ["rank_4", "rank_8", "clip_it"]
    found = [arm.name for arm in resolve(runs, [False, True, False])]
    assert found == ["rank_4", "clip_it", "rank_16"]


def shipped_config(method: str, task: str = "bach", **variables: str) -> dict:
    return configs.resolved(configs.path(f"{method}/{task}"), variables)


@pytest.mark.parametrize("task", ["patch_camelyon", "bach", "crc"])
def test_the_authors_recipe_is_a_method_of_its_own(task):
    ours, authors = shipped_config("clip_it", task), shipped_config("clip_it_authors", task)
    no_text = shipped_config("clip_it_authors", task, DISTILL_WEIGHT="0")
    rank = shipped_config("clip_it_authors", task, LORA_RANK="4")
    runs = [traits(one, "fused") for one in (ours, authors, no_text, rank)]
    assert [arm.name for arm in resolve(runs)] == [
        "clip_it", "clip_it_authors", "clip_it_authors+no_text", "clip_it_authors+rank_4",
    ]  # fmt: skip
    assert resolve(runs)[1].label == "CLIP-IT by the authors' recipe"
    assert resolve(runs[:2]) == resolve(runs)[:2]


def test_a_run_tells_whose_recipe_it_followed():
    def told(method: str, branch: str = "fused", **variables: str) -> str | None:
        return recipe_of(*traits(shipped_config(method, "crc", **variables), branch))

    assert told("clip_it") == "this package's"
    assert told("clip_it_authors") == "the authors'"
    assert told("clip_it_authors", LORA_RANK="4") == "the authors', rank 4"
    assert told("clip_it", DISTILL_WEIGHT="0") == "this package's, no text (same layers)"
    assert told("unimodal", "vision") is None


def test_augmentation_is_told_by_the_arm():
    for method, branch in (("clip_it", "fused"), ("unimodal", "vision")):
        made = [shipped_config(method, AUGMENTATION=name) for name in ("null", "flips_and_jitter")]
        expected = ["augmentation_flips_and_jitter"]
        if method == "unimodal":
            expected = [f"unimodal+{expected[0]}"]
        assert name(*made, branch=branch) == [method, *expected]


def test_runs_from_before_augmentation_are_the_same_arm():
    new = shipped_config("clip_it")
    old = RecordedConfig(new).without("FewLabels").value
    assert traits(old, "fused") == traits(new, "fused")
