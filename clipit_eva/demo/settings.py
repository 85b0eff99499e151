"""The environment of the demo's runs: what the shipped configs are told."""

from pathlib import Path

NAME = "clipit_eva/demo_vit"
"""The backbone's MODEL_NAME. eva knows it once `demo_backbone` has been imported."""

IMAGE_SIZE = 64
"""Height and width in pixels the backbone was trained at (RESIZE_DIM)."""

FEATURES = 96
"""Width of its output (IN_FEATURES)."""

CLIP_FOLDER = Path(__file__).parent / "weights" / "clip"
"""The bundled image-text model, in open_clip's folder format."""

CLIP_WIDTH = 64
"""Width of its embedding space."""

SHARED = {
    "MODEL_NAME": NAME,
    "IN_FEATURES": str(FEATURES),
    "RESIZE_DIM": str(IMAGE_SIZE),
    "NORMALIZE_MEAN": "[0.5, 0.5, 0.5]",
    "NORMALIZE_STD": "[0.5, 0.5, 0.5]",
    "CLIP_MODEL": str(CLIP_FOLDER),
    "TEXT_FEATURES": str(CLIP_WIDTH),
    "ACCELERATOR": "cpu",
    # Images this small load faster than a worker process starts.
    "N_DATA_WORKERS": "0",
    "PERSISTENT_WORKERS": "false",
    "PREFETCH_FACTOR": "null",
    "TQDM_REFRESH_RATE": "0",
    "HF_HUB_OFFLINE": "1",
    # One thread a process: the same numbers on any machine's number of cores.
    "OMP_NUM_THREADS": "1",
}
"""Common to all runs."""

UNIMODAL = {"MAX_STEPS": "400", "BATCH_SIZE": "64", "LR_VALUE": "0.01", "PATIENCE": "25"}
"""The linear probe; the rate suits features as narrow as the demo's."""

TEXT_ONLY = {"MAX_STEPS": "400", "BATCH_SIZE": "64", "LR_VALUE": "0.003", "PATIENCE": "25"}
"""The classifier of paired reports."""

CLIP_IT = {"MAX_STEPS": "400", "BATCH_SIZE": "64", "LR_VALUE": "0.001", "PATIENCE": "25"}
"""The authors' rate and batch."""
