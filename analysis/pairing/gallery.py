"""Images beside the first words of their reports, on one page. Reports can be private."""

import base64
import html
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from clipit_eva.files import atomic_path

IMAGES = 24
"""Images on the page."""

WORDS = 12
"""Words shown of each report."""

_WIDTH = 192
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Pairs</title><style>
body {{ font-family: sans-serif; margin: 2em; }}
figure {{ display: inline-block; vertical-align: top; width: {width}px; margin: 0 1em 1em 0; }}
img {{ width: 100%; }} figcaption {{ font-size: small; overflow-wrap: anywhere; }}
</style></head><body><h1>Images and the first words of their best reports</h1>
<p>A random sample. The reports may be private: do not pass this page on.</p>
{figures}
</body></html>
"""


def write_gallery(
    best: pd.DataFrame,
    load: Callable[[str, int], np.ndarray],
    texts: Mapping[str, str],
    path: Path,
    seed: int = 0,
) -> None:
    """Writes the page (.html) of a random sample of the rows of rank 0 of a pairing table.

    `load` gives the image [H, W, 3], uint8, of a split and index; `texts` are the reports by id.
    """
    sample = best.sample(min(IMAGES, len(best)), random_state=seed).sort_values(["split", "index"])
    figures = [
        _figure(load(row.split, row.index_in_split), row, texts.get(row.report_id, ""))
        for row in sample.rename(columns={"index": "index_in_split"}).itertuples(index=False)
    ]
    with atomic_path(path) as temporary:
        page = _PAGE.format(width=_WIDTH, figures="\n".join(figures))
        temporary.write_text(page, encoding="utf-8")


def _figure(pixels: np.ndarray, row: Any, text: str) -> str:
    """Returns one image with its caption."""
    image = Image.fromarray(pixels)
    image.thumbnail((_WIDTH, _WIDTH))
    content = io.BytesIO()
    image.save(content, "png")
    words = text.split()
    shown = " ".join(words[:WORDS]) + (" ..." if len(words) > WORDS else "")
    caption = (
        f"<b>{html.escape(row.filename)}</b> ({html.escape(row.split)})<br>"
        f"{html.escape(row.report_id)}, {row.similarity:.3f}<br>{html.escape(shown)}"
    )
    data = base64.b64encode(content.getvalue()).decode()
    name = html.escape(row.filename, quote=True)
    return (
        f'<figure><img alt="{name}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
