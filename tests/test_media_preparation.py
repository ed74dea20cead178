"""What is sent byte for byte, and how the rest is converted."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from media_samples import encoded, noise, photograph, scene
from PIL import Image, ImageCms

from blocks import media_preparation
from blocks.media import inspect_picture
from blocks.media_preparation import PreparedPicture, picture_is_acceptable, prepare_picture


def _file(folder: Path, content: bytes) -> Path:
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return path


def _is_acceptable(folder: Path, content: bytes) -> bool:
    path = _file(folder, content)
    return picture_is_acceptable(path, inspect_picture(path))


def _prepared(folder: Path, content: bytes) -> tuple[PreparedPicture, Image.Image]:
    """Converts twice, to see that both are the same, and reads the result, which must be acceptable."""
    path = _file(folder, content)
    assert not picture_is_acceptable(path, inspect_picture(path))
    prepared = prepare_picture(path)
    assert prepare_picture(path) == prepared
    assert _is_acceptable(folder, prepared.content)
    picture = Image.open(io.BytesIO(prepared.content))
    assert Image.MIME[picture.format or ""] == prepared.media_type
    return prepared, picture


def _is_close(picture: Image.Image, wanted: Image.Image, tolerance: float) -> bool:
    found = np.asarray(picture.convert("RGB")).astype(int)
    return bool(np.abs(found - np.asarray(wanted.convert("RGB")).astype(int)).mean() <= tolerance)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_plain_pictures_are_sent_as_they_are(tmp_path: Path, mode: str, kind: str) -> None:
    assert _is_acceptable(tmp_path, encoded(scene().convert(mode), kind))


def test_a_photograph_and_a_png_with_alpha_are_sent_as_they_are(tmp_path: Path) -> None:
    path = photograph(tmp_path)
    assert picture_is_acceptable(path, inspect_picture(path))
    assert _is_acceptable(tmp_path, encoded(scene().convert("RGBA"), "PNG"))


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_other_kinds_become_png(tmp_path: Path, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    prepared, picture = _prepared(tmp_path, encoded(scene(), kind, **options))
    assert prepared.media_type == "image/png"
    assert prepared.note == "converted: saved as png" or kind == "GIF"
    assert _is_close(picture, scene(), 0 if kind in {"WEBP", "BMP", "TIFF"} else 10)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_turned_pictures_are_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # How the sensor saw the scene: the inverse of what the orientation asks a viewer to do.
    lying = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    prepared, picture = _prepared(tmp_path, encoded(scene().transpose(lying), kind, exif=exif))
    assert picture.size == (640, 480)
    assert _is_close(picture, scene(), 3 if kind == "JPEG" else 0)
    assert prepared.note.startswith("converted: turned upright, saved as ")
    assert picture.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_print_colours_become_screen_colours(tmp_path: Path, kind: str) -> None:
    prepared, picture = _prepared(tmp_path, encoded(scene().convert("CMYK"), kind))
    assert picture.mode == "RGB"
    assert prepared.media_type == ("image/jpeg" if kind == "JPEG" else "image/png")
    assert _is_close(picture, scene(), 6)
    assert "colours from CMYK" in prepared.note


def test_an_embedded_profile_that_does_not_fit_is_ignored(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encoded(scene().convert("CMYK"), "TIFF", icc_profile=profile)
    _, picture = _prepared(tmp_path, content)
    assert _is_close(picture, scene(), 6)
    _, picture = _prepared(tmp_path, encoded(scene().convert("CMYK"), "TIFF", icc_profile=b"damaged"))
    assert _is_close(picture, scene(), 6)


def test_lab_colours_go_through_their_own_space(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        scene(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    _, picture = _prepared(tmp_path, encoded(lab, "TIFF"))
    assert picture.mode == "RGB"
    assert _is_close(picture, scene(), 12)


def test_a_profile_of_screen_colours_stays_with_the_picture(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, picture = _prepared(tmp_path, encoded(scene(), "WEBP", icc_profile=profile))
    assert picture.info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path, kind: str) -> None:
    values = np.linspace(0, 65535, 640).astype(np.uint16)[None].repeat(480, axis=0)
    _, picture = _prepared(tmp_path, encoded(Image.fromarray(values), kind))
    assert picture.mode == "L"
    row = np.asarray(picture)[0]
    assert (row[0], row[-1]) == (0, 255)
    assert np.abs(row - np.linspace(0, 255, 640)).max() <= 1


def test_few_colours_become_true_colours(tmp_path: Path) -> None:
    palette = scene().quantize(64)
    _, picture = _prepared(tmp_path, encoded(palette, "PNG"))
    assert picture.mode == "RGB"
    assert _is_close(picture, palette, 0)
    _, picture = _prepared(tmp_path, encoded(scene().convert("1"), "PNG"))
    assert picture.mode == "L"


def test_transparency_stays(tmp_path: Path) -> None:
    palette = scene().quantize(64)
    clear = palette.getpixel((0, 0))
    _, picture = _prepared(tmp_path, encoded(palette, "PNG", transparency=clear))
    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index] # an RGBA pixel is a tuple
    translucent = scene().convert("LA")
    translucent.putalpha(100)
    _, picture = _prepared(tmp_path, encoded(translucent, "PNG"))
    assert picture.mode == "RGBA"
    assert picture.getpixel((5, 5))[3] == 100  # type: ignore[index] # see above


def test_of_a_moving_picture_the_first_frame_is_sent(tmp_path: Path) -> None:
    frames = [scene(), Image.new("RGB", (640, 480)), Image.new("RGB", (640, 480), "white")]
    for kind, options in (("WEBP", {"lossless": True}), ("PNG", {})):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        prepared, picture = _prepared(tmp_path, content)
        assert getattr(picture, "n_frames", 1) == 1
        assert _is_close(picture, scene(), 0)
        assert "first frame only" in prepared.note


def test_nothing_but_the_picture_is_sent(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    prepared, _ = _prepared(tmp_path, encoded(scene(), "JPEG", exif=exif, comment=b"a secret"))
    assert b"home" not in prepared.content
    assert b"secret" not in prepared.content


@pytest.mark.parametrize(
    ("most", "note", "size"),
    [
        (260_000, "converted: saved as jpeg of quality 85", (400, 400)),
        (200_000, "converted: scaled to 340x340, saved as jpeg of quality 80", (340, 340)),
    ],
)
def test_heavy_pictures_get_lighter_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, note: str, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(media_preparation, "MOST_SENT_PICTURE_BYTES", most)
    prepared, picture = _prepared(tmp_path, encoded(noise(400, 400), "PNG"))
    assert len(prepared.content) <= most
    assert (prepared.media_type, prepared.note, picture.size) == ("image/jpeg", note, size)
