"""Writes a report's files."""

import base64
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from PIL import Image

from clipit_eva.files import atomic_path

from ..tables.table_files import write_table
from .content import Contents, make_contents
from .errors_table import write_errors
from .page import render
from .paired_reports import paired_texts
from .panels import Drawing
from .rescued import Browser, browse
from .sections import Options
from .thumbnails import Thumbnails

PAGE = "report.html"

PAGE_DPI = 100
FILE_DPI = 200
"""Resolution of figures on the page, and of the PNG files."""

LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 9,  # of all that is written: titles, labels, legends, numbers
    "axes.titlesize": 9,
    "legend.fontsize": 9,
    "svg.hashsalt": "clipit-eva",  # names in SVG files do not change from run to run
    "hatch.linewidth": 0.6,
}
"""matplotlib settings of a report's figures."""


def write_report(folder: Path, output: Path, options: Options | None = None) -> Path:
    """Writes tables, figures and the page of the runs below a folder.

    What the page shows is computed and drawn before the first file is written; each file is whole
    or absent.

    Args:
        folder: Any folder of runs.
        output: Folder of the report; files of the same names are replaced.
        options: What was chosen; None means the defaults.

    Returns:
        The page.

    Raises:
        InputError: See `content.make_contents`; or report text was asked for and is not found.
    """
    contents = make_contents(folder, options or Options())
    browser = browse(contents.comparisons)
    extras = _extras(contents, browser)
    pictures, files = [], {}
    with mpl.rc_context(LOOK):  # pyright: ignore[reportArgumentType]
        for section, drawing in contents.drawings():
            uri = "data:image/png;base64," + base64.b64encode(_draw(drawing, files)).decode()
            picture = {"name": drawing.name, "title": drawing.title, "uri": uri}
            pictures.append({"section": section, **picture})
    page = render(contents, pictures, browser, extras)
    for table in contents.tables.values():
        write_table(table, output)
    for comparison in contents.comparisons:
        write_errors(comparison, output)
    for name, content in files.items():
        _write(output / "figures" / name, content)
    _write(output / PAGE, page.encode())
    return output / PAGE


def _draw(drawing: Drawing, files: dict[str, bytes]) -> bytes:
    """Draws a figure as the files that go beside the page, and returns it for the page.

    `Figure.savefig` would draw everything twice for each file; here it is drawn once as pixels
    (the page's image is the file's, made smaller) and once as SVG.
    """
    figure, raster, vector, small = drawing.figure, io.BytesIO(), io.BytesIO(), io.BytesIO()
    figure.set_dpi(FILE_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    # Hard compression takes longer than drawing.
    image.save(raster, "PNG", dpi=(FILE_DPI, FILE_DPI), compress_level=2)
    figure.set_layout_engine("none")  # keeps the layout that was found
    FigureCanvasSVG(figure).print_svg(vector, metadata={"Date": None})
    files[f"{drawing.name}.png"] = raster.getvalue()
    files[f"{drawing.name}.svg"] = vector.getvalue()
    image.reduce(FILE_DPI // PAGE_DPI).quantize(256).save(small, "PNG")
    return small.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Writes a file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _extras(contents: Contents, browser: Browser) -> dict[tuple[int, int], dict[str, str]]:
    """Returns thumbnails and reports of the samples shown, as far as they were asked for."""
    extras: dict[tuple[int, int], dict[str, str]] = {}
    for place, comparison in enumerate(browser.comparisons):
        mine = {s.index: s.filename for s in browser.samples if s.comparison == place}
        if contents.options.thumbnails:
            images = Thumbnails(next(iter(comparison.runs.values()))[0])
            for index, filename in mine.items():
                uri = images.uri(filename)
                if uri is not None:
                    extras.setdefault((place, index), {})["thumbnail"] = uri
        if contents.options.report_text:
            for index, text in paired_texts(comparison, list(mine)).items():
                extras.setdefault((place, index), {})["report"] = text
    return extras
