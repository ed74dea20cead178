"""Pictures in a form that the models take: what is acceptable is sent byte for byte, the rest is converted.

The same bytes give the same result every time: no time stamps, no random numbers, no threads that race.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from blocks.errors import NotDecodable
from blocks.media import SHORTEST_PICTURE_SIDE
from blocks.pictures import PictureFacts, open_picture, orientation_of

MOST_SENT_PICTURE_BYTES = 10_000_000

_SENT_KINDS = ("JPEG", "PNG")
_SENT_MODES = ("RGB", "RGBA", "L")
_LOSES_PROFILE = ("CMYK", "LAB", "LA", "La")  # their profile would not describe what they become
_PNG_DEPTH_AT = 24  # in the header chunk, which always comes first
_JPEG_QUALITIES = (95, 90, 85, 80)
_SCALE_STEP = 0.85
_WHITE = (255, 255, 255, 255)


@dataclass(frozen=True)
class PreparedPicture:
    """``note`` says in a few words what was done, for the plan and the report."""

    content: bytes
    media_type: str
    note: str


def picture_is_acceptable(path: Path, facts: PictureFacts) -> bool:
    """Whether the models take the file as it is. Its sides are another matter: ``picture_limit_problems``."""
    return (
        facts.format in _SENT_KINDS
        and facts.mode in _SENT_MODES
        and facts.frames == 1
        and facts.bytes <= MOST_SENT_PICTURE_BYTES
        and _has_eight_bits(path, facts)
        and facts.orientation == 1
    )


def prepare_picture(path: Path) -> PreparedPicture:
    """The picture as a jpeg or png within the models' limit of weight. Raises NotDecodable."""
    with open_picture(path) as opened:
        was_jpeg = opened.format in ("JPEG", "MPO")
        changes = _what_changes(opened)
        picture = plain_picture(opened)
        profile = None if opened.mode in _LOSES_PROFILE else opened.info.get("icc_profile")
        for content, media_type, how in _attempts(picture, profile, as_jpeg=was_jpeg):
            if len(content) <= MOST_SENT_PICTURE_BYTES:
                note = ", ".join([*changes, how])
                return PreparedPicture(content, media_type, f"converted: {note}")
    raise NotDecodable(
        f"a picture that stays above {MOST_SENT_PICTURE_BYTES:,} bytes however it is compressed"
    )


def plain_picture(picture: Image.Image) -> Image.Image:
    """The same upright, as RGB, RGBA or grey of 8 bits a channel."""
    return _eight_bits(_colours(ImageOps.exif_transpose(picture)))


def _has_eight_bits(path: Path, facts: PictureFacts) -> bool:
    # Pillow shows a png of 16 bits a channel as RGB and one of 4 bits as L.
    if facts.format != "PNG":
        return True
    with path.open("rb") as file:
        header = file.read(_PNG_DEPTH_AT + 1)
    return header[_PNG_DEPTH_AT:] == b"\x08"


def _what_changes(picture: Image.Image) -> list[str]:
    changes = []
    if orientation_of(picture) != 1:
        changes.append("turned upright")
    if getattr(picture, "n_frames", 1) > 1:
        changes.append("first frame only")
    if picture.mode not in _SENT_MODES:
        changes.append(f"colours from {picture.mode}")
    return changes


def _colours(picture: Image.Image) -> Image.Image:
    """RGB, RGBA or grey, of whatever depth. Colours of print go through the profile that the file carries."""
    match picture.mode:
        case "CMYK" | "LAB":
            return _through_profile(picture)
        case "P" | "PA" | "LA" | "La" | "RGBa":
            has_alpha = picture.mode != "P" or "transparency" in picture.info
            return picture.convert("RGBA" if has_alpha else "RGB")
        case "1":
            return picture.convert("L")
        case "YCbCr" | "HSV" | "RGBX":
            return picture.convert("RGB")
        case _:
            return picture


def _through_profile(picture: Image.Image) -> Image.Image:
    embedded = picture.info.get("icc_profile")
    try:
        if picture.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        elif embedded:
            source = ImageCms.ImageCmsProfile(io.BytesIO(embedded)).profile
        else:
            return picture.convert("RGB")
        converted = ImageCms.profileToProfile(
            picture, ImageCms.ImageCmsProfile(source), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        # A profile for another kind of picture, or a damaged one, says nothing about the colours.
        if picture.mode == "LAB":
            raise
        return picture.convert("RGB")
    assert converted is not None  # only where it works in place
    return converted


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits scaled to 8; converting alone would cut off all that is brighter than 255."""
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.int64).clip(min=0)
    # Pillow's 32-bit mode also holds pictures of 16 bits.
    most = 0xFFFF if picture.mode.startswith("I;16") or values.max() <= 0xFFFF else 0x7FFFFFFF
    return Image.fromarray(((values * 255 + most // 2) // most).astype(np.uint8))


def _attempts(
    picture: Image.Image, profile: bytes | None, *, as_jpeg: bool
) -> Iterator[tuple[bytes, str, str]]:
    """Ever lighter forms of the picture: content, media type, and what was done."""
    if not as_jpeg:
        yield _saved(picture, "PNG", icc_profile=profile), "image/png", "saved as png"
    flat = _flattened(picture)
    for quality in _JPEG_QUALITIES:
        yield _jpeg(flat, quality, profile), "image/jpeg", f"saved as jpeg of quality {quality}"
    scale = _SCALE_STEP
    while min(flat.size) * scale >= SHORTEST_PICTURE_SIDE:
        size = (round(flat.width * scale), round(flat.height * scale))
        smaller = flat.resize(size, Image.Resampling.LANCZOS)
        how = f"scaled to {size[0]}x{size[1]}, saved as jpeg of quality {_JPEG_QUALITIES[-1]}"
        yield _jpeg(smaller, _JPEG_QUALITIES[-1], profile), "image/jpeg", how
        scale *= _SCALE_STEP


def _flattened(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, _WHITE), picture).convert("RGB")


def _jpeg(picture: Image.Image, quality: int, profile: bytes | None) -> bytes:
    return _saved(picture, "JPEG", quality=quality, subsampling=0, icc_profile=profile)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    # Without this Pillow would write back the EXIF and the comments of the original.
    plain = picture.copy()
    plain.info = {}
    content = io.BytesIO()
    plain.save(content, kind, **options)
    return content.getvalue()
