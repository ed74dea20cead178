"""Pictures as inputs and outputs: facts, limits, damage, and traps."""

import struct
import zlib
from pathlib import Path

import pytest
from media_samples import encoded, noise, photograph, scene
from PIL import Image

from blocks import pictures
from blocks.errors import NotDecodable, TooLargeToDecode
from blocks.media import decode_picture_fully, inspect_picture, picture_limit_problems


def _file(folder: Path, content: bytes, name: str = "picture") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
    ],
)
def test_the_kind_is_found_in_the_bytes_not_in_the_name(tmp_path: Path, kind: str, media_type: str) -> None:
    content = encoded(scene(), kind)
    path = _file(tmp_path, content, "misleading.txt")
    facts = inspect_picture(path)
    assert (facts.media_type, facts.format) == (media_type, kind)
    assert (facts.width, facts.height, facts.frames, facts.bytes) == (640, 480, 1, len(content))
    assert decode_picture_fully(path) == facts
    assert picture_limit_problems(facts) == []


def test_a_photograph_is_what_it_is(tmp_path: Path) -> None:
    facts = decode_picture_fully(photograph(tmp_path))
    assert (facts.media_type, facts.mode, facts.width, facts.height) == ("image/jpeg", "RGB", 640, 427)


@pytest.mark.parametrize(
    ("orientation", "size"), [(1, (640, 480)), (3, (640, 480)), (6, (480, 640)), (8, (480, 640))]
)
def test_sides_are_those_after_the_exif_orientation(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    facts = inspect_picture(_file(tmp_path, encoded(scene(), "JPEG", exif=exif)))
    assert (facts.width, facts.height, facts.orientation) == (*size, orientation)


def test_frames_are_counted(tmp_path: Path) -> None:
    frames = [scene().rotate(angle) for angle in (0, 90, 180)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_picture_fully(_file(tmp_path, content)).frames == 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_picture_that_is_cut_short_is_damaged(tmp_path: Path, kind: str, share: float) -> None:
    content = encoded(noise(320, 320), kind)
    with pytest.raises(NotDecodable):
        decode_picture_fully(_file(tmp_path, content[: int(len(content) * share)]))


def test_damage_inside_a_png_is_found(tmp_path: Path) -> None:
    content = bytearray(encoded(noise(320, 320), "PNG"))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(NotDecodable, match="damaged or incomplete picture"):
        decode_picture_fully(_file(tmp_path, bytes(content)))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "a web page"),
        (b"\n <HTML><head>", "a web page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b'<?xml version="1.0"?><Error/>', "an XML document"),
        (b"just words", "a text file"),
        (b"\x00\x01\x02\x03" * 9, "a file of an unknown kind"),
        (b"%PDF-1.7 ...", "a file of the kind Adobe Portable Document Format file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 400 400\n", "PostScript"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    for read in (inspect_picture, decode_picture_fully):
        with pytest.raises(NotDecodable, match="not a picture of a known kind, but ") as caught:
            read(_file(tmp_path, content, "shot.png"))
        assert kind.lower() in str(caught.value).lower()


def _bomb(width: int, height: int) -> bytes:
    """A png of a few hundred bytes that states an enormous size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9999)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [12_300, 20_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    path = _file(tmp_path, _bomb(side, side))
    for read in (inspect_picture, decode_picture_fully):
        with pytest.raises(NotDecodable, match="pixels"):
            read(path)


def test_the_limits_can_be_lowered_and_leave_room_for_the_largest_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, encoded(Image.new("L", (6208, 2624)), "JPEG"))
    assert (inspect_picture(path).width, inspect_picture(path).height) == (6208, 2624)
    with pytest.raises(TooLargeToDecode, match="a picture of 6208x2624; 1,000,000 pixels are the most"):
        decode_picture_fully(path, max_pixels=1_000_000)
    monkeypatch.setattr(pictures, "MOST_PICTURE_BYTES", 100)
    with pytest.raises(TooLargeToDecode, match="bytes; 100 are the most"):
        inspect_picture(path)


def test_many_frames_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [scene().rotate(angle) for angle in (0, 90, 180)]
    path = _file(tmp_path, encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    monkeypatch.setattr(pictures, "_MOST_PIXELS_OF_ALL_FRAMES", 2)
    with pytest.raises(TooLargeToDecode, match="a picture of 3 frames, too many pixels"):
        decode_picture_fully(path, max_pixels=640 * 480)
    monkeypatch.setattr(pictures, "MOST_PICTURE_FRAMES", 2)
    with pytest.raises(TooLargeToDecode, match="a picture of 3 frames; 2 are the most"):
        inspect_picture(path)


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ((300, 750), None),
        ((750, 300), None),
        ((299, 400), "299x400 pixels; each side must have 300 at least"),
        ((400, 299), "400x299 pixels; each side must have 300 at least"),
        ((300, 751), "300x751 pixels; the longer side may be 2.5 times the shorter at most: crop it"),
        ((1001, 400), "1001x400 pixels; the longer side may be 2.5 times the shorter at most: crop it"),
    ],
)
def test_sides_and_shape_are_held_against_the_models(
    tmp_path: Path, size: tuple[int, int], problem: str | None
) -> None:
    facts = inspect_picture(_file(tmp_path, encoded(Image.new("RGB", size), "PNG")))
    assert picture_limit_problems(facts) == ([problem] if problem else [])


def test_floating_point_pictures_are_a_problem(tmp_path: Path) -> None:
    facts = inspect_picture(_file(tmp_path, encoded(scene().convert("F"), "TIFF")))
    assert picture_limit_problems(facts) == ["floating-point pixels; save it with 8 or 16 bits a channel"]
