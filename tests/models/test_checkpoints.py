"""Checkpoints: digests and damaged files."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from clipit_eva.embeddings.embedded_backbone import weights_digest
from clipit_eva.errors import InputError
from clipit_eva.models.checkpoints import (
    fill_frozen,
    find_checkpoint,
    keep_trained,
    read_checkpoint,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_digest_depends_on_values_names_types_and_buffers() -> None:
    plain = network()
    digest = weights_digest(plain)
    assert weights_digest(network()) == digest
    changed = [copy.deepcopy(plain) for _ in range(4)]
    with torch.no_grad():
        changed[0][0].weight[1, 2] += 1e-7
        changed[1][1].running_mean[0] += 1
        changed[2][1].num_batches_tracked += 1
    changed[3].bfloat16()
    renamed = nn.Sequential()
    for name, child in zip(("0", "1", "3"), copy.deepcopy(plain), strict=True):
        renamed.add_module(name, child)
    assert len({digest, *(weights_digest(other) for other in (*changed, renamed))}) == 6


def test_digest_takes_any_tensor() -> None:
    module = nn.Module()
    for name, tensor in {
        "scalar": torch.tensor(3.0),
        "empty": torch.empty(0, 5),
        "mask": torch.tensor([True, False]),
        "strided": torch.arange(12.0).view(3, 4).T,
    }.items():
        module.register_buffer(name, tensor)
    assert len(weights_digest(module)) == 64


def test_frozen_tensors_are_left_out_and_filled_in() -> None:
    model = network()
    settings_of_run = {"backbone_digest": "a"}
    content = {"state_dict": dict(model.state_dict()), "epoch": 3}
    keep_trained(content, {"0.weight"}, settings_of_run)
    assert set(content) == {"state_dict", "epoch", "clipit_eva"}
    assert set(content["state_dict"]) == {"0.weight"}
    other = network()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    fill_frozen(content, other, {"0.weight"}, settings_of_run)
    other.load_state_dict(content["state_dict"])
    assert torch.equal(other[0].weight, model[0].weight)
    assert not other[0].bias.any()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_are_refused_or_read(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever bytes a file has, reading it gives what was saved or the user's error."""
    path, weight = tmp_path / "best.ckpt", torch.ones(50, 3)
    torch.save({"state_dict": {"head.weight": weight}, "epoch": 1}, path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read = read_checkpoint(path, "CHECKPOINT")
    except InputError as error:
        assert "CHECKPOINT=" in str(error)
    else:
        assert torch.equal(read["state_dict"]["head.weight"], weight)


def test_pickled_code_does_not_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self):
            return (Path(tmp_path / "pwned").touch, ())

    torch.save({"state_dict": {}, "x": Attack()}, tmp_path / "best.ckpt")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        read_checkpoint(tmp_path / "best.ckpt", "CHECKPOINT")
    assert not (tmp_path / "pwned").exists()


def test_the_only_best_checkpoint_below_a_folder_is_found(tmp_path: Path) -> None:
    best = tmp_path / "session" / "run_0" / "checkpoints" / "best.ckpt"
    best.parent.mkdir(parents=True)
    best.touch()
    best.with_name("last.ckpt").touch()
    assert find_checkpoint(str(tmp_path), "CHECKPOINT") == best
    assert find_checkpoint(str(best), "CHECKPOINT") == best


def test_a_session_that_was_interrupted_does_not_hide_the_finished_one(tmp_path: Path) -> None:
    for session in ("1_interrupted", "2_finished", "3_interrupted"):
        best = tmp_path / session / "run_0" / "checkpoints" / "best.ckpt"
        best.parent.mkdir(parents=True)
        best.touch()
    with pytest.raises(InputError, match="holds 3 runs"):
        find_checkpoint(str(tmp_path), "CHECKPOINT")
    (tmp_path / "2_finished" / "results.json").touch()
    found = find_checkpoint(str(tmp_path), "VISION_HEAD_CHECKPOINT", "run_0")
    assert found.parents[2].name == "2_finished"
