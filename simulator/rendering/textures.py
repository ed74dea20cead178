"""Building stones for light and scenery: noise, gradients and discs, as numpy arrays in 0…1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simulator.rendering.vocabulary import Colour

Levels = NDArray[np.floating[Any]]


def noise(size: tuple[int, int], cells: tuple[int, int], random: np.random.Generator) -> Levels:
    """Smooth random heights over ``size`` (width, height), with about ``cells`` bumps across and down."""
    coarse = Image.fromarray(random.random((max(2, cells[1]), max(2, cells[0])), dtype=np.float32))
    return np.clip(np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.float32), 0, 1)


def layered_noise(
    size: tuple[int, int], cells: tuple[int, int], random: np.random.Generator, octaves: int = 4
) -> Levels:
    """Noise of several scales, each twice as fine and half as strong as the one before."""
    total = np.zeros((size[1], size[0]), dtype=np.float32)
    for octave in range(octaves):
        total += noise(size, (cells[0] * 2**octave, cells[1] * 2**octave), random) / 2**octave
    return total / (2 - 0.5 ** (octaves - 1))


def grid(size: tuple[int, int]) -> tuple[Levels, Levels]:
    """Each pixel's place as shares of width and height."""
    across = np.linspace(0, 1, size[0], dtype=np.float32)
    down = np.linspace(0, 1, size[1], dtype=np.float32)
    horizontal, vertical = np.meshgrid(across, down)
    return horizontal, vertical


def ramp(size: tuple[int, int], stops: tuple[tuple[float, Colour], ...]) -> Levels:
    """A vertical gradient through these (height share, colour) stops, as height x width x 3."""
    down = np.linspace(0, 1, size[1], dtype=np.float32)
    places = [place for place, _ in stops]
    channels = [
        np.interp(down, places, [colour[channel] / 255 for _, colour in stops]) for channel in range(3)
    ]
    column = np.stack(channels, axis=-1).astype(np.float32)
    return np.repeat(column[:, None, :], size[0], axis=1)


def spot(size: tuple[int, int], centre: tuple[float, float], radius: float) -> Levels:
    """A round fall-off from 1 at ``centre`` (shares); ``radius`` is a share of the longer side."""
    width, height = size
    horizontal, vertical = grid(size)
    longest = max(size)
    distance = np.hypot((horizontal - centre[0]) * width / longest, (vertical - centre[1]) * height / longest)
    return np.exp(-((distance / radius) ** 2)).astype(np.float32)


def mixed(base: Levels, colour: Colour, weight: Levels | float) -> Levels:
    """``base`` (height x width x 3) moved towards a colour by ``weight`` (height x width, or one number)."""
    share = weight[..., None] if isinstance(weight, np.ndarray) else weight
    paint = np.asarray(colour, dtype=np.float32) / 255
    return np.asarray(base + (paint - base) * share, dtype=np.float32)


def as_picture(levels: Levels) -> Image.Image:
    """RGB from height x width x 3 levels."""
    return Image.fromarray((np.clip(levels, 0, 1) * 255 + 0.5).astype(np.uint8))


def as_mask(levels: Levels) -> Image.Image:
    return Image.fromarray((np.clip(levels, 0, 1) * 255 + 0.5).astype(np.uint8))


def bounded(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The same shape with no side above ``longest``: soft things are drawn small and enlarged."""
    factor = min(1.0, longest / max(size))
    return max(2, round(size[0] * factor)), max(2, round(size[1] * factor))
