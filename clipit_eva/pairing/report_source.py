"""Reports and the CLIP model that reads them: the text side of pairing and training."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path
from clipit_eva.reports.corpus import ReportCorpus, read_corpus

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel

BATCH_SIZE = 32
"""Reports encoded at a time."""


class ReportSource:
    """Where reports come from, and which CLIP model embeds them.

    Cheap to make and to copy: files and models are read when a method asks for them.
    """

    def __init__(
        self,
        path: str | None,
        column: str = "text",
        clip_model: str = "conch",
        clip_checkpoint: str | None = None,
        clip_tokenizer: str | None = None,
        cache_dir: str = "./data/embeddings",
    ) -> None:
        """Initializes the source.

        Args:
            path: The reports: .txt, .csv, .tsv, .jsonl, .parquet, or a folder of .txt files.
            column: Column of the report text, in formats that have columns.
            clip_model: The image-text model, see `clip.loading.load_clip`.
            clip_checkpoint: Its weights, where the name does not imply them.
            clip_tokenizer: Its tokenizer, where the name does not imply it.
            cache_dir: Folder for embeddings that are computed once.
        """
        self._path = path
        self._column = column
        self._clip = (clip_model, clip_checkpoint, clip_tokenizer)
        self._cache_dir = Path(cache_dir)

    def corpus(self) -> ReportCorpus:
        """Reads the reports.

        Raises:
            InputError: No path is set, or the file is not a corpus, see `read_corpus`.
        """
        if self._path is None:
            raise InputError("REPORTS is not set; give a file of reports")
        return read_corpus(self._path, text_column=self._column)

    def load_clip(self) -> "CLIPModel":
        """Loads the CLIP model.

        Raises:
            InputError: The model is unknown or its weights cannot be read, see `load_clip`.
        """
        from clipit_eva.clip.loading import load_clip

        return load_clip(*self._clip)

    def embeddings(
        self, clip: "CLIPModel | None" = None, corpus: ReportCorpus | None = None
    ) -> np.ndarray:
        """Returns the embedding of each report, computed at most once for a corpus and a model.

        Args:
            clip: The loaded CLIP model, if the caller has it.
            corpus: The reports, if the caller has read them.

        Returns:
            Unit-length rows [N, embed_dim], float32, in corpus order; a read-only memory map.
        """
        corpus = corpus or self.corpus()
        clip = clip or self.load_clip()
        key = json.dumps({"reports": corpus.sha256, **clip.identity}, sort_keys=True)
        file = self._cache_dir / f"reports-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
        if not file.is_file():
            values = embed_texts(clip, corpus.texts)
            with atomic_path(file) as temporary:
                np.save(temporary, values)
        return np.load(file, mmap_mode="r")


@torch.inference_mode()
def embed_texts(clip: "CLIPModel", texts: list[str]) -> np.ndarray:
    """Returns the text embeddings [len(texts), embed_dim], float32, unit length.

    Raises:
        InputError: An embedding is not finite: the weights are damaged.
    """
    device = next(clip.text_encoder.parameters()).device
    blocks = []
    for start in tqdm(range(0, len(texts), BATCH_SIZE), desc="Embedding reports", unit="batch"):
        tokens = clip.tokenize(texts[start : start + BATCH_SIZE]).to(device)
        blocks.append(clip.text_encoder(tokens).float().cpu().numpy())
    values = np.concatenate(blocks)
    if not np.isfinite(values).all():
        raise InputError("CLIP_MODEL gives embeddings that are not numbers; check CLIP_CHECKPOINT")
    return values
