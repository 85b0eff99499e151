"""CONCH's tokenizer, from wherever the user has its file (its licence forbids shipping it)."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import tokenizers
import torch

from clipit_eva.errors import InputError

TOKENIZER_FILE = "conch_byte_level_bpe_uncased.json"
"""Name of the tokenizer file in the `conch` package."""

PAD_ID = 0
"""Token id of padding."""

_IN_PACKAGE = Path("open_clip_custom", "tokenizers", TOKENIZER_FILE)


class ConchTokenize:
    """CONCH's tokenizer: start and end token, padding, and a last place for the class token."""

    def __init__(self, path: Path, context_length: int) -> None:
        """Reads a file of the `tokenizers` library; the context includes the class token's place.

        Raises:
            InputError: The file is no tokenizer file, or pads otherwise than CONCH.
        """
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise InputError(f"{path} is not a tokenizer file ({error})") from error
        pad = "<pad>"
        if self._tokenizer.token_to_id(pad) != PAD_ID:
            raise InputError(f"{path} is not CONCH's tokenizer: its {pad} is not token {PAD_ID}")
        self.context_length = context_length
        self.pad_id = PAD_ID
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.vocab_size = self._tokenizer.get_vocab_size()
        self._tokenizer.enable_truncation(context_length - 1)
        self._tokenizer.enable_padding(pad_id=PAD_ID, pad_token=pad, length=context_length)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns token ids [len(texts), context_length], int64; what does not fit is cut off."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        return torch.tensor(ids, dtype=torch.int64).reshape(-1, self.context_length)

    def describe(self) -> str:
        """Returns what fixes the token ids: the file's digest and the context length."""
        return f"CONCH {self._digest} context {self.context_length}"


def find_tokenizer(given: str | None) -> Path:
    """Finds CONCH's tokenizer file: the given one, or that of the installed `conch` package.

    The package is not imported: it does not import beside transformers 5.

    Raises:
        InputError: There is no such file.
    """
    if given:
        if not Path(given).is_file():
            raise InputError(f"CONCH tokenizer {given} is not a file; check CLIP_TOKENIZER")
        return Path(given)
    spec = importlib.util.find_spec("conch")
    for location in spec.submodule_search_locations or [] if spec else []:
        path = Path(location) / _IN_PACKAGE
        if path.is_file():
            return path
    raise InputError(
        f"CONCH needs its tokenizer file: set CLIP_TOKENIZER to a copy of {TOKENIZER_FILE} from "
        f"https://github.com/mahmoodlab/CONCH (conch/{_IN_PACKAGE.parent.as_posix()}), or "
        "`pip install --no-deps git+https://github.com/mahmoodlab/CONCH`"
    )
