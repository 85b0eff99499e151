"""Image files in a folder: which count, and how one is read or refused."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipit_eva.errors import InputError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
"""File names that count as images, in any case."""


def find_images(root: Path) -> list[Path]:
    """Returns all images below a folder, by path; links are followed, as eva's datasets do.

    Hidden files are left out: `._NAME` is what macOS keeps about NAME.

    Args:
        root: The folder.

    Raises:
        InputError: A name is not UTF-8, so that no table can hold it.
    """
    return sorted(_walk(root, seen=set()))


def check_image(path: str) -> None:
    """Checks an image file that another reader is going to read.

    Raises:
        InputError: `read_image` would refuse it, or its name is not UTF-8.
    """
    _check_name(Path(path))
    read_image(Path(path))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Reads an image as eva does: RGB [height, width, 3], turned as its EXIF orientation says.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read whole, has more than 8 bits a channel (which eva's reader
            would darken), or parts of it are transparent.
    """
    try:
        with Image.open(path) as header:
            header.load()  # PIL refuses a truncated file, which OpenCV fills with grey
            if "A" in header.getbands() and header.getchannel("A").getextrema()[0] < 255:
                raise InputError(f"image {path} has transparent parts; save it without alpha")
    except Image.UnidentifiedImageError:
        pass  # 16-bit colour TIFF, among others: OpenCV tells
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"image {path} cannot be read ({error}); replace the file") from None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    content = np.fromfile(path, dtype=np.uint8)
    image = cv2.imdecode(content, flags) if len(content) else None
    if image is None:
        raise InputError(f"image {path} cannot be read (no known format); replace or remove it")
    if image.dtype != np.uint8:
        raise InputError(
            f"image {path} has {image.dtype.name} values; save it with 8 bits a channel, scaled "
            "to 0-255"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _walk(folder: Path, seen: set[str]) -> Iterator[Path]:
    """Yields the images of a folder and its subfolders, each folder once on a path of links."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for entry in os.scandir(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(path, seen | {real})
        elif path.suffix.lower() in SUFFIXES and entry.is_file():
            _check_name(path)
            yield path


def _check_name(path: Path) -> None:
    """Raises InputError if a file's name is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"image {str(path)!a} has a name that is not UTF-8; rename it") from None
