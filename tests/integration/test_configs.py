"""Every shipped config through the real command."""

from pathlib import Path

import pytest
from eva_layouts import LAYOUTS, write_layout

from clipit_eva.predictions.predictions_table import FILENAME, read_predictions
from clipit_eva.tasks import configs
from clipit_eva.tasks.card import read_card, shipped_cards

pytestmark = pytest.mark.slow

KEPT = [name for name in configs.names() if name.endswith(("/bach", "/crc", "/patch_camelyon"))]
"""Configs of the paper's tasks; other tasks differ in their cards alone, see `test_other_tasks`."""

TRAINING = [name for name in KEPT if not name.startswith(("pairing/", "embeddings/", "predict/"))]
BRANCHES = {
    "unimodal": {"vision"},
    "unimodal_cached": {"vision"},
    "text_only": {"text"},
    "clip_it": {"fused", "vision"},
    "clip_it_authors": {"fused", "vision"},
    "no_lora_cached": {"fused", "vision"},
}
LONG = {
    *(f"{method}/crc" for method in (*BRANCHES, "pairing", "embeddings", "predict")),
    *(f"{method}/patch_camelyon" for method in BRANCHES if method not in ("unimodal", "clip_it")),
}
"""Left to `nox -s long`: CRC's 100,000 images take each process half a minute, and BACH tells most
of what a method can be wrong about."""


def cases(names):
    """Parameters of a test of configs."""
    return [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in names]


FEW = ["--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
"""The large datasets are of full length: one batch of each split is enough."""


@pytest.fixture
def environment(config, request):
    kind, _, task = config.partition("/")
    if kind.endswith("_cached"):
        return request.getfixturevalue(f"embedded_{task}")
    return request.getfixturevalue("paired_bach" if task == "bach" else task)


def test_every_config_is_covered() -> None:
    kinds = {name.partition("/")[0] for name in configs.names()}
    assert kinds == {"ablations", "pairing", "embeddings", "predict", *BRANCHES}


@pytest.mark.parametrize("config", cases(TRAINING))
def test_training_config(config, environment, run_eva) -> None:
    limits = [] if config.endswith("/bach") else FEW
    finished = run_eva("fit", config, environment, *limits)
    assert finished.status == 0, finished.output
    rows, provenance = read_predictions(finished.file(FILENAME))
    assert set(rows["branch"]) == BRANCHES[config.partition("/")[0]]
    assert rows["target"].notna().all()
    if not limits:
        assert rows.groupby("branch").size().eq(132).all()
    assert provenance["config"]["trainer"]["init_args"]["max_steps"] == 2
    if not config.startswith("unimodal"):
        assert set(provenance["inputs"]) == {"pairing_table"}


@pytest.mark.parametrize(
    "task",
    [
        "breakhis",
        *(
            pytest.param(task, marks=pytest.mark.long)
            for task in (*sorted({*LAYOUTS} - {"breakhis"}), "patch_camelyon_10shots")
        ),
    ],
)
def test_other_tasks(task, run_eva, request, tmp_path, monkeypatch) -> None:
    """The same layers without text need no pairs: what a card says is all that there is to try."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if task in LAYOUTS:
        write_layout(task, tmp_path)
        environment = {"DATA_ROOT": str(tmp_path)}
    else:
        environment = request.getfixturevalue("patch_camelyon")
    environment = {**environment, "DISTILL_WEIGHT": "0"}
    finished = run_eva("fit", f"clip_it/{task}", environment, *FEW)
    assert finished.status == 0, finished.output
    rows, made = read_predictions(finished.file(FILENAME))
    assert rows.groupby("branch").size().eq(32).all()
    assert made["datasets"][0]["classes"] == read_card(shipped_cards()[task]).classes
    grouped = task not in ("mhist", "patch_camelyon_10shots")
    assert ("group" in rows and rows["group"].notna().all()) == grouped


REAL = Path(__file__).parents[2].parent / "shared" / "real"


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL}, real tiles, is not there")
@pytest.mark.parametrize(
    ("name", "classes", "lengths"),
    [
        ("idc", ["no_idc", "idc"], {"patients": 90, "images": 3187}),
        pytest.param(
            "lc25000",
            ["lung_aca", "lung_n", "lung_scc", "colon_aca", "colon_n"],
            {"patients": 1231, "images": 1231},
            marks=pytest.mark.long,
        ),
    ],
)
def test_real_tiles_of_ones_own(name, classes, lengths, run_eva, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    card = tmp_path / f"{name}.yaml"
    card.write_text(
        f"title: Tiles\ndataset: clipit_eva.data.LabelledImages\narguments: {{index: index.csv}}\n"
        f"splits: {{train: train, val: val, test: test}}\nclasses: [{', '.join(classes)}]\n"
        f"binary: {str(len(classes) == 2).lower()}\npatience: 5\n"
        f"metric: val/{'BinaryBalanced' if len(classes) == 2 else 'Multiclass'}Accuracy\n"
    )
    environment = {"DATA_ROOT": str(REAL / name), "BATCH_SIZE": "256"}
    finished = run_eva("fit", configs.path("unimodal", card), environment)
    assert finished.status == 0, finished.output
    rows, made = read_predictions(finished.file(FILENAME))
    chosen, _ = read_predictions(finished.file(FILENAME.replace(".", "-val.")))
    assert not set(rows["group"]) & set(chosen["group"])
    assert 0.15 < len(rows) / lengths["images"] < 0.25
    assert 0.15 < rows["group"].nunique() / lengths["patients"] < 0.27
    assert set(rows["target"]) == set(range(len(classes)))
    assert (made["datasets"][0]["title"], made["datasets"][0]["classes"]) == ("Tiles", classes)


def test_card_of_one_s_own_trains(paired_bach, run_eva, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    card = tmp_path / "mine.yaml"
    card.write_text(shipped_cards()["bach"].read_text().replace("title: BACH", "title: Mine"))
    finished = run_eva("fit", configs.path("clip_it", card), paired_bach)
    assert finished.status == 0, finished.output
    rows, _ = read_predictions(finished.file(FILENAME))
    assert rows.groupby("branch").size().to_dict() == {"fused": 132, "vision": 132}


@pytest.mark.parametrize("config", cases(["pairing/crc", "pairing/patch_camelyon"]))
def test_pairing_config_refuses_a_part(config, environment, run_eva) -> None:
    """Embeds one batch and then refuses: a table of a part would look like one of all."""
    environment = {**environment, "PAIRING_TABLE": environment["DATA_ROOT"] + "/new.parquet"}
    finished = run_eva("predict", config, environment, "--trainer.limit_predict_batches=1")
    assert finished.status == 2
    assert "only 32 of " in finished.error
    assert not Path(environment["PAIRING_TABLE"]).exists()


@pytest.mark.parametrize("config", cases(["embeddings/crc", "embeddings/patch_camelyon"]))
def test_embeddings_config_keeps_a_part(config, environment, run_eva, tmp_path) -> None:
    environment = {**environment, "EMBEDDINGS_ROOT": str(tmp_path)}
    finished = run_eva("predict", config, environment, "--trainer.limit_predict_batches=1")
    assert finished.status == 2
    assert "only 32 of " in finished.error
    assert not list(tmp_path.glob("*.sha256"))


@pytest.mark.parametrize("config", cases(name for name in KEPT if "predict/" in name))
def test_predict_config(config, environment, cohort, run_eva) -> None:
    task = config.partition("/")[2]
    limits = [] if task == "bach" else FEW
    trained = run_eva("fit", f"clip_it/{task}", {**environment, "DISTILL_WEIGHT": "0"}, *limits)
    images = cohort.bach / "ICIAR2018_BACH_Challenge" / "Photos" / "Benign"
    finished = run_eva(
        "predict", config, {"DATA_ROOT": str(images), "CHECKPOINT": str(trained.folder)}
    )
    assert finished.status == 0, finished.output
    rows, _ = read_predictions(finished.file(FILENAME))
    assert rows.groupby("branch").size().to_dict() == {"fused": 100, "vision": 100}
    assert rows["target"].isna().all()
    assert rows["filename"].iloc[0] == "b001.tif"
