"""From linear light to a finished picture: smoothing, glow, film curve, grain."""

import numpy as np
from numpy.typing import NDArray

from data.studio.geometry import Array
from data.studio.tracer import Layers

_SPEED = 0.72  # how sensitive the film is
_RING = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def _views(image: Array, reach: int) -> list[Array]:
    """The image as seen ``reach`` pixels away in each direction of the ring; its edge is repeated."""
    height, width = image.shape[-2:]
    margins = [(0, 0)] * (image.ndim - 2) + [(reach, reach), (reach, reach)]
    wide = np.pad(image, margins, mode="edge")
    return [
        wide[..., reach * (1 + down) :, reach * (1 + across) :][..., :height, :width]
        for down, across in _RING
    ]


def smooth(light: Array, variance: Array, layers: Layers, passes: int, patience: float) -> Array:
    """Edge-avoiding wavelets: average what lies on the same surface and differs by no more than noise.

    ``variance`` (height, width) is that of each pixel's brightness; ``patience`` is in standard deviations.
    Shadow edges therefore stay where they are clear, and noise goes where it is noise.
    """
    guide_n, guide_d = layers.normal, layers.depth
    # A lone pixel brighter or darker than all around it is a stray path, not a detail.
    around = _views(light, 1)
    light = np.clip(light, np.minimum.reduce(around), np.maximum.reduce(around))
    grey = light.mean(axis=0)
    # Few samples know little of their own scatter; that of the neighbourhood is a second witness.
    scatter = np.maximum(blurred(grey * grey, 1) - blurred(grey, 1) ** 2, 0)
    variance = np.maximum(blurred(variance, 3), np.minimum(scatter * 0.3, variance + 0.02))
    for number in range(passes):
        reach = 2**number
        grey = light.mean(axis=0)
        tolerance = 1 / (np.float32(patience) * np.sqrt(np.maximum(variance, 0)) + 0.004 + 0.004 * grey)
        total, spread, weights = light.copy(), variance.copy(), np.ones_like(grey)
        depth_scale = 1 / (np.float32(0.02 * reach**0.5) * guide_d)
        seen = zip(
            _RING, *(_views(image, reach) for image in (light, grey, variance, guide_n, guide_d)), strict=True
        )
        for (down, across), there, there_grey, there_variance, there_n, there_d in seen:
            turned = guide_n[0] * there_n[0] + guide_n[1] * there_n[1] + guide_n[2] * there_n[2]
            exponent = np.abs(there_d - guide_d) * depth_scale
            if number:
                # Not the first ring: neighbours were sampled to complete each other.
                exponent += np.abs(there_grey - grey) * tolerance
            weight = np.exp(-exponent)
            turned = np.maximum(turned, 0)
            turned *= turned
            turned *= turned
            turned *= turned
            weight *= turned * turned * turned
            weight *= np.float32(0.5 if down == 0 or across == 0 else 0.25)
            total += there * weight
            weights += weight
            weight *= weight
            spread += there_variance * weight
        light = total / weights
        if number == 0:
            # On an outline a pixel belongs to no surface and finds no like: it takes what is next to it.
            alone = np.clip(2 - weights, 0, 1)
            light += (sum(around) / len(around) - light) * alone
        variance = spread / (weights * weights)
    return light


def blurred(image: Array, radius: float) -> Array:
    """Three box blurs a direction: near enough a Gaussian, at a cost that does not grow with ``radius``."""
    size = max(1, round(radius))
    for axis in (-1, -2):
        for _ in range(3):
            padding = [(0, 0)] * image.ndim
            padding[axis] = (size + 1, size)
            sums = np.cumsum(np.pad(image, padding, mode="edge"), axis=axis, dtype=np.float64)
            length = image.shape[axis]
            upper = np.take(sums, np.arange(2 * size + 1, 2 * size + 1 + length), axis=axis)
            lower = np.take(sums, np.arange(length), axis=axis)
            image = ((upper - lower) / (2 * size + 1)).astype(np.float32)
    return image


def combine(layers: Layers, *, passes: int = 5, patience: float = 4.5) -> Array:
    """Smoothed diffuse light on the surfaces' own colour, plus reflections: linear, (3, height, width)."""
    colour: Array = np.maximum(layers.albedo, np.float32(0.01))
    noise = layers.diffuse_variance / np.maximum(colour.mean(axis=0) ** 2, 1e-4)
    light = smooth(layers.diffuse / colour, noise, layers, passes, patience) * colour
    return light + smooth(layers.mirror, layers.mirror_variance, layers, passes - 2, patience * 0.6)


def film(
    light: Array, *, exposure: float = 1.0, glow: float = 0.06, grain: float = 0.008, seed: int = 3
) -> NDArray[np.uint8]:
    """Glow of the highlights, a film's curve, sRGB, a little grain: bytes of shape (height, width, 3)."""
    light = light * np.float32(exposure * _SPEED)
    height, width = light.shape[-2:]
    halo = blurred(np.maximum(light - 0.9, 0), width / 90) + blurred(np.maximum(light - 0.9, 0), width / 30)
    light = light + halo * np.float32(glow)
    # A filmic shoulder: linear in the shadows, highlights roll off towards white.
    mapped = np.clip(light * (light * 2.35 + 0.16) / (light * (light * 2.25 + 0.80) + 0.20), 0, 1)
    # A curve for each colour alone makes bright colours shrill; half of that is taken back.
    grey = mapped.mean(axis=0)
    mapped = grey + (mapped - grey) * np.float32(0.88)
    coded = np.where(mapped < 0.0031308, mapped * 12.92, 1.055 * mapped ** (1 / 2.4) - 0.055)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    coded = coded * (1 - 0.07 * (x * x + y * y) ** 1.3)
    noise = np.random.default_rng(seed).normal(0, grain, (height, width)).astype(np.float32)
    coded += noise * (1.1 - coded.mean(axis=0))
    pixels: NDArray[np.uint8] = (np.clip(coded, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    return pixels
