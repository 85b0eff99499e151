import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from clipit_eva.analysis.grid.demo_grid import results

TARGETS = np.arange(200) % 4


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_contrasts_are_of_clip_it_on_the_demos_own_pairs(write_run, drawn, share):
    facts = {"pairing": {"replaced_share": share}}
    shuffled = {"pairing": {"replaced_share": share, "control": "shuffled"}}
    made = {}
    for seed in (1, 2, 3):
        for place, (name, method, accuracy, more) in enumerate(
            (
                ("unimodal", "unimodal", 0.5, {}),
                ("text_only", "text_only", 0.6, {"provenance": facts}),
                ("no_text", "clip_it", 0.6, {"distill_weight": 0.0}),
                ("shuffled_pairs", "clip_it", 0.6, {"provenance": shuffled}),
                ("clip_it", "clip_it", 0.9, {"provenance": facts}),
            )
        ):
            predictions = drawn(TARGETS, accuracy, 10 * seed + place)
            write_run(method, TARGETS, predictions, seed=seed, name=f"{name}_{seed}", **more)
            made[name, seed] = 100 * balanced_accuracy_score(TARGETS, predictions)
    scores, contrasts, sentences = results(write_run.folder)
    for (name, seed), score in made.items():
        assert scores.loc[f"seed {seed}", name] == pytest.approx(score)
    assert contrasts["contrast"].str.partition(":")[0].tolist() == [
        "method", "text", "pairs", "LoRA and layers",
    ]  # fmt: skip
    text = np.mean([made["clip_it", seed] - made["no_text", seed] for seed in (1, 2, 3)])
    assert contrasts["difference_points"][1] == pytest.approx(text)
    assert sentences[0].startswith("BACH: reports helped (patch-level, optimistic")
