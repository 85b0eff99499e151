"""The vision head's start from a unimodal run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import pytest
import torch
from eva.core.metrics import AverageLoss, structs
from lightning.pytorch import callbacks
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.heads import CLIPITHeads
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.vision_head import adapt_vision_head, load_vision_head


class KeepHead(callbacks.Callback):
    """Writes the vision head as training finds it."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        Path(trainer.log_dir).mkdir(parents=True, exist_ok=True)
        head = {
            name: tensor.clone() for name, tensor in pl_module.heads.vision.state_dict().items()
        }
        torch.save(head, Path(trainer.log_dir, "head.pt"))


@pytest.fixture
def unimodal_session(
    vit: Callable[[], nn.Module],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
    tmp_path: Path,
) -> Path:
    """The folder of a finished session of two runs of eva's own linear probe."""
    torch.manual_seed(0)
    probe = eva.HeadModule(
        head={"class_path": "torch.nn.Linear", "init_args": {"in_features": 32, "out_features": 4}},
        criterion=nn.CrossEntropyLoss(),
        backbone=vit(),
        metrics=structs.MetricsSchema(common=[AverageLoss()]),
    )
    folder = tmp_path / "unimodal"
    trainer = make_trainer(default_root_dir=folder, n_runs=2, max_epochs=1)
    trainer.run_evaluation_session(probe, make_data(distill_weight=0.0))
    return folder


def head_of(checkpoint: Path, prefix: str = "head.") -> dict[str, torch.Tensor]:
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {kind: state[f"{prefix}{kind}"] for kind in ("weight", "bias")}


def equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(ours[kind], theirs[kind]) for kind in ("weight", "bias"))


def test_each_run_takes_the_head_of_its_number(
    unimodal_session: Path,
    make_module: Callable[..., CLIPITModule],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
) -> None:
    trainer = make_trainer(KeepHead(), n_runs=2, max_epochs=1)
    module = make_module(vision_head_checkpoint=str(unimodal_session))
    trainer.run_evaluation_session(module, make_data())
    theirs = [head_of(path) for path in sorted(unimodal_session.rglob("best.ckpt"))]
    ours = [torch.load(p) for p in sorted(Path(trainer.default_root_dir).rglob("head.pt"))]
    assert len(ours) == len(theirs) == 2
    assert not equal(theirs[0], theirs[1])
    assert equal(ours[0], theirs[0])
    assert equal(ours[1], theirs[1])


def test_head_from_a_file_of_eva_and_from_a_run_folder(unimodal_session: Path) -> None:
    first = sorted(unimodal_session.rglob("best.ckpt"))[0]
    for path in (first, first.parents[1]):
        head = nn.Linear(32, 4)
        load_vision_head(head, str(path))
        assert equal(head.state_dict(), head_of(first))


def test_a_session_without_the_run_is_refused(unimodal_session: Path) -> None:
    """No other run's head stands in: runs would not be pairs by seed any more."""
    with pytest.raises(InputError, match="has run_0, run_1 and no run_2; train as many runs"):
        load_vision_head(nn.Linear(32, 4), str(unimodal_session), "run_2")
    (session,) = [path.parent for path in unimodal_session.rglob("run_1")]
    shutil.rmtree(session / "run_1")
    with pytest.raises(InputError, match=r"VISION_HEAD_CHECKPOINT=.* has run_0 and no run_1"):
        load_vision_head(nn.Linear(32, 4), str(unimodal_session), "run_1")
    # A session of one run, as each job of a grid has it, gives its run 0.
    assert load_vision_head(nn.Linear(32, 4), str(unimodal_session), "run_0").exists()


def test_a_missing_run_is_told_before_the_first_one_trains(
    unimodal_session: Path,
    make_module: Callable[..., CLIPITModule],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
) -> None:
    trainer = make_trainer(n_runs=3, max_epochs=1)
    module = make_module(vision_head_checkpoint=str(unimodal_session))
    with pytest.raises(InputError, match="has run_0, run_1 and no run_2"):
        trainer.run_evaluation_session(module, make_data())
    assert not list(Path(trainer.default_root_dir).rglob("*.ckpt"))


def test_one_head_for_all_runs_is_told_in_the_log(
    unimodal_session: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = sorted(unimodal_session.rglob("best.ckpt"))[0]
    caplog.set_level("INFO", logger="clipit_eva")
    for path in (file, file.parents[1]):
        head = nn.Linear(32, 4)
        load_vision_head(head, str(path), "run_4")
        assert equal(head.state_dict(), head_of(file))
        assert caplog.messages[-1] == f"run_4 starts from {file}"


def test_head_from_our_own_checkpoint(
    make_module: Callable[..., CLIPITModule],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
) -> None:
    module, trainer = make_module(), make_trainer(max_epochs=1)
    trainer.fit(module, datamodule=make_data())
    head = nn.Linear(32, 4)
    load_vision_head(head, trainer.checkpoint_callback.best_model_path)
    best = head_of(Path(trainer.checkpoint_callback.best_model_path), "heads.vision.")
    assert equal(head.state_dict(), best)


def test_run_name_counts_below_the_given_folder_alone(
    unimodal_session: Path, tmp_path: Path
) -> None:
    nested = tmp_path / "run_1" / "unimodal"
    shutil.copytree(unimodal_session, nested)
    head = nn.Linear(32, 4)
    load_vision_head(head, str(nested), "run_1")
    assert equal(head.state_dict(), head_of(sorted(nested.rglob("best.ckpt"))[1]))


def test_adapted_head_starts_as_the_given_one_and_trains_only_lora(unimodal_session: Path) -> None:
    heads = CLIPITHeads(32, 16, 4)
    plain = nn.Linear(32, 4)
    adapt_vision_head(heads, LoRASettings(rank=2, targets=("Conv2d",)))
    path = str(sorted(unimodal_session.rglob("best.ckpt"))[0])
    load_vision_head(heads.vision, path)
    load_vision_head(plain, path)
    embedding = torch.randn(3, 32)
    torch.testing.assert_close(heads(embedding).vision, plain(embedding))
    frozen = {name for name, p in heads.named_parameters() if not p.requires_grad}
    assert frozen == {"vision.base_layer.weight", "vision.base_layer.bias"}


def _corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("not a checkpoint")


def _no_state(path: Path) -> None:
    torch.save({"epoch": 3}, path)


def _code(path: Path) -> None:
    torch.save({"state_dict": {}, "hook": print}, path)


def _no_head(path: Path) -> None:
    torch.save({"state_dict": {"backbone.weight": torch.zeros(1)}}, path)


def _other_classes(path: Path) -> None:
    state = {"head.weight": torch.zeros(9, 32), "head.bias": torch.zeros(9)}
    torch.save({"state_dict": state}, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_corrupt, "is not a readable checkpoint"),
        (_empty, "is not a readable checkpoint"),
        (_text, "is not a readable checkpoint"),
        (_code, "is not a readable checkpoint"),
        (_no_state, "has no state_dict"),
        (_no_head, "has no linear vision head; give a unimodal run"),
        (_other_classes, r"a head of \(9, 32\).*make \(4, 32\)"),
    ],
)
def test_checkpoints_without_such_a_head(tmp_path: Path, write: Any, message: str) -> None:
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {f"layer{n}": torch.randn(50) for n in range(20)}}, path)
    write(path)
    with pytest.raises(InputError, match=f"VISION_HEAD_CHECKPOINT={path}.*{message}"):
        load_vision_head(nn.Linear(32, 4), str(path))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no best.ckpt; give the folder of a finished run"),
        (["run_0/best.ckpt", "run_1/best.ckpt"], "has run_0, run_1 and no run_2; train as many"),
        (["a/best.ckpt", "b/best.ckpt"], "holds 2 runs; give one of them, such as .*a/best"),
        (["a/run_2/best.ckpt", "b/run_2/best.ckpt"], "holds 2 runs"),
    ],
)
def test_folders_that_do_not_name_one_run(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": {}}, tmp_path / file)
    with pytest.raises(InputError, match=message):
        load_vision_head(nn.Linear(32, 4), str(tmp_path), "run_2")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; give a checkpoint or a run's folder"):
        load_vision_head(nn.Linear(32, 4), str(tmp_path / "missing"))


def test_one_logit_becomes_two_with_the_same_probabilities(tmp_path: Path) -> None:
    """The probe of a binary task has one logit, the authors' CLIP-IT one a class."""
    probe, head = nn.Linear(6, 1), nn.Linear(6, 2)
    state = {f"head.{name}": tensor for name, tensor in probe.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    load_vision_head(head, str(tmp_path / "best.ckpt"))
    embeddings = torch.randn(9, 6)
    expected = probe(embeddings).sigmoid().squeeze(1)
    torch.testing.assert_close(head(embeddings).softmax(dim=1)[:, 1], expected)
