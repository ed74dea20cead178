"""Telling a subject from its surroundings, where the surroundings are plain enough for that.

Whatever looks like the picture's rim and hangs together with it is surroundings; the rest is the subject.
Busy pictures do not work that way: for those a soft oval about the middle stands in.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from simulator.rendering.grading import BT601
from simulator.rendering.textures import Levels, as_mask, bounded, grid

_LONGEST = 360
_CLUSTERS = 6
_EDGE = 0.055  # of the range from black to white
_LEAST_AREA, _LARGEST_AREA = 0.04, 0.65
_LARGEST_RIM_SHARE = 0.12
_LEAST_MIDDLE = 0.2
_MOST_PIECES = 40
_LEAST_PIECE = 0.08  # of the largest


@dataclass(frozen=True)
class Matte:
    """``mask`` is L, 255 on the subject. ``cut_out`` says whether it follows the subject's outline."""

    mask: Image.Image
    cut_out: bool


def matte_for(picture: Image.Image) -> Matte:
    """The subject of an RGB picture."""
    small = picture.resize(bounded(picture.size, _LONGEST), Image.Resampling.BOX)
    rgb = np.asarray(small, dtype=np.float32) / 255
    luma = BT601.to_planes(rgb)[0]
    subject = _closed(_unlike_the_rim(rgb) | (_steepness(luma) > _EDGE))
    if not _believable(subject):
        return Matte(oval_mask(picture.size), cut_out=False)
    edges = _guided(luma, subject.astype(np.float32), radius=3, softness=1e-3)
    crisp = np.clip((edges - 0.3) / 0.5, 0, 1)
    return Matte(as_mask(crisp).resize(picture.size, Image.Resampling.BICUBIC), cut_out=True)


def _steepness(luma: Levels) -> Levels:
    """How much brightness changes from one pixel to the next but one."""
    across, down = np.zeros_like(luma), np.zeros_like(luma)
    across[:, 1:-1] = luma[:, 2:] - luma[:, :-2]
    down[1:-1] = luma[2:] - luma[:-2]
    return np.hypot(across, down)


def _unlike_the_rim(rgb: Levels) -> NDArray[np.bool_]:
    """Pixels far in colour from all of the rim, less its lower edge, on which subjects often stand."""
    luma, blue, red = BT601.to_planes(rgb)
    height, width = luma.shape
    horizontal, vertical = grid((width, height))
    features = np.stack([luma, 2.2 * blue, 2.2 * red, 0.16 * horizontal, 0.16 * vertical], axis=-1)
    depth = max(2, round(min(width, height) * 0.04))
    rim = np.ones((height, width), dtype=bool)
    rim[depth:, depth:-depth] = False
    centres = _cluster(features[rim])
    distance = np.full((height, width), np.inf, dtype=np.float32)
    for centre in centres:
        distance = np.minimum(distance, np.sqrt(((features - centre) ** 2).sum(axis=-1)))
    usual = float(np.quantile(distance[rim], 0.95))
    return np.asarray(distance > max(0.6 * _otsu(distance), 1.3 * usual))


def _cluster(samples: Levels) -> Levels:
    """A few rounds of k-means from evenly spread starts along the samples sorted by brightness."""
    order = np.argsort(samples[:, 0], kind="stable")
    centres: Levels = samples[order[np.linspace(0, len(order) - 1, _CLUSTERS).astype(int)]]
    for _ in range(8):
        nearest = ((samples[:, None, :] - centres[None]) ** 2).sum(axis=-1).argmin(axis=1)
        for index in range(_CLUSTERS):
            members = samples[nearest == index]
            if len(members):
                centres[index] = members.mean(axis=0)
    return centres


def _otsu(values: Levels) -> float:
    """The threshold that parts the values into the two most distinct groups."""
    counts, edges = np.histogram(values, bins=64)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    mean_below = sums / np.maximum(below, 1)
    mean_above = (sums[-1] - sums) / np.maximum(above, 1)
    return float(middles[int((below * above * (mean_below - mean_above) ** 2).argmax())])


def _closed(rough: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without specks, and without holes: what the picture's corner does not reach belongs to the subject."""
    joined = (
        as_mask(rough.astype(np.float32)).filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MinFilter(9))
    )
    plate = Image.new("L", (joined.width + 2, joined.height + 1), 0)
    plate.paste(joined, (1, 1))
    ImageDraw.floodfill(plate, (0, 0), 128)
    filled = plate.crop((1, 1, joined.width + 1, joined.height + 1)).point(lambda level: 255 * (level != 128))
    # Opened, and a little smaller than found: a rim of the old surroundings shows more than a missing pixel.
    opened = filled.filter(ImageFilter.MinFilter(9)).filter(ImageFilter.MaxFilter(5))
    return _main_pieces(opened)


def _main_pieces(shape: Image.Image) -> NDArray[np.bool_]:
    """Without pieces much smaller than the largest: those are shadows and seams, not things."""
    plate = shape.copy()
    for label in range(1, _MOST_PIECES + 1):
        rest = np.argwhere(np.asarray(plate) == 255)
        if not len(rest):
            break
        ImageDraw.floodfill(plate, (int(rest[0][1]), int(rest[0][0])), label)
    sizes = np.bincount(np.asarray(plate).reshape(-1), minlength=256)
    sizes[[0, 255]] = 0
    return np.asarray(np.isin(np.asarray(plate), np.flatnonzero(sizes > _LEAST_PIECE * sizes.max())))


def _believable(subject: NDArray[np.bool_]) -> bool:
    area = float(subject.mean())
    rim = np.concatenate(
        [subject[0], subject[:, 0], subject[:, -1]]
    )  # a subject may well stand on the lower edge
    height, width = subject.shape
    middle = subject[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    return (
        _LEAST_AREA <= area <= _LARGEST_AREA
        and float(rim.mean()) < _LARGEST_RIM_SHARE
        and float(middle.mean()) > _LEAST_MIDDLE
    )


def oval_mask(size: tuple[int, int]) -> Image.Image:
    """L at ``size``: opaque about the middle, fading towards the rim."""
    small = bounded(size, _LONGEST)
    horizontal, vertical = grid(small)
    distance = np.hypot((horizontal - 0.5) / 0.47, (vertical - 0.52) / 0.52)
    falling = np.clip((1.12 - distance) / 0.55, 0, 1)
    return as_mask(falling * falling * (3 - 2 * falling)).resize(size, Image.Resampling.BICUBIC)


def _guided(guide: Levels, mask: Levels, *, radius: int, softness: float) -> Levels:
    """A guided filter: the mask smoothed, its edges drawn to the guide's."""

    def mean(levels: Levels) -> Levels:
        return _box(levels, radius)

    guide_mean, mask_mean = mean(guide), mean(mask)
    slope = (mean(guide * mask) - guide_mean * mask_mean) / (mean(guide * guide) - guide_mean**2 + softness)
    return mean(slope) * guide + mean(mask_mean - slope * guide_mean)


def _box(levels: Levels, radius: int) -> Levels:
    """The mean over a square; by running sums, since Pillow blurs no float pictures."""
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(levels, padding, mode="edge"), axis=axis, dtype=np.float64)
        high = np.take(sums, range(2 * radius + 1, sums.shape[axis]), axis=axis)
        low = np.take(sums, range(sums.shape[axis] - 2 * radius - 1), axis=axis)
        levels = ((high - low) / (2 * radius + 1)).astype(np.float32)
    return levels
