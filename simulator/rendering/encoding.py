"""Pictures as files of the format asked for, with the simulator's mark in their metadata."""

import io

from PIL import ExifTags, Image, PngImagePlugin

from simulator.rendering.marking import COMMENT, SOFTWARE

_FORMATS = ("png", "jpeg", "webp")
# PNG at 4k is some 17 million pixels: a higher level costs seconds and saves a tenth of the bytes.
_PNG_LEVEL = 2
_JPEG_QUALITY = 90
_WEBP_QUALITY = 88
_WEBP_EFFORT = 2


def encode_picture(picture: Image.Image, output_format: str) -> bytes:
    """The file's bytes. Raises ValueError where the service has no such output format."""
    file = io.BytesIO()
    if output_format == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", COMMENT)
        text.add_text("Software", SOFTWARE)
        picture.save(file, "PNG", pnginfo=text, compress_level=_PNG_LEVEL)
    elif output_format == "jpeg":
        picture.save(file, "JPEG", quality=_JPEG_QUALITY, exif=_exif(), comment=COMMENT)
    elif output_format == "webp":
        picture.save(file, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_EFFORT, exif=_exif())
    else:
        raise ValueError(f"output_format {output_format!r} is not one of {', '.join(_FORMATS)}")
    return file.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = COMMENT
    exif[ExifTags.Base.Software] = SOFTWARE
    return exif
