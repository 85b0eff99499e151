"""What identifies a CLIP model, known without loading its weights again."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipit_eva import files

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel


class RecordedCLIP:
    """A CLIP model that is loaded only if something has to be encoded.

    Its identity is recorded beside the embeddings whenever it is loaded. The record holds for the
    same name and files (by size and time of change); a model of the Hugging Face hub counts as
    unchanged until it is loaded again, as pairing does each time.
    """

    def __init__(
        self,
        settings: tuple[str, str | None, str | None],
        folder: Path,
        clip: "CLIPModel | None" = None,
    ) -> None:
        """Notes how the model is loaded and where its record is kept; reads nothing.

        Settings are model, checkpoint and tokenizer, as for `clip.loading.load_clip`.
        """
        self._settings = settings
        self._folder = folder
        self._clip = clip
        self._recorded: Mapping[str, Any] = {}

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._clip is not None

    @property
    def identity(self) -> Mapping[str, str]:
        """What fixes the embeddings, see `CLIPModel.identity`."""
        return self._facts()["identity"]

    @property
    def embed_dim(self) -> int:
        """Width of the embedding space."""
        return self._facts()["embed_dim"]

    def load(self) -> "CLIPModel":
        """Loads the model, once, and records its identity.

        Raises:
            InputError: The model is unknown or its weights cannot be read, see `load_clip`.
        """
        if self._clip is None:
            from clipit_eva.clip.loading import load_clip

            self._clip = load_clip(*self._settings)
        record = {"identity": dict(self._clip.identity), "embed_dim": self._clip.embed_dim}
        if self._read() != record:
            with files.atomic_path(self._file) as path:
                path.write_text(json.dumps(record, indent=1), encoding="utf-8")
        self._recorded = record
        return self._clip

    def _facts(self) -> Mapping[str, Any]:
        """Returns `identity` and `embed_dim`: the loaded model's, else the recorded."""
        if not self._recorded and self._clip is None:
            self._recorded = self._read()
        if not self._recorded:
            self.load()
        return self._recorded

    def _read(self) -> Mapping[str, Any]:
        """Returns what is recorded; nothing if nothing is, or it is damaged."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        whole = isinstance(found, dict) and found.keys() == {"identity", "embed_dim"}
        return found if whole else {}

    @property
    def _file(self) -> Path:
        """The record's file, another one if a local file has changed."""
        state = [[setting, _state(setting)] for setting in self._settings]
        digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]
        return self._folder / f"clip-{digest}.json"


def _state(setting: str | None) -> list[Any]:
    """Returns names, sizes and times of change of the local files that a setting means."""
    if not setting:
        return []
    path = Path(setting.removeprefix("local-dir:"))
    found = [path] if path.is_file() else sorted(path.glob("*")) if path.is_dir() else []
    stats = [(file.name, file.stat()) for file in found]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
