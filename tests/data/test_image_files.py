"""Which files count as images, and how one is read or refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from eva.vision.utils import io
from PIL import Image

from clipit_eva.data.image_files import check_image, find_images, read_image
from clipit_eva.errors import InputError


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
def test_read_as_eva_reads(tmp_path: Path, pixels: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(pixels).save(path)
    assert np.array_equal(read_image(path), io.read_image(str(path)))


def test_turned_as_exif_says_and_grey_has_three_channels(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    turned = Image.fromarray(pixels)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert read_image(tmp_path / "turned.jpg").shape == (32, 24, 3)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(read_image(tmp_path / "grey.png"), pixels[..., :1].repeat(3, axis=2))


def test_opaque_alpha_is_dropped_and_transparency_refused(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    alpha = np.full((24, 32, 1), 255, dtype=np.uint8)
    Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(tmp_path / "opaque.png")
    assert np.array_equal(read_image(tmp_path / "opaque.png"), pixels)
    alpha[3, 4] = 0
    Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(tmp_path / "hole.png")
    with pytest.raises(InputError, match=r"hole\.png has transparent parts"):
        read_image(tmp_path / "hole.png")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_truncated_is_refused(
    tmp_path: Path, pixels: np.ndarray, suffix: str, share: float
) -> None:
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=f"cut{suffix}"):
        read_image(path)


def test_twelve_bits_in_sixteen_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 16).save(tmp_path / "twelve.tif")
    with pytest.raises(InputError, match=r"twelve\.tif has uint16 values"):
        read_image(tmp_path / "twelve.tif")


def test_what_another_reader_reads_is_checked_alike(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "fine.tif")
    check_image(str(tmp_path / "fine.tif"))
    (tmp_path / "cut.tif").write_bytes((tmp_path / "fine.tif").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"cut\.tif"):
        check_image(str(tmp_path / "cut.tif"))
    name = os.fsdecode(os.fsencode(tmp_path) + b"/Pr\xe4parat.tif")
    (tmp_path / "fine.tif").rename(name)
    with pytest.raises(InputError, match="not UTF-8"):
        check_image(name)


def test_links_are_followed_and_companions_left_out(tmp_path: Path) -> None:
    for name in ("data/a/1.png", "store/b/2.PNG", "data/a/._1.png", "data/Thumbs.db"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "data/b").symlink_to(tmp_path / "store/b")
    (tmp_path / "store/b/round").symlink_to(tmp_path / "data")  # a circle
    found = [
        path.relative_to(tmp_path / "data").as_posix() for path in find_images(tmp_path / "data")
    ]
    assert found == ["a/1.png", "b/2.PNG"]


def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/Pr\xe4parat.tif")).write_bytes(b"")
    with pytest.raises(InputError, match=r"Pr\\udce4parat\.tif.* not UTF-8"):
        find_images(tmp_path)
