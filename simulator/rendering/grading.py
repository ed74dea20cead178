"""The colour part of a look, as formulas over luma (0…1) and two colour differences (-0.5…0.5).

Pictures get it as one three-dimensional table over red, green and blue, clips as small tables over the
planes that their frames already have; both are made from the same formulas.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from simulator.rendering.textures import Levels
from simulator.rendering.vocabulary import Colour, Look

_TABLE_SIDE = 33


@dataclass(frozen=True)
class Matrix:
    """Weights of red and blue in luma."""

    red: float
    blue: float

    def to_planes(self, rgb: Levels) -> tuple[Levels, Levels, Levels]:
        """Luma and the differences of blue and red from RGB in 0…1, over the last axis."""
        red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        luma = self.red * red + (1 - self.red - self.blue) * green + self.blue * blue
        return luma, (blue - luma) / (2 - 2 * self.blue), (red - luma) / (2 - 2 * self.red)

    def to_rgb(self, luma: Levels, blue_difference: Levels, red_difference: Levels) -> Levels:
        red = luma + red_difference * (2 - 2 * self.red)
        blue = luma + blue_difference * (2 - 2 * self.blue)
        green = (luma - self.red * red - self.blue * blue) / (1 - self.red - self.blue)
        return np.stack([red, green, blue], axis=-1)


BT601 = Matrix(0.299, 0.114)
BT709 = Matrix(0.2126, 0.0722)
BT2020 = Matrix(0.2627, 0.0593)


def toned(look: Look, luma: Levels) -> Levels:
    """Luma after exposure, contrast and fade."""
    bright = np.clip(luma, 0, 1) ** (2.0**-look.exposure)
    curve = bright * bright * (3 - 2 * bright)
    contrasted = bright + look.contrast * (curve - bright)
    return np.asarray(look.fade + (1 - 1.3 * look.fade) * contrasted, dtype=np.float32)


def recoloured(look: Look, blue_difference: Levels, red_difference: Levels) -> tuple[Levels, Levels]:
    """The colour differences after saturation and a turn of the hue."""
    cosine = look.saturation * math.cos(math.radians(look.hue))
    sine = look.saturation * math.sin(math.radians(look.hue))
    return (
        cosine * blue_difference - sine * red_difference,
        sine * blue_difference + cosine * red_difference,
    )


def tint(look: Look, luma: Levels, matrix: Matrix) -> tuple[Levels, Levels]:
    """What shadows and lights gain in colour, by luma before toning."""
    blue_gain = np.zeros_like(luma)
    red_gain = np.zeros_like(luma)
    strength = look.tint_strength * (0.0 if look.saturation == 0 else 1.0)
    for colour, weight in (
        (look.shadow_tint, (1 - luma) ** 1.5),
        (look.light_tint, luma * (1 - 0.45 * luma)),
    ):
        if colour is not None:
            _, blue, red = matrix.to_planes(np.asarray(colour, dtype=np.float32) / 255)
            # Unit length, so that a pale tint colours no less than a deep one.
            length = max(float(np.hypot(blue, red)), 0.05)
            blue_gain = blue_gain + strength * weight * (blue / length)
            red_gain = red_gain + strength * weight * (red / length)
    return blue_gain, red_gain


def graded(picture: Image.Image, look: Look) -> Image.Image:
    """The RGB picture with the look's colours."""
    return _through_table(picture, lambda rgb: _grade(look, rgb))


def dyed(picture: Image.Image, colour: Colour, hue: float, depth: float) -> Image.Image:
    """The RGB picture with everything of about this hue and depth (see ``distinct_hue``) in another colour.

    Light and shade stay, and so does what has no hue: porcelain, metal, highlights.
    """
    target_luma, target_blue, target_red = BT601.to_planes(np.asarray(colour, dtype=np.float32) / 255)
    # Moves the middle of the tones towards the colour's own brightness, leaving black and white in place.
    middle = min(max(0.11 + 0.75 * float(target_luma), 0.1), 0.9)
    exponent = math.log(middle) / math.log(0.4)

    def dye(rgb: Levels) -> Levels:
        luma, blue, red = BT601.to_planes(rgb)
        shaded = luma**exponent
        body = 1.15 * np.clip(5 * shaded * (1 - shaded), 0, 1)
        changed = BT601.to_rgb(shaded, target_blue * body, target_red * body)
        away = np.abs((np.arctan2(red, blue) - hue + math.pi) % (2 * math.pi) - math.pi)
        alike = np.clip((0.9 - away) / 0.4, 0, 1)
        own = (alike * np.clip((_depth(luma, blue, red) / depth - 0.3) / 0.3, 0, 1))[..., None]
        return np.asarray(rgb + (changed - rgb) * own, dtype=np.float32)

    return _through_table(picture, dye)


def distinct_hue(picture: Image.Image, mask: Image.Image) -> tuple[float, float]:
    """The hue that sets what is masked apart from the rest, and its usual depth.

    The hue is the angle of the two colour differences in radians, the depth their size against luma.
    """
    size = (96, 96)
    luma, blue, red = BT601.to_planes(np.asarray(picture.resize(size), dtype=np.float32) / 255)
    inside = np.asarray(mask.resize(size), dtype=np.float32) / 255
    outside = np.maximum(1 - inside, 1e-4)
    around_blue, around_red = (float((plane * outside).sum() / outside.sum()) for plane in (blue, red))
    angle, depth = np.arctan2(red, blue), _depth(luma, blue, red)
    # Wood before a beige wall is no more distinct for being deeper; a teal glaze before it is.
    coloured = min(1.0, math.hypot(around_blue, around_red) / 0.03)
    unlike = 1.01 - coloured * (1 + np.cos(angle - math.atan2(around_red, around_blue))) / 2
    weight = inside * unlike * depth * np.hypot(blue - around_blue, red - around_red)
    counts, edges = np.histogram(angle, bins=36, range=(-math.pi, math.pi), weights=weight)
    smooth = counts + 0.7 * (np.roll(counts, 1) + np.roll(counts, -1))
    hue = float(edges[int(smooth.argmax())] + math.pi / 36)
    chosen = weight * (np.abs((angle - hue + math.pi) % (2 * math.pi) - math.pi) < 0.4) + 1e-9
    return hue, max(0.04, float((depth * chosen).sum() / chosen.sum()))


def _depth(luma: Levels, blue: Levels, red: Levels) -> Levels:
    depth: Levels = np.hypot(blue, red) / (luma + 0.15)
    return depth


def _grade(look: Look, rgb: Levels) -> Levels:
    luma, blue, red = BT601.to_planes(rgb)
    blue_gain, red_gain = tint(look, luma, BT601)
    blue, red = recoloured(look, blue, red)
    return BT601.to_rgb(toned(look, luma), blue + blue_gain, red + red_gain)


def _through_table(picture: Image.Image, change: Callable[[Levels], Levels]) -> Image.Image:
    axis = np.linspace(0, 1, _TABLE_SIDE, dtype=np.float32)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red varies fastest, as Pillow wants it
    table = np.clip(change(np.stack([red, green, blue], axis=-1)), 0, 1)
    return picture.filter(ImageFilter.Color3DLUT(_TABLE_SIDE, table.reshape(-1).tolist()))
