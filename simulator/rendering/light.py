"""Light over a whole picture: vignette, wash, leak. One RGBA layer, the same for pictures and clips."""

import math

import numpy as np
from PIL import Image

from simulator.rendering.styles import Variation
from simulator.rendering.textures import Levels, bounded, grid, noise, spot
from simulator.rendering.vocabulary import Colour, Look

_LONGEST = 480  # nothing in this layer is finer than a few hundredths of the picture


def light_layer(size: tuple[int, int], look: Look, variation: Variation) -> Image.Image:
    """RGBA at ``size``; to be laid over a graded picture."""
    small = bounded(size, _LONGEST)
    random = np.random.default_rng(variation.seed)
    layer = _Layer(small)
    direction = _direction(variation)
    centre = (0.5 + 0.62 * direction[0], 0.5 + 0.62 * direction[1])
    if look.wash is not None:
        horizontal, vertical = grid(small)
        along = (horizontal - 0.5) * direction[0] + (vertical - 0.5) * direction[1]
        layer.lay(look.wash, np.clip(0.5 + along, 0, 1) ** 1.6 * look.wash_strength * 1.5)
    if look.vignette:
        layer.lay((4, 5, 10), _rim(small) * look.vignette)
    if look.glow is not None:
        # Uneven, as leaks are, and held back in the middle, where the subject stands.
        uneven = (0.7 + 0.6 * noise(small, (4, 3), random)) * (1 - 0.6 * spot(small, (0.5, 0.5), 0.3))
        layer.lay(look.glow, spot(small, centre, 0.4) * uneven * look.glow_strength)
        layer.lay(_lighter(look.glow), spot(small, centre, 0.2) * look.glow_strength * 0.7)
    return layer.picture().resize(size, Image.Resampling.BICUBIC)


def _direction(variation: Variation) -> tuple[float, float]:
    """Towards the light. It comes from the upper half, as light mostly does."""
    angle = math.pi * (1.08 + 0.84 * variation.light)
    return math.cos(angle), math.sin(angle)


def _rim(size: tuple[int, int]) -> Levels:
    horizontal, vertical = grid(size)
    distance = np.hypot((horizontal - 0.5) * 2, (vertical - 0.5) * 2) / math.sqrt(2)
    rim: Levels = np.clip((distance - 0.42) / 0.58, 0, 1) ** 1.7
    return rim


def _lighter(colour: Colour) -> Colour:
    red, green, blue = (255 - (255 - component) // 2 for component in colour)
    return red, green, blue


class _Layer:
    """Coloured coverings laid one over the other, kept as one premultiplied layer."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._colour = np.zeros((size[1], size[0], 3), dtype=np.float32)
        self._cover = np.zeros((size[1], size[0]), dtype=np.float32)

    def lay(self, colour: Colour, cover: Levels) -> None:
        share = np.clip(cover, 0, 0.95).astype(np.float32)
        self._colour = (
            self._colour * (1 - share[..., None]) + np.asarray(colour, dtype=np.float32) * (share[..., None])
        )
        self._cover = self._cover * (1 - share) + share

    def picture(self) -> Image.Image:
        plain = self._colour / np.maximum(self._cover, 1e-4)[..., None]
        levels = np.concatenate([plain, 255 * self._cover[..., None]], axis=-1)
        return Image.fromarray(np.clip(levels + 0.5, 0, 255).astype(np.uint8))
