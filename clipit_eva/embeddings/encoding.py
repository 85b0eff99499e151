"""Embeddings that depend on the input alone, not on what shares its batch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch

from clipit_eva.errors import InputError
from clipit_eva.progress_bars import progress

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel

IMAGE_BATCH = 64
"""Images encoded at a time: the configs' default BATCH_SIZE, at which nothing is put together."""

TEXT_BATCH = 32
"""Texts encoded at a time."""

Key = TypeVar("Key")


class FixedBatches(Generic[Key]):
    """Encodes inputs in batches of one size, whatever the sizes they come in.

    A matrix product's last bits depend on its shape. With one shape, an input gets the same
    embedding whichever batch it is in: after an interruption, with other workers or processes, and
    for any BATCH_SIZE.
    """

    def __init__(
        self,
        encode: Callable[[torch.Tensor], torch.Tensor],
        size: int,
        write: Callable[[Sequence[Key], np.ndarray], None],
    ) -> None:
        """Initializes the encoder.

        Args:
            encode: Inputs [size, ...] -> embeddings [size, d].
            size: Inputs at a time.
            write: Takes the keys of some inputs and their embeddings [n, d], float32.
        """
        self._encode = encode
        self._size = size
        self._write = write
        self._keys: list[Key] = []
        self._waiting: list[torch.Tensor] = []

    def add(self, keys: Sequence[Key], inputs: torch.Tensor) -> None:
        """Encodes inputs [n, ...], as soon as there are enough of them."""
        self._keys += keys
        self._waiting.append(inputs)
        if len(self._keys) < self._size:
            return
        together = torch.cat(self._waiting) if len(self._waiting) > 1 else inputs
        whole = len(together) - len(together) % self._size
        for batch in together[:whole].split(self._size):
            self._encode_batch(batch)
        self._waiting = [together[whole:].clone()] if whole < len(together) else []

    def flush(self) -> None:
        """Encodes what is left, in a batch filled up with zeros."""
        if not self._keys:
            return
        left = torch.cat(self._waiting)
        self._waiting = []
        filling = left.new_zeros(self._size - len(left), *left.shape[1:])
        self._encode_batch(torch.cat([left, filling]))

    def _encode_batch(self, batch: torch.Tensor) -> None:
        """Encodes one batch, whose first inputs have the next keys."""
        keys, self._keys = self._keys[: self._size], self._keys[self._size :]
        with torch.inference_mode():
            embeddings = self._encode(batch)[: len(keys)].float().cpu().numpy()
        self._write(keys, embeddings)


def encode_texts(
    clip: "CLIPModel", texts: Sequence[str], write: Callable[[Sequence[int], np.ndarray], None]
) -> None:
    """Encodes texts, each distinct one once.

    Args:
        clip: The image-text model.
        texts: The texts.
        write: Takes positions of texts and their embeddings [n, embed_dim], float32, unit length.

    Raises:
        InputError: An embedding is not finite: the weights are damaged.
    """
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, []).append(place)

    def write_all(distinct: Sequence[str], embeddings: np.ndarray) -> None:
        if not np.isfinite(embeddings).all():
            raise InputError(
                "CLIP_MODEL gives embeddings that are not numbers; check CLIP_CHECKPOINT"
            )
        copies = [len(places[text]) for text in distinct]
        write([p for text in distinct for p in places[text]], np.repeat(embeddings, copies, axis=0))

    device = next(clip.text_encoder.parameters()).device
    batches = FixedBatches(clip.text_encoder, TEXT_BATCH, write_all)
    distinct = list(places)
    for start in progress(
        range(0, len(distinct), TEXT_BATCH), desc="Embedding reports", unit="batch"
    ):
        part = distinct[start : start + TEXT_BATCH]
        batches.add(part, clip.tokenize(part).to(device))
    batches.flush()
