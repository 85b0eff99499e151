"""Names that we borrow from inside other libraries: each test says what breaks when one moves."""

from pathlib import Path

import jsonargparse
import pytest
import timm
import torch
from eva.core.metrics import AverageLoss
from eva.core.models.modules import HeadModule
from eva.core.models.wrappers import BaseModel
from eva.vision.data.datasets import BACH
from eva.vision.models import ModelFromRegistry
from eva.vision.utils import io
from lightning.pytorch import LightningModule, Trainer
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from PIL import Image
from torch import nn
from torch.utils.data import default_collate

from clipit_eva.eva import activation, compat


def test_own_types_are_collated() -> None:
    """`data.batches`: batches that a dataset reads at once."""

    class Whole:
        pass

    compat.collate_functions()[Whole] = lambda batch, **_: len(batch)
    try:
        assert default_collate([Whole(), Whole()]) == 2
    finally:
        del compat.collate_functions()[Whole]


def test_parser_errors_are_told_before_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """`eva.activation`: a wrong value in a config, which jsonargparse prints in many lines."""
    monkeypatch.setattr(jsonargparse.ArgumentParser, "error", jsonargparse.ArgumentParser.error)
    told: list[str] = []
    compat.watch_parser_errors(told.append)
    for ends in (True, False):
        parser = jsonargparse.ArgumentParser(exit_on_error=ends)
        parser.add_argument("--steps", type=int)
        with pytest.raises(SystemExit if ends else jsonargparse.ArgumentError):
            parser.parse_args(["--steps", "many"])
    (message,) = told  # of one that ends the process alone: others are tried
    assert message.startswith('Parser key "steps"')
    assert "many" in message


def test_layers_unknown_to_peft_are_wrapped() -> None:
    """`models.lora`: LoRA on `nn.MultiheadAttention`."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    class Adapter(nn.Module, LoraLayer):
        def __init__(self, base: nn.Module, *_: object, **__: object) -> None:
            super().__init__()
            LoraLayer.__init__(self, nn.Linear(1, 1))
            self.made_for = type(base)

    config = LoraConfig(target_modules="one")
    compat.register_lora_layer(config, Layer, Adapter)
    model = nn.Sequential()
    model.add_module("one", Layer())
    inject_adapter_in_model(config, model)
    assert model.get_submodule("one").made_for is Layer


def test_datasets_of_eva_tell_their_folder() -> None:
    """`embeddings.images`: what identifies the images that embeddings are of."""
    assert str(compat.dataset_root(BACH(root="some/where", split="train"))) == "some/where"
    assert compat.dataset_root(object()) is None


def test_wrappers_of_eva_tell_what_they_do_with_outputs() -> None:
    """`export`: the plain model of a wrapped one."""
    from eva.core.models.transforms import ExtractCLSFeatures

    activation.register_backbones()
    assert compat.output_transform(ModelFromRegistry("clipit_eva/demo_vit")) is None
    assert compat.takes_class_token_only(ExtractCLSFeatures())
    assert not compat.takes_class_token_only(ExtractCLSFeatures(cls_index=1))
    assert not compat.takes_class_token_only(ExtractCLSFeatures(include_patch_tokens=True))


def test_a_module_without_trainer_has_none() -> None:
    """`models.clipit_module`: whether it predicts before it is trained."""
    module = LightningModule()
    assert compat.recorded_trainer(module) is None
    module.trainer = trainer = Trainer(logger=False, accelerator="cpu")
    assert compat.recorded_trainer(module) is trainer


def test_frozen_backbones_are_kept_in_evaluation_mode() -> None:
    """Frozen means frozen: eva's HeadModule trains its backbone's BatchNorm statistics."""
    head, backbone = nn.Linear(3, 2), nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())
    module = HeadModule(head, nn.CrossEntropyLoss(), backbone)
    compat.keep_frozen(module)
    assert head.training
    assert not any(part.training for part in backbone.modules())
    compat.keep_frozen(HeadModule(head, nn.CrossEntropyLoss()))  # of embeddings
    compat.keep_frozen(backbone.train())
    assert backbone.training


def test_datasets_of_eva_read_only_images_that_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truncated files and the like are refused in training and prediction as in pairing."""
    monkeypatch.setattr(io, "read_image_as_tensor", io.read_image_as_tensor)  # put back
    seen: list[str] = []
    compat.check_images_of_eva(seen.append)
    names = [f"{kind}/x{n:03d}.tif" for kind in BACH("", "train").classes for n in range(100)]
    for name in names:
        path = tmp_path / "ICIAR2018_BACH_Challenge" / "Photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (1, 2, 3)).save(path)
    dataset = BACH(str(tmp_path), "train")
    dataset.setup()
    assert dataset[0][0][:, 0, 0].tolist() == dataset[0][0][:, 1, 1].tolist() == [1, 2, 3]
    assert [Path(path).name for path in seen] == ["x000.tif"]


def test_backbones_leave_the_random_numbers_after_them_alone() -> None:
    """A run from embeddings has the heads of a run from images."""

    def drawn(kind: type) -> float:
        torch.manual_seed(0)
        with compat.random_state_kept(kind):
            timm.create_model("resnet10t")
        return torch.rand(1).item()

    torch.manual_seed(0)
    untouched = torch.rand(1).item()
    assert drawn(BaseModel) == drawn(ModelFromRegistry) == untouched
    assert drawn(nn.Linear) != untouched


def test_open_clip_converts_its_own_and_foreign_weights() -> None:
    """`clip.open_clip_models`: one tower each for images and texts."""
    import open_clip

    sizes = {"image_size": 16, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1}
    text = {"context_length": 8, "width": 24, "heads": 2, "layers": 1, "vocab_size": 50}
    plain = open_clip.CLIP(embed_dim=16, vision_cfg=dict(sizes), text_cfg=dict(text))
    towers = open_clip.CustomTextCLIP(embed_dim=16, vision_cfg=dict(sizes), text_cfg=dict(text))
    names = compat.convert_open_clip_state(towers, plain.state_dict()).keys()
    assert names - {"text.attn_mask"} == towers.state_dict().keys() - {"text.attn_mask"}


def test_a_metric_answers_what_it_is_told_until_it_is_reset() -> None:
    metric = AverageLoss()
    metric.update(torch.tensor([1.0]))
    compat.set_computed(metric, torch.tensor(7.0))
    assert metric.compute() == 7
    metric.reset()
    metric.update(torch.tensor([2.0]))
    assert metric.compute() == 2


def test_classes_of_eva_are_told_from_others() -> None:
    class Own(BACH):
        pass

    assert compat.is_eva_dataset(BACH("x"))
    assert not compat.is_eva_dataset(Own("x"))
    assert compat.is_eva_backbone(ModelFromRegistry)
    assert not compat.is_eva_backbone(nn.Linear)
