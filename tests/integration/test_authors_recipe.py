"""The authors' recipe through the real command, with the shipped configs."""

import json

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clipit_eva.predictions.predictions_table import FILENAME, read_predictions

pytestmark = pytest.mark.slow

EPOCH = {"MAX_STEPS": "-1", "VAL_CHECK_INTERVAL": "0.1"}
"""What the recipe's own defaults are, where other tests make runs quick."""

PART = ["--trainer.limit_train_batches=10", "--trainer.limit_val_batches=1",
        "--trainer.limit_test_batches=1"]  # fmt: skip
"""An epoch of the large datasets, which are of full length."""

CASES = {
    # Task: its test's classes, and the steps after which it validates.
    "patch_camelyon": (2, list(range(10))),
    "bach": (4, list(range(8))),
    "crc": (9, list(range(10))),
}


@pytest.mark.parametrize(
    "task", ["patch_camelyon", "bach", pytest.param("crc", marks=pytest.mark.long)]
)
def test_one_epoch(task, request, run_eva) -> None:
    environment = request.getfixturevalue("paired_bach" if task == "bach" else task)
    limits = [] if task == "bach" else PART
    finished = run_eva("fit", f"clip_it_authors/{task}", {**environment, **EPOCH}, *limits)
    assert finished.status == 0, finished.output
    rows, provenance = read_predictions(finished.file(FILENAME))
    classes, steps = CASES[task]
    assert sum(name.startswith("prob_") for name in rows) == classes
    assert set(rows["branch"]) == {"fused", "vision"}
    assert provenance["config"]["model"]["init_args"]["validation_distillation"] is True
    losses = _logged(finished, "val/AverageLoss")
    assert sorted(losses) == steps  # every tenth of the epoch, which ends the training
    best = torch.load(finished.file("best.ckpt"), weights_only=True)
    assert best["global_step"] == min(losses, key=losses.__getitem__) + 1
    trained = best["state_dict"]
    assert {name.partition(".")[0] for name in trained} == {"backbone", "heads", "reports"}
    assert any("lora_embedding_A" in name for name in trained)  # of the text encoder
    assert any("patch_embed.proj.lora_A" in name for name in trained)
    assert trained["heads.vision.base_layer.weight"].shape == (classes, 96)
    assert trained["heads.vision.lora_B.default.weight"].any()


def _logged(finished, name: str) -> dict[int, float]:
    """Returns a logged number of the validations while training, by step."""
    found = []
    for file in finished.folder.rglob("events.out.tfevents.*"):  # one a stage
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        if name in events.Tags()["scalars"]:
            found.append({event.step: event.value for event in events.Scalars(name)})
    return max(found, key=len)


def test_validation_reads_text_and_the_test_none(paired_bach, run_eva) -> None:
    """The same run without the term has another validation loss, and the same weights."""
    both = {}
    for on in ("true", "false"):
        argument = f"--model.init_args.validation_distillation={on}"
        environment = {**paired_bach, "CHECKPOINT_TYPE": "last"}
        finished = run_eva("fit", "clip_it_authors/bach", environment, argument)
        assert finished.status == 0, finished.output
        rows, _ = read_predictions(finished.file(FILENAME))
        both[on] = (_logged(finished, "val/AverageLoss"), rows["prob_0"].to_numpy())
    (with_text, predictions), (without, same) = both["true"], both["false"]
    assert all(with_text[step] > without[step] + 0.05 for step in without)
    assert np.array_equal(predictions, same)


def test_trained_run_predicts_and_is_tested_as_it_was(patch_camelyon, run_eva) -> None:
    """Two logits for a binary task, and images as CLIP sees them."""
    limit = "--trainer.limit_test_batches=1"
    trained = run_eva(
        "fit", "clip_it_authors/patch_camelyon", patch_camelyon, limit,
        "--trainer.limit_val_batches=1",
    )  # fmt: skip
    assert trained.status == 0, trained.output
    again = run_eva(
        "test",
        "predict/patch_camelyon",
        {**patch_camelyon, "CHECKPOINT": str(trained.folder)},
        limit,
    )
    assert again.status == 0, again.output
    first, second = (read_predictions(run.file(FILENAME))[0] for run in (trained, again))
    columns = ["branch", "index", "prediction"]
    assert first[columns].equals(second[columns])
    assert np.allclose(first["prob_1"], second["prob_1"], atol=1e-5)


def test_augmentation_of_ones_own_and_the_authors_schedule(paired_bach, run_eva) -> None:
    environment = {**paired_bach, "AUGMENTATION": "flips_and_jitter"}
    for method in ("unimodal", "clip_it"):
        finished = run_eva("fit", f"{method}/bach", environment)
        assert finished.status == 0, finished.output
    schedule = {"LR_SCHEDULER": "clipit_eva.models.authors_text_schedule"}
    finished = run_eva("fit", "text_only/bach", {**paired_bach, **schedule})
    assert finished.status == 0, finished.output
    config = read_predictions(finished.file(FILENAME))[1]["config"]
    assert "authors_text_schedule" in json.dumps(config["model"]["init_args"]["lr_scheduler"])


@pytest.mark.parametrize(
    ("config", "variables", "words"),
    [
        ("clip_it/bach", {"AUGMENTATION": "flips"}, "AUGMENTATION=flips must be one of flips_and_"),
        (
            "unimodal_cached/bach",
            {"AUGMENTATION": "flips_and_jitter"},
            "AUGMENTATION=flips_and_jitter changes images, and this config reads their embeddings",
        ),
        ("clip_it/bach", {"VISION_HEAD_LORA": "yes please"}, "VISION_HEAD_LORA=yes please must be"),
        ("text_only/bach", {"LR_SCHEDULER": "none.such"}, "LR_SCHEDULER=none.such"),
    ],
)
def test_mistakes(config, variables, words, paired_bach, run_eva) -> None:
    finished = run_eva("fit", config, {**paired_bach, **variables})
    assert finished.status == 2
    assert words in finished.error
    assert "Traceback" not in finished.output
