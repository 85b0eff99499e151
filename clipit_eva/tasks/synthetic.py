"""What the shipped configs are told to run on the synthetic cohort, with the demo's models."""

from pathlib import Path

NAME = "clipit_eva/demo_vit"
"""The backbone's MODEL_NAME."""

IMAGE_SIZE = 64
"""Height and width in pixels the backbone was trained at (RESIZE_DIM)."""

FEATURES = 96
"""Width of its output (IN_FEATURES)."""

CLIP_FOLDER = Path(__file__).parents[1] / "demo" / "weights" / "clip"
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

_STEPS = {"MAX_STEPS": "400", "BATCH_SIZE": "64", "PATIENCE": "25"}

METHODS = {
    # The linear probe: this rate suits features as narrow as the demo's.
    "unimodal": {**_STEPS, "LR_VALUE": "0.01"},
    "text_only": {**_STEPS, "LR_VALUE": "0.003"},
    # The authors' rate and batch.
    "clip_it": {**_STEPS, "LR_VALUE": "0.001"},
}
"""What each method is told besides."""
