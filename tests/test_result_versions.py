"""Results change only together with the version of their stage: small ones against committed ones.

`GOLDEN=write pytest tests/test_result_versions.py` writes those anew whose version was raised, or
whose libraries are others.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; nothing may download

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from eva.vision.data.datasets import vision
from PIL import Image
from torch.utils.data import default_collate

from clipit_eva import cli, provenance
from clipit_eva.data import PairedDataset
from clipit_eva.demo import cohort
from clipit_eva.demo.demo_backbone import WEIGHTS
from clipit_eva.embeddings import EmbeddedBackbone, EmbeddingsWriter, embedded_split
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.eva import activation
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.report_features import CachedReports
from clipit_eva.pairing import pairing_table, policies, replacement
from clipit_eva.predictions import predictions_table
from clipit_eva.reports.preparation import ReportPreparation
from clipit_eva.result_versions import RESULT_VERSIONS
from clipit_eva.tasks import synthetic

GOLDEN: Final = Path(__file__).parent / "fixtures" / "golden"
LIBRARIES: Final = ("torch", "kaiko-eva", "peft", "timm", "open_clip_torch", "numpy", "scipy")

Numbers = dict[str, Any]
"""Some numbers of a stage by name: arrays, or what becomes one."""

REPORTS: Final = (
    "DIAGNOSIS: Invasive ductal carcin0ma of the left breast, grade 2. Tumor size 2.1 cm. "
    "Margins are free of tumor. Page 1 of 2\nSentinel lymph node negative (0/3). " * 8,
    "GROSS DESCRIPTION: A core biopsy, 1.2 x 0.3 cm.\n\n\nMICROSCOPIC: Normal lobules, fatty "
    "stroma, no atypia.",
    "Fibroadenoma with hyperplasia of usual type; no malignancy is seen.",
    "Fibroadenoma with hyperplasia of usual type: no malignancy was seen.",
    "Ductal carcinoma in situ, solid type, with comedo necrosis and calcification.",
)


class Images(vision.VisionDataset):
    """Images of coloured noise."""

    def __init__(self, count: int) -> None:
        super().__init__()
        noise = np.random.RandomState(count).normal(size=(count, 3, 32, 32))
        self.images = torch.from_numpy(noise).float() + torch.arange(count).view(-1, 1, 1, 1) / 9

    def __len__(self) -> int:
        return len(self.images)

    def filename(self, index: int) -> str:
        return f"{index}.png"

    def load_data(self, index: int) -> torch.Tensor:
        return self.images[index]

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(index % 3)


def _rows(count: int, width: int, seed: int) -> np.ndarray:
    """Rows of unit length [count, width], float32."""
    rows = np.random.RandomState(seed).normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _source(folder: Path, policy: str = "truncate", **preparation: Any) -> ReportSource:
    """The reports, read by the demo's CLIP model."""
    path = folder / "reports.jsonl"
    lines = [json.dumps({"report_id": f"r{n}", "text": text}) for n, text in enumerate(REPORTS)]
    path.write_text("\n".join(lines))
    return ReportSource(
        str(path),
        clip_model=str(WEIGHTS.parent / "clip"),
        cache_dir=str(folder / "cache"),
        preparation=ReportPreparation(**preparation),
        policy=policy,
    )


def _module() -> CLIPITModule:
    """CLIP-IT on a small ViT, each layer as it is drawn."""
    torch.manual_seed(1)
    vit = timm.models.VisionTransformer(
        img_size=32, patch_size=16, embed_dim=24, depth=2, num_heads=2, num_classes=0
    )
    module = CLIPITModule(
        vit,
        in_features=24,
        num_classes=3,
        text_features=16,
        lora=LoRASettings(rank=2),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),  # no sign of tiny numbers
    )
    module.configure_model()
    module.log = lambda *args, **kwargs: None  # no trainer here
    return module


def _cohort(folder: Path, monkeypatch: pytest.MonkeyPatch, **_: Any) -> Numbers:
    monkeypatch.setattr(cohort, "IMAGES_PER_CLASS", 2)
    monkeypatch.setattr(cohort, "N_REPORTS", 8)
    made = cohort.make_cohort(folder, 1)
    images = [np.asarray(Image.open(path)) for path in sorted(made.bach.rglob("*.tif"))]
    texts = pd.read_parquet(made.reports)["text"]
    truth = pd.read_csv(made.truth)
    return {
        "mean of colours": [image.mean(axis=(0, 1)) for image in images],
        "spread": [image.std() for image in images],
        "characters": texts.str.len(),
        "letters e": texts.str.count("e"),
        "described classes": pd.factorize(truth["described_class"], sort=True)[0],
    }


def _reports(folder: Path, **_: Any) -> Numbers:
    numbers: Numbers = {}
    for policy in ("truncate", "chunk", "mean"):
        chunks = _source(folder, policy).chunks(_source(folder).load_clip())
        numbers[f"spans by {policy}"] = chunks.table[["report", "chunk", "start", "end"]]
        numbers[f"units by {policy}"] = len(chunks.ids)
    for duplicates in ("keep", "drop_exact", "drop_near"):
        corpus = _source(folder, cleaning=True, duplicates=duplicates).corpus()
        numbers[f"characters, {duplicates}"] = [len(text) for text in corpus.texts]
    return numbers


def _embeddings(folder: Path, predict_with: Callable[..., None], **_: Any) -> Numbers:
    activation.register_backbones()
    images, backbone = Images(3), EmbeddedBackbone(synthetic.NAME, None, str(folder / "embeddings"))
    predict_with(EmbeddingsWriter(backbone, {0: "train"}), [images], 3)
    source = _source(folder)
    with torch.inference_mode():
        shown = source.load_clip().image_encoder(torch.nn.functional.interpolate(images.images, 96))
    return {
        "images by the backbone": embedded_split.read(backbone, images, "train")[0][:, :6],
        "images by CLIP": shown[:, :6],
        "reports by CLIP": source.embeddings()[:, :6],
        "means of chunks by CLIP": _source(folder, "mean").embeddings()[:, :6],
    }


def _pairing(**_: Any) -> Numbers:
    images, reports = _rows(12, 8, 1), _rows(9, 8, 2)
    numbers: Numbers = {}
    for name in policies.NAMES:
        policy = policies.PairingPolicy(name, neighbours=3)  # type: ignore[arg-type]
        bias = policy.bias(images, reports)
        rows, cosines = policy.pair(images[:6], reports, 2, bias=bias, stream=1)
        numbers |= {f"reports, {name}": rows, f"cosines, {name}": cosines}
    return numbers


def _replacement(**_: Any) -> Numbers:
    pairs = pairing_table.make_pairs(
        "train",
        [f"{n}.png" for n in range(8)],
        list("abcdef"),
        np.zeros((8, 2), int),
        _rows(8, 2, 3),
    )
    replaced = replacement.replace_pairs(pairs, 0.5, [str(n) for n in range(50)], seed=1)
    return {
        "reports": [int(name) if name.isdecimal() else -1 for name in replaced["report_id"]],
        "similarities": replaced["similarity"],
    }


def _training(folder: Path, **_: Any) -> Numbers:
    images, source, table = Images(10), _source(folder), folder / "pairs.parquet"
    rows = np.random.RandomState(4).permutation(10)[:, None] % 4 + np.arange(2)
    corpus = source.corpus()
    made_for = {"class": provenance.class_path(images), "length": len(images)}
    facts = {
        "datasets": {"train": made_for},
        "reports": {"sha256": corpus.sha256, "source": corpus.source},
    }
    names = [images.filename(n) for n in range(len(images))]
    similarities = -np.sort(-np.abs(_rows(10, 2, 5)), axis=1)
    pairs = pairing_table.make_pairs("train", names, corpus.ids, rows, similarities)
    pairing_table.write_pairs(pairs, table, facts)
    data = PairedDataset(images, "train", source, str(table), top_k=2)
    data.setup()
    module = _module()
    module.reports = CachedReports(_rows(len(corpus), 16, 6))
    optimizer = module.configure_optimizers()["optimizer"]
    module.train()
    losses = []
    for step in range(5):
        batch = default_collate([data[2 * step], data[2 * step + 1]])
        loss = module.training_step(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.inference_mode():
        logits = module.eval()(images.images[:4])
    return {"losses": losses, "weights of reports": batch[2]["report_weight"], "logits": logits}


def _predictions(folder: Path, **_: Any) -> Numbers:
    images, module = Images(4), _module().eval()
    generator = np.random.RandomState(7)
    with torch.inference_mode():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(generator.normal(0, 0.3, parameter.shape)))
        output = module.test_step((images.images, torch.arange(4) % 3, {}))
    tables = []
    for branch, logits in {"fused": output["predictions"], **output["branches"]}.items():
        probs = predictions_table.probabilities(logits)
        names = [images.filename(n) for n in range(4)]
        rows = predictions_table.make_rows("test", branch, range(4), names, [2, 1, 0, -1], probs)
        tables.append(rows.iloc[::-1])
    path = folder / predictions_table.FILENAME
    facts = {"kind": predictions_table.KIND}
    predictions_table.write_predictions(pd.concat(tables), path, facts)
    table, _ = predictions_table.read_predictions(path)
    return {
        "probabilities": table[[f"prob_{c}" for c in range(3)]],
        "classes": table[["index", "prediction"]],
        "one logit": predictions_table.probabilities(torch.tensor([-2.0, 0.1, 30.0])),
    }


def _report(folder: Path, **_: Any) -> Numbers:
    targets = np.arange(40) % 4
    for seed in (1, 2, 3):
        for place, (name, branch) in enumerate(
            (("HeadModule", "vision"), ("CLIPITModule", "fused"))
        ):
            noise = np.random.RandomState(10 * seed + place).normal(size=(40, 4))
            logits = torch.from_numpy(noise + (1 + place) * np.eye(4)[targets])
            rows = predictions_table.make_rows(
                "test", branch, range(40), [f"{n}.png" for n in range(40)], targets.tolist(),
                predictions_table.probabilities(logits),
            )  # fmt: skip
            backbone = {"class_path": "eva.Backbone", "init_args": {"model_name": "vit"}}
            model = {"class_path": f"some.{name}", "init_args": {"backbone": backbone}}
            path = folder / "runs" / f"{branch}_{seed}" / "run_0" / predictions_table.FILENAME
            facts = {
                "kind": predictions_table.KIND, "config": {"model": model}, "seed": seed,
                "run": str(path.parent), "checkpoint": "00",
                "datasets": [{"class": "eva.BACH", "classes": list("abcd")}],
            }  # fmt: skip
            predictions_table.write_predictions(rows, path, facts)
    assert cli.main(["report", str(folder / "runs"), "--output", str(folder / "report")]) == 0
    tables = {
        name: pd.read_csv(folder / "report" / f"{name}.csv") for name in ("runs", "contrasts")
    }
    return {
        f"{name}, {column}": values
        for name, table in tables.items()
        for column, values in table.select_dtypes("number").items()
    }


STAGES: Final[Mapping[str, Callable[..., Numbers]]] = {
    "cohort": _cohort,
    "embeddings": _embeddings,
    "pairing": _pairing,
    "predictions": _predictions,
    "replacement": _replacement,
    "report": _report,
    "reports": _reports,
    "training": _training,
}
"""What computes some numbers of each stage."""


def check(stage: str, numbers: Numbers, version: int, file: Path) -> None:
    """Compares numbers of a stage with the committed ones; fails with what to do."""
    found = {name: np.asarray(values, dtype=float).round(6) for name, values in numbers.items()}
    libraries = {name: metadata.version(name).partition("+")[0] for name in LIBRARIES}
    how = f"GOLDEN=write pytest tests/test_result_versions.py -k {stage}"
    known = json.loads(file.read_text()) if file.is_file() else None
    stands = known is not None and (version, libraries) == (known["version"], known["libraries"])
    if os.environ.get("GOLDEN") == "write" and not stands:
        known = {"version": version, "libraries": libraries, "numbers": _plain(found)}
        file.write_text(json.dumps(known, indent=1) + "\n")
    if known is None:
        pytest.fail(f"there are no golden numbers of {stage}: write them by {how}")
    if known["version"] != version:
        pytest.fail(
            f"the version of {stage} is {version}, its golden numbers are those of version "
            f"{known['version']}: write them anew by {how}"
        )
    changed = _changed(known["numbers"], found)
    if changed:
        others = [name for name in LIBRARIES if libraries[name] != known["libraries"].get(name)]
        cause = f" (or {', '.join(others)} did it: then only write them anew)" if others else ""
        pytest.fail(
            f"results of {stage} changed ({', '.join(changed)}): raise RESULT_VERSIONS[{stage!r}] "
            f"in clipit_eva/result_versions.py{cause} and write the golden numbers anew by {how}"
        )


def _plain(numbers: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Numbers as JSON has them: what is not a number is null."""
    return {
        name: np.where(np.isfinite(values), values.astype(object), None).tolist()
        for name, values in numbers.items()
    }


def _changed(known: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> Sequence[str]:
    """Names of numbers that differ by more than another processor's rounding."""
    expected = {name: np.asarray(values, dtype=float) for name, values in known.items()}
    return [
        name
        for name in sorted(expected.keys() | found.keys())
        if name not in expected
        or name not in found
        or expected[name].shape != found[name].shape
        or not np.allclose(expected[name], found[name], rtol=1e-4, atol=1e-4, equal_nan=True)
    ]


@pytest.mark.parametrize("stage", RESULT_VERSIONS)
def test_results_are_those_of_their_version(
    stage: str,
    tmp_path: Path,
    predict_with: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = STAGES[stage](folder=tmp_path, predict_with=predict_with, monkeypatch=monkeypatch)
    check(stage, numbers, RESULT_VERSIONS[stage], GOLDEN / f"{stage}.json")


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Golden numbers of version 1 of some stage, just written."""
    monkeypatch.setenv("GOLDEN", "write")
    file = tmp_path / "stage.json"
    check("stage", {"a": [1.0, np.nan]}, 1, file)
    monkeypatch.delenv("GOLDEN")
    return file


def test_other_results_ask_for_another_version(golden: Path) -> None:
    check("stage", {"a": [1.00001, np.nan]}, 1, golden)
    for numbers in ({"a": [1.001, np.nan]}, {"a": [1.0]}, {"a": [1.0, np.nan], "b": 0}, {}):
        with pytest.raises(pytest.fail.Exception, match=r"results of stage changed .*: raise"):
            check("stage", numbers, 1, golden)


def test_a_raised_version_asks_for_its_numbers(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(pytest.fail.Exception, match="of version 1: write them anew"):
        check("stage", {"a": [2.0]}, 2, golden)
    with pytest.raises(pytest.fail.Exception, match="no golden numbers of stage"):
        check("stage", {"a": [2.0]}, 2, golden.with_name("none.json"))
    monkeypatch.setenv("GOLDEN", "write")
    check("stage", {"a": [2.0]}, 2, golden)
    monkeypatch.delenv("GOLDEN")
    check("stage", {"a": [2.0]}, 2, golden)


def test_writing_takes_no_other_results_for_the_same_version(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOLDEN", "write")
    with pytest.raises(pytest.fail.Exception, match="raise RESULT_VERSIONS"):
        check("stage", {"a": [2.0]}, 1, golden)
