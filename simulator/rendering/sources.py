"""Pictures as people have them (turned by EXIF, CMYK, 16 bits, palettes, transparency) as plain sRGB."""

import io
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from simulator.rendering.textures import Levels

_PAPER = (255, 255, 255)


def read_picture(data: bytes, name: str) -> Image.Image:
    """The upright RGB picture; ``name`` is what an error calls it. Transparency is laid on white.

    Raises ValueError where the bytes are no picture, a truncated one or one of absurd size.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns about 90 to 180 million pixels; a server has no use for them either.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
        picture.load()
        profile = picture.info.get("icc_profile")
        upright = ImageOps.exif_transpose(picture)
        return _to_rgb(upright, profile)
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not a picture that can be decoded") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} has too many pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # Pillow raises all of these for damaged files, SyntaxError for broken PNG chunks among them.
        raise ValueError(f"{name} cannot be decoded: {error}") from error


def _to_rgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _eight_bits(picture).convert("RGB")
    if picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info:
        translucent = picture.convert("RGBA")
        paper = Image.new("RGB", translucent.size, _PAPER)
        paper.paste(translucent.convert("RGB"), mask=translucent.getchannel("A"))
        return paper
    if profile and picture.mode in {"RGB", "CMYK"}:
        converted = _managed(picture, profile)
        if converted is not None:
            return converted
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey as 8 bits: Pillow's own conversion would clip everything above 255 to white."""
    levels: Levels = np.asarray(picture, dtype=np.float32)
    if levels.max() > 255:
        levels = levels / 257
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def _managed(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """The picture's colours in sRGB, or None where its profile is damaged or of another kind."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
