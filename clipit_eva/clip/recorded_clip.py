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
        self._recorded: tuple[Mapping[str, str], int] | None = None

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._clip is not None

    @property
    def identity(self) -> Mapping[str, str]:
        """What fixes the embeddings, see `CLIPModel.identity`."""
        return self._facts()[0]

    @property
    def embed_dim(self) -> int:
        """Width of the embedding space."""
        return self._facts()[1]

    def load(self) -> "CLIPModel":
        """Loads the model, once, and records its identity.

        Raises:
            InputError: The model is unknown or its weights cannot be read, see `load_clip`.
        """
        if self._clip is None:
            from clipit_eva.clip.loading import load_clip

            self._clip = load_clip(*self._settings)
        self._keep(dict(self._clip.identity), self._clip.embed_dim)
        return self._clip

    def _facts(self) -> tuple[Mapping[str, str], int]:
        """Returns identity and width: the loaded model's, else the recorded."""
        if self._clip is None:
            self._recorded = self._recorded or self._read()
            if self._recorded is not None:
                return self._recorded
        clip = self.load()
        return clip.identity, clip.embed_dim

    def _read(self) -> tuple[Mapping[str, str], int] | None:
        """Returns what is recorded; None if nothing is, or it is damaged."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return found["identity"], found["embed_dim"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, identity: dict[str, str], embed_dim: int) -> None:
        """Records the loaded model."""
        if self._read() == (identity, embed_dim):
            return
        with files.atomic_path(self._file) as path:
            record = {"identity": identity, "embed_dim": embed_dim}
            path.write_text(json.dumps(record, indent=1), encoding="utf-8")

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
