import os

import pytest

from clipit_eva.analysis.grid.engines import devices

PLAIN = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-3d5f0a1e-0000-1111-2222-333344445555)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-4d5f0a1e-0000-1111-2222-333344445555)
"""
SPLIT = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5f0a1e-0000-1111-2222-333344445555)
  MIG 3g.20gb     Device  0: (UUID: MIG-11111111-aaaa-5555-bbbb-000000000000)
  MIG 3g.20gb     Device  1: (UUID: MIG-22222222-aaaa-5555-bbbb-000000000000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-6d5f0a1e-0000-1111-2222-333344445555)
"""


@pytest.mark.parametrize(
    ("listing", "names"),
    [
        (PLAIN, ["0", "1"]),
        (
            SPLIT,
            [
                "MIG-11111111-aaaa-5555-bbbb-000000000000",
                "MIG-22222222-aaaa-5555-bbbb-000000000000",
                "1",
            ],
        ),
        ("No devices found.\n", []),
        ("", []),
    ],
)
def test_list_by_nvidia_smi(listing, names):
    assert devices.listed_gpus(listing) == names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("0,1", ["0", "1"]),
        ("3", ["3"]),
        ("GPU-a, GPU-b", ["GPU-a", "GPU-b"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),
    ],
)
def test_the_variable_counts_if_it_is_set(value, names, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert devices.visible_gpus() == names


def test_a_machine_is_asked_if_the_variable_is_not_set(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\n[ "$1" = -L ] && echo "{PLAIN}"\n')
    tool.chmod(0o755)
    assert devices.visible_gpus() == ["0", "1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert devices.visible_gpus() == []


def test_slots_take_turns_where_gpus_are_fewer():
    shares = [devices.share(slot, 3, ["a", "b"]) for slot in range(3)]
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["a", "b", "a"]


def test_without_gpus_the_variable_is_left_alone():
    assert "CUDA_VISIBLE_DEVICES" not in devices.share(0, 1, [])


def test_cores_are_shared_out():
    cores = len(os.sched_getaffinity(0))
    assert devices.share(0, 1, [])["OMP_NUM_THREADS"] == str(cores)
    assert devices.share(0, 2, [])["OMP_NUM_THREADS"] == str(max(1, cores // 2))
    assert devices.share(0, 10 * cores, [])["OMP_NUM_THREADS"] == "1"
