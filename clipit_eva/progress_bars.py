"""Progress bars, which `TQDM_REFRESH_RATE=0` silences as it does Lightning's."""

import os
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(items: Iterable[Any], **options: Any) -> Any:
    """Returns tqdm's bar over items; it is off if an option or the variable says so."""
    off = options.pop("disable", False) or os.environ.get("TQDM_REFRESH_RATE", "").strip() == "0"
    return tqdm(items, disable=off, **options)
