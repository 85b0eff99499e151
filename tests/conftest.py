"""Options and fixtures that all tests share."""

import json
import logging
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from forked import ForkServer, fork_server

# Examples are counted, not timed: the other test process takes its share.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# One thread a process, before torch is imported: two test processes share two cores, and those
# that they start read it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What no test downloads is refused at once; without a network it would be tried again and again.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _log_messages_reach_caplog(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an `eva` process our messages go to eva's log alone."""
    monkeypatch.setattr(logging.getLogger("clipit_eva"), "propagate", True)


COMMITTED = Path(__file__).parent / "fixtures"
"""Small number fixtures that travel with the project."""

GIVEN = pytest.StashKey[Path]()
"""The folder given by `--fixtures DIR`."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Reads `pytest tests --fixtures DIR`: run the fixture-driven tests on the files in DIR too.

    pytest has a flag of that name, which lists fixtures: without a folder behind it, it still does.
    """
    arguments = [str(argument) for argument in config.invocation_params.args]
    if "--fixtures" not in arguments:
        return
    folder = "".join(arguments[arguments.index("--fixtures") + 1 :][:1])
    if folder in config.args and Path(folder).is_dir():
        config.option.showfixtures = False
        config.args.remove(folder)
        config.stash[GIVEN] = Path(folder).resolve()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the tests marked `long` to `nox -s long` (`pytest -m long`)."""
    if "long" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_configure(config: pytest.Config) -> None:
    # On the config, because test modules cannot import each other under importlib mode.
    config.fixture_files = partial(_fixture_files, config)
    config.given_fixtures = config.stash.get(GIVEN, None)


def _fixture_files(config: pytest.Config, pattern: str) -> list[Path]:
    """Returns the committed and the given (`--fixtures`) files that match a glob pattern."""
    folders = [COMMITTED, config.given_fixtures]
    return [path for folder in folders if folder for path in sorted(folder.rglob(pattern))]


@pytest.fixture
def predict_with(tmp_path: Path) -> Callable[..., None]:
    """Returns a function that reads datasets through eva's trainer, with a callback."""
    import eva  # here: many tests do without
    from eva.core.data.datamodules import schemas
    from torch import nn

    def run(callback: Any, datasets: Iterable[Any], batch_size: int, **options: Any) -> None:
        loader = eva.DataLoader(
            batch_size=batch_size,
            num_workers=0,
            pin_memory=False,
            persistent_workers=False,
            prefetch_factor=None,
        )
        data = eva.DataModule(
            schemas.DatasetsSchema(predict=list(datasets)),
            schemas.DataloadersSchema(predict=loader),
        )
        trainer = eva.Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            default_root_dir=str(tmp_path / "logs"),
            callbacks=[callback],
            **options,
        )
        trainer.predict(eva.InferenceModule(nn.Identity()), datamodule=data)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """Runs commands without the seconds that each would take to import what it needs."""
    with fork_server() as running:
        yield running


CLIP_ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 2},
}
"""A small open_clip model: embeddings [16] of images [3, 16, 16] and of 16 tokens."""


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random open_clip model."""
    import open_clip  # here: many tests do without
    import safetensors.torch
    import torch

    folder = tmp_path_factory.mktemp("clip")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(**json.loads(json.dumps(CLIP_ARCHITECTURE)))
    config = {"model_cfg": CLIP_ARCHITECTURE, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture
def source(clip_folder: Path, tmp_path: Path) -> Any:
    """Seven reports, and the small open_clip model."""
    from clipit_eva.embeddings.report_source import ReportSource

    path = tmp_path / "reports.csv"
    words = ["stroma", "gland", "mucin", "fat", "nerve", "vessel", "tumor"]
    rows = "".join(f"r{n},tissue with {word} and {word}\n" for n, word in enumerate(words))
    path.write_text(f"report_id,text\n{rows}")
    return ReportSource(str(path), clip_model=str(clip_folder), cache_dir=str(tmp_path / "cache"))
