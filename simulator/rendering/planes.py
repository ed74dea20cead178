"""Frames as clips keep them: a full plane of luma and two of colour at half the sides (yuv420p, limited
range).

Working on these planes instead of on RGB takes a third of the time, and time is what clips cost.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from simulator.rendering.grading import Matrix, recoloured, tint, toned
from simulator.rendering.textures import Levels
from simulator.rendering.vocabulary import Look

Codes = NDArray[np.uint8]

_BLACK, _LUMA_RANGE = 16, 219
_NEUTRAL, _COLOUR_RANGE = 128, 224


@dataclass
class Planes:
    """One frame; ``blue`` and ``red`` have half the sides of ``luma``."""

    luma: Image.Image
    blue: Image.Image
    red: Image.Image

    @classmethod
    def from_codes(cls, codes: Codes, size: tuple[int, int]) -> "Planes":
        """From the planes one after the other, as PyAV gives a yuv420p frame of this (even) size."""
        width, height = size
        flat = codes.reshape(-1)
        whole, quarter = width * height, width * height // 4
        half = (height // 2, width // 2)
        return cls(
            Image.fromarray(flat[:whole].reshape(height, width)),
            Image.fromarray(flat[whole : whole + quarter].reshape(half)),
            Image.fromarray(flat[whole + quarter : whole + 2 * quarter].reshape(half)),
        )

    def to_codes(self) -> Codes:
        width, height = self.luma.size
        planes = [np.asarray(plane).reshape(-1) for plane in (self.luma, self.blue, self.red)]
        return np.concatenate(planes).reshape(height * 3 // 2, width)

    def turned(self, degrees: int) -> "Planes":
        """Turned counterclockwise by a multiple of 90 degrees."""
        turns = {
            90: Image.Transpose.ROTATE_90,
            180: Image.Transpose.ROTATE_180,
            270: Image.Transpose.ROTATE_270,
        }
        turn = turns.get(degrees % 360)
        if turn is None:
            return self
        return Planes(self.luma.transpose(turn), self.blue.transpose(turn), self.red.transpose(turn))


@dataclass(frozen=True)
class PlaneLayer:
    """An RGBA layer in the same form, to be laid over frames."""

    luma: Image.Image
    blue: Image.Image
    red: Image.Image
    cover: Image.Image
    half_cover: Image.Image

    @classmethod
    def from_rgba(cls, layer: Image.Image, matrix: Matrix) -> "PlaneLayer":
        """Both sides of ``layer`` must be even."""
        small = layer.resize((layer.width // 2, layer.height // 2), Image.Resampling.BOX)
        luma, blue, red = (_weights(matrix, plane) for plane in range(3))
        half_rgb = small.convert("RGB")
        return cls(
            layer.convert("RGB").convert("L", luma),
            half_rgb.convert("L", blue),
            half_rgb.convert("L", red),
            layer.getchannel("A"),
            small.getchannel("A"),
        )

    def lay_on(self, frame: Planes, place: tuple[int, int] = (0, 0), strength: float = 1.0) -> None:
        """Over the frame with the upper left corner at ``place`` (both even)."""
        cover, half_cover = self.cover, self.half_cover
        if strength < 1:
            cover = cover.point([round(level * strength) for level in range(256)])
            half_cover = half_cover.point([round(level * strength) for level in range(256)])
        half_place = (place[0] // 2, place[1] // 2)
        frame.luma.paste(self.luma, place, cover)
        frame.blue.paste(self.blue, half_place, half_cover)
        frame.red.paste(self.red, half_place, half_cover)

    def pushed(self, across: int, down: int) -> "PlaneLayer":
        """Moved by even numbers of pixels; what leaves on one side comes in on the other."""
        return PlaneLayer(
            ImageChops.offset(self.luma, across, down),
            ImageChops.offset(self.blue, across // 2, down // 2),
            ImageChops.offset(self.red, across // 2, down // 2),
            ImageChops.offset(self.cover, across, down),
            ImageChops.offset(self.half_cover, across // 2, down // 2),
        )


class PlaneGrade:
    """A look's colours as tables: luma by luma, colour by both colours, and what luma adds to colour."""

    def __init__(self, look: Look, matrix: Matrix) -> None:
        codes = np.arange(256, dtype=np.float32)
        luma = np.clip((codes - _BLACK) / _LUMA_RANGE, 0, 1)
        colour = (codes - _NEUTRAL) / _COLOUR_RANGE
        graded_luma = _BLACK + _LUMA_RANGE * np.clip(toned(look, luma), 0, 1)
        self._luma = [int(code) for code in np.rint(graded_luma)]
        blue, red = recoloured(look, *np.meshgrid(colour, colour, indexing="ij"))
        self._blue = _colour_code(blue).reshape(-1)
        self._red = _colour_code(red).reshape(-1)
        blue_gain, red_gain = tint(look, luma, matrix)
        self._blue_gain = np.rint(_COLOUR_RANGE * blue_gain).astype(np.int16)
        self._red_gain = np.rint(_COLOUR_RANGE * red_gain).astype(np.int16)

    def applied(self, frame: Planes) -> Planes:
        luma, blue, red = (np.asarray(plane) for plane in (frame.luma, frame.blue, frame.red))
        place = (blue.astype(np.uint16) << 8) | red
        beneath = luma[::2, ::2]
        return Planes(
            frame.luma.point(self._luma),
            _clipped(self._blue[place] + self._blue_gain[beneath]),
            _clipped(self._red[place] + self._red_gain[beneath]),
        )


def _weights(matrix: Matrix, plane: int) -> tuple[float, float, float, float]:
    """What red, green, blue and a constant contribute to the codes of one plane, as Pillow takes them."""
    scale, offset = ((_LUMA_RANGE, _BLACK), (_COLOUR_RANGE, _NEUTRAL), (_COLOUR_RANGE, _NEUTRAL))[plane]
    contributions = matrix.to_planes(np.eye(3, dtype=np.float32))[plane] * scale / 255
    red, green, blue = (float(share) for share in contributions)
    return red, green, blue, float(offset) + 0.5 * (plane > 0)


def _colour_code(difference: Levels) -> NDArray[np.int16]:
    return np.rint(_NEUTRAL + _COLOUR_RANGE * difference).astype(np.int16)


def _clipped(codes: NDArray[np.int16]) -> Image.Image:
    low, high = _NEUTRAL - _COLOUR_RANGE // 2, _NEUTRAL + _COLOUR_RANGE // 2
    return Image.fromarray(np.clip(codes, low, high).astype(np.uint8))
