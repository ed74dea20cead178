"""Pictures: what a file is, found out by decoding it, never from its name.

The bytes come from strangers. Only decoders on a short list are let at them, sizes are bounded before
anything is unpacked, and whatever a decoder throws becomes NotDecodable.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from blocks.errors import MediaError, NotDecodable, TooLargeToDecode
from blocks.file_kind import kind_of_file

MOST_PICTURE_PIXELS = 150_000_000
MOST_PICTURE_BYTES = 200_000_000
MOST_PICTURE_FRAMES = 2_000
_MOST_PIXELS_OF_ALL_FRAMES = 4  # times the most of one

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # several JPEGs in one file, as some phones write them
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
}
_FORMATS = tuple(name for name in _MEDIA_TYPES if name != "MPO")  # which the JPEG decoder finds by itself
_QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations

# Pillow looks at its own limit before this module can look at the size. The filters are set once, and not
# around each call: they belong to the process, and pictures are decoded in several threads.
Image.MAX_IMAGE_PIXELS = MOST_PICTURE_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
warnings.filterwarnings("error", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class PictureFacts:
    """``width`` and ``height`` are pixels as the picture is meant to be seen, after its EXIF orientation."""

    media_type: str
    format: str  # Pillow's name: JPEG, PNG, WEBP, …
    width: int
    height: int
    mode: str  # Pillow's name: RGB, RGBA, CMYK, I;16, …
    bytes: int
    frames: int
    orientation: int = 1  # EXIF: 1 (upright) to 8; already applied to the sides above


def inspect_picture(path: Path, *, max_pixels: int = MOST_PICTURE_PIXELS) -> PictureFacts:
    """The facts of a picture, for most kinds from its header alone.

    Raises NotDecodable where it is none, or too large.
    """
    with open_picture(path, max_pixels=max_pixels) as picture:
        return _picture_facts(path, picture)


def decode_picture_fully(path: Path, *, max_pixels: int = MOST_PICTURE_PIXELS) -> PictureFacts:
    """The same after decoding every pixel of every frame.

    Raises NotDecodable where it is damaged or cut short.
    """
    with open_picture(path, max_pixels=max_pixels) as picture:
        facts = _picture_facts(path, picture)
        if facts.frames * facts.width * facts.height > _MOST_PIXELS_OF_ALL_FRAMES * max_pixels:
            raise TooLargeToDecode(f"a picture of {facts.frames} frames, too many pixels to unpack")
        for frame in range(facts.frames):
            picture.seek(frame)
            picture.load()
        return facts


@contextmanager
def open_picture(path: Path, *, max_pixels: int = MOST_PICTURE_PIXELS) -> Iterator[Image.Image]:
    """A picture whose kind and size are known to be allowed.

    Whatever a decoder raises while it is open is NotDecodable. ``max_pixels`` can only lower the limit.
    """
    size = path.stat().st_size
    if size > MOST_PICTURE_BYTES:
        raise TooLargeToDecode(f"a picture of {size:,} bytes; {MOST_PICTURE_BYTES:,} are the most")
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            _refuse_large(picture, max_pixels)
            yield picture
    except (MediaError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise NotDecodable(f"not a picture of a known kind, but {kind_of_file(path)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeToDecode(f"a picture with too many pixels; {max_pixels:,} are the most") from error
    except Exception as error:  # decoders raise nearly anything over bytes made to confuse them
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotDecodable(f"a damaged or incomplete picture ({why})") from error


def _refuse_large(picture: Image.Image, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise TooLargeToDecode(f"a picture of {width}x{height}; {max_pixels:,} pixels are the most")


def orientation_of(picture: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8."""
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _picture_facts(path: Path, picture: Image.Image) -> PictureFacts:
    frames = getattr(picture, "n_frames", 1)
    if frames > MOST_PICTURE_FRAMES:
        raise TooLargeToDecode(f"a picture of {frames:,} frames; {MOST_PICTURE_FRAMES:,} are the most")
    width, height = picture.size
    orientation = orientation_of(picture)
    if orientation in _QUARTER_TURNS:
        width, height = height, width
    kind = picture.format or ""
    return PictureFacts(
        media_type=_MEDIA_TYPES[kind],
        format=kind,
        width=width,
        height=height,
        mode=picture.mode,
        bytes=path.stat().st_size,
        frames=frames,
        orientation=orientation,
    )
