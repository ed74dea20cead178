"""Light that lies over a whole picture: vignette, wash, leak. One RGBA layer, the same for pictures and clips."""

import math

import numpy
from PIL import Image

from simulator.rendering.styles import Variation
from simulator.rendering.textures import Levels, bounded, grid, noise, spot
from simulator.rendering.vocabulary import Colour, Look

_LONGEST = 480  # nothing in this layer is finer than a few hundredths of the picture


def light_layer(size: tuple[int, int], look: Look, variation: Variation) -> Image.Image:
    """RGBA at ``size``; to be laid over a graded picture."""
    small = bounded(size, _LONGEST)
    random = numpy.random.default_rng(variation.seed)
    layer = _Layer(small)
    direction = _direction(variation)
    centre = (0.5 + 0.62 * direction[0], 0.5 + 0.62 * direction[1])
    if look.wash is not None:
        horizontal, vertical = grid(small)
        along = (horizontal - 0.5) * direction[0] + (vertical - 0.5) * direction[1]
        layer.lay(look.wash, numpy.clip(0.5 + along, 0, 1) ** 1.6 * look.wash_strength * 1.5)
    if look.vignette:
        layer.lay((4, 5, 10), _rim(small) * look.vignette)
    if look.glow is not None:
        uneven = 0.7 + 0.6 * noise(small, (4, 3), random)
        layer.lay(look.glow, spot(small, centre, 0.42) * uneven * look.glow_strength)
        layer.lay(_lighter(look.glow), spot(small, centre, 0.2) * look.glow_strength * 0.7)
    return layer.picture().resize(size, Image.Resampling.BICUBIC)


def _direction(variation: Variation) -> tuple[float, float]:
    """Towards the light. It comes from the upper half, as light mostly does."""
    angle = math.pi * (1.08 + 0.84 * variation.light)
    return math.cos(angle), math.sin(angle)


def _rim(size: tuple[int, int]) -> Levels:
    horizontal, vertical = grid(size)
    distance = numpy.hypot((horizontal - 0.5) * 2, (vertical - 0.5) * 2) / math.sqrt(2)
    return numpy.clip((distance - 0.42) / 0.58, 0, 1) ** 1.7


def _lighter(colour: Colour) -> Colour:
    red, green, blue = (255 - (255 - component) // 2 for component in colour)
    return red, green, blue


class _Layer:
    """Coloured coverings laid one over the other, kept as one premultiplied layer."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._colour = numpy.zeros((size[1], size[0], 3), dtype=numpy.float32)
        self._cover = numpy.zeros((size[1], size[0]), dtype=numpy.float32)

    def lay(self, colour: Colour, cover: Levels) -> None:
        share = numpy.clip(cover, 0, 0.95).astype(numpy.float32)
        self._colour = (
            self._colour * (1 - share[..., None])
            + numpy.asarray(colour, dtype=numpy.float32) * (share[..., None])
        )
        self._cover = self._cover * (1 - share) + share

    def picture(self) -> Image.Image:
        plain = self._colour / numpy.maximum(self._cover, 1e-4)[..., None]
        levels = numpy.concatenate([plain, 255 * self._cover[..., None]], axis=-1)
        return Image.fromarray(numpy.clip(levels + 0.5, 0, 255).astype(numpy.uint8))
