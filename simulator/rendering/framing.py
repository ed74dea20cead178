"""Bringing a picture to other sides without cutting into what it shows."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from simulator.rendering.textures import as_mask, bounded

# Up to this factor between the shapes the picture is cropped; beyond it, its surroundings are extended.
_CROPPED_UP_TO = 1.09
# How much of the longer side may be cropped before extending.
_TRIMMED = 1.05
_LONGEST_SURROUNDINGS = 420


@dataclass(frozen=True)
class Framing:
    """``picture`` is the whole, ``sharp`` the part that is no surroundings and fades out as ``edge`` does."""

    picture: Image.Image
    sharp: Image.Image
    place: tuple[int, int]
    edge: Image.Image | None  # L; None where there are no surroundings

    def whole(self, mask: Image.Image) -> Image.Image:
        """A mask (L) of the sharp part as one of the whole."""
        if self.edge is None:
            return mask
        canvas = Image.new("L", self.picture.size, 0)
        canvas.paste(ImageChops.multiply(mask, self.edge), self.place)
        return canvas


def framed(
    picture: Image.Image, size: tuple[int, int], zoom: float = 1.0, pan: tuple[float, float] = (0.5, 0.5)
) -> Framing:
    """The picture at ``size``: cropped where the shapes are close, else set into its own soft surroundings.

    ``zoom`` above 1 comes closer; ``pan`` (shares) says which part stays in view then.
    """
    picture = _zoomed(picture, zoom, pan)
    width, height = size
    factor = (picture.width / picture.height) / (width / height)
    if 1 / _CROPPED_UP_TO <= factor <= _CROPPED_UP_TO:
        whole = covered(picture, size)
        return Framing(whole, whole, (0, 0), None)
    if factor > 1:  # too wide: trim a little, fill above and below
        kept = _plainest_trim(picture, picture.width / _TRIMMED, picture.height)
        inner = (width, round(width * kept.height / kept.width))
    else:
        kept = _plainest_trim(picture, picture.width, picture.height / _TRIMMED)
        inner = (round(height * kept.width / kept.height), height)
    sharp = kept.resize(inner, Image.Resampling.LANCZOS)
    canvas = _surroundings(sharp, size)
    place = ((width - inner[0]) // 2, (height - inner[1]) // 2)
    edge = _feathered(inner, size)
    canvas.paste(sharp, place, edge)
    return Framing(canvas, sharp, place, edge)


def covered(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scaled and cropped, where there is least to lose, so that it fills ``size``."""
    factor = max(size[0] / picture.width, size[1] / picture.height)
    return _plainest_trim(picture, size[0] / factor, size[1] / factor).resize(size, Image.Resampling.LANCZOS)


def _zoomed(picture: Image.Image, zoom: float, pan: tuple[float, float]) -> Image.Image:
    width, height = max(1, round(picture.width / zoom)), max(1, round(picture.height / zoom))
    left = round((picture.width - width) * pan[0])
    top = round((picture.height - height) * pan[1])
    return picture.crop((left, top, left + width, top + height))


def _plainest_trim(picture: Image.Image, width: float, height: float) -> Image.Image:
    """Cropped to these sides, taking away the strips with the least detail."""
    kept_width, kept_height = max(1, round(width)), max(1, round(height))
    spare = (picture.width - kept_width, picture.height - kept_height)
    if spare == (0, 0):
        return picture
    small = picture.convert("L").resize(bounded(picture.size, _LONGEST_SURROUNDINGS), Image.Resampling.BOX)
    detail = np.asarray(small.filter(ImageFilter.FIND_EDGES), dtype=np.float32)
    left = round(spare[0] * _lighter_side(detail.sum(axis=0), spare[0] / picture.width))
    top = round(spare[1] * _lighter_side(detail.sum(axis=1), spare[1] / picture.height))
    return picture.crop((left, top, left + kept_width, top + kept_height))


def _lighter_side(detail: np.ndarray[tuple[int, ...], np.dtype[np.float32]], cut: float) -> float:
    """Which share of the cut to take from the start, by how much detail the two ends hold."""
    strip = max(1, round(len(detail) * cut))
    start, end = float(detail[:strip].sum()), float(detail[-strip:].sum())
    return end / (start + end) if start + end else 0.5


def _surroundings(sharp: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture mirrored outwards and blurred, so that its edges run on."""
    small_size = bounded(size, _LONGEST_SURROUNDINGS)
    factor = small_size[0] / size[0]
    inner = (max(2, round(sharp.width * factor)), max(2, round(sharp.height * factor)))
    small = np.asarray(sharp.resize(inner, Image.Resampling.BOX))
    missing = (max(0, small_size[0] - inner[0]), max(0, small_size[1] - inner[1]))
    padding = (
        (missing[1] // 2, missing[1] - missing[1] // 2),
        (missing[0] // 2, missing[0] - missing[0] // 2),
        (0, 0),
    )
    mirrored = Image.fromarray(np.pad(small, padding, mode="symmetric"))
    # The wider the margin, the softer: a mirrored face must not be one.
    blurred = mirrored.filter(ImageFilter.GaussianBlur(4 + max(missing) / 10))
    return blurred.resize(size, Image.Resampling.BICUBIC)


def _feathered(inner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Opaque but for the two edges that meet the surroundings."""
    width, height = inner
    feather = max(2, round(min(min(size) * 0.07, (width if width < size[0] else height) * 0.06)))
    if width < size[0]:
        places = np.arange(width, dtype=np.float32)
        edge = np.clip(np.minimum(places, width - 1 - places) / feather, 0, 1)
        line = edge * edge * (3 - 2 * edge)
        return as_mask(np.broadcast_to(line[None, :], (height, width)))
    places = np.arange(height, dtype=np.float32)
    edge = np.clip(np.minimum(places, height - 1 - places) / feather, 0, 1)
    line = edge * edge * (3 - 2 * edge)
    return as_mask(np.broadcast_to(line[:, None], (height, width)))
