"""What falls, floats or sparkles before a picture, as RGBA layers that repeat seamlessly in both directions.

Layers that repeat can be pushed along from frame to frame without an edge coming into sight.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from simulator.rendering.styles import Variation
from simulator.rendering.textures import as_mask, bounded, layered_noise
from simulator.rendering.vocabulary import Colour, Look

_LONGEST = 1400


@dataclass(frozen=True)
class ParticleLayer:
    """``drift`` is the movement across and down in picture heights a second."""

    picture: Image.Image
    drift: tuple[float, float]


def particle_layers(size: tuple[int, int], look: Look, variation: Variation) -> list[ParticleLayer]:
    """RGBA layers at ``size``, the far ones first; empty where the look has none."""
    if look.particles is None:
        return []
    small = bounded(size, _LONGEST)
    random = np.random.default_rng(variation.seed + 1)
    drawn = _KINDS[look.particles](small, random, look.glow or variation.accent)
    return [
        ParticleLayer(layer.picture.resize(size, Image.Resampling.BICUBIC), layer.drift) for layer in drawn
    ]


class _Canvas:
    """A transparent layer that draws everything near an edge at the opposite edge too."""

    def __init__(self, size: tuple[int, int], tone: Colour) -> None:
        self.size = size
        self.unit = min(size) / 100
        self._picture = Image.new("RGBA", size, (*tone, 0))
        self._drawing = ImageDraw.Draw(self._picture)

    def polygon(self, points: list[tuple[float, float]], fill: tuple[int, int, int, int]) -> None:
        width, height = self.size
        for across in (-width, 0, width):
            for down in (-height, 0, height):
                moved = [(x + across, y + down) for x, y in points]
                if all(x < 0 for x, _ in moved) or all(x > width for x, _ in moved):
                    continue
                if all(y < 0 for _, y in moved) or all(y > height for _, y in moved):
                    continue
                self._drawing.polygon(moved, fill=fill)

    def oval(
        self,
        x: float,
        y: float,
        radius: float,
        fill: tuple[int, int, int, int],
        *,
        flat: float = 1.0,
        turn: float = 0.0,
    ) -> None:
        points = []
        for step in range(28):
            angle = 2 * math.pi * step / 28
            along, aside = radius * math.cos(angle), radius * flat * math.sin(angle)
            points.append(
                (
                    x + along * math.cos(turn) - aside * math.sin(turn),
                    y + along * math.sin(turn) + aside * math.cos(turn),
                )
            )
        self.polygon(points, fill)

    def done(self, blur: float, drift: tuple[float, float]) -> ParticleLayer:
        """Blurred with wrapped edges, so that the layer still repeats."""
        if blur <= 0:
            return ParticleLayer(self._picture, drift)
        margin = math.ceil(blur * 3)
        tiled = Image.fromarray(
            np.pad(np.asarray(self._picture), ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
        )
        soft = tiled.filter(ImageFilter.GaussianBlur(blur))
        return ParticleLayer(soft.crop((margin, margin, margin + self.size[0], margin + self.size[1])), drift)


_Size = tuple[int, int]
_Random = np.random.Generator


def _place(canvas: _Canvas, random: _Random) -> tuple[float, float]:
    return float(random.uniform(0, canvas.size[0])), float(random.uniform(0, canvas.size[1]))


def _crowd(canvas: _Canvas, density: float) -> int:
    """How many things, for a density given per square of the shorter side."""
    return max(1, round(density * max(canvas.size) / min(canvas.size)))


def _snow(size: _Size, random: _Random, _accent: Colour) -> list[ParticleLayer]:
    layers = []
    for density, largest, blur, alpha, drift in (
        (190, 0.42, 0.12, 190, (0.015, 0.10)),
        (70, 0.85, 0.3, 215, (0.03, 0.17)),
        (12, 2.3, 1.0, 175, (0.05, 0.28)),
    ):
        canvas = _Canvas(size, (250, 252, 255))
        for _ in range(_crowd(canvas, density)):
            x, y = _place(canvas, random)
            radius = canvas.unit * largest * float(random.uniform(0.5, 1.0))
            canvas.oval(x, y, radius, (250, 252, 255, int(alpha * random.uniform(0.5, 1))))
        layers.append(canvas.done(canvas.unit * blur, drift))
    return layers


def _rain(size: _Size, random: _Random, _accent: Colour) -> list[ParticleLayer]:
    layers = []
    for density, length, thickness, alpha, drift in (
        (190, 5.0, 0.10, 80, (-0.12, 0.9)),
        (80, 9.0, 0.11, 105, (-0.2, 1.5)),
    ):
        canvas = _Canvas(size, (214, 226, 240))
        for _ in range(_crowd(canvas, density)):
            x, y = _place(canvas, random)
            run = canvas.unit * length * float(random.uniform(0.6, 1))
            lean, half = -0.13 * run, canvas.unit * thickness
            fill = (214, 226, 240, int(alpha * random.uniform(0.5, 1)))
            canvas.polygon(
                [(x - half, y), (x + half, y), (x + lean + half, y + run), (x + lean - half, y + run)], fill
            )
        layers.append(canvas.done(canvas.unit * 0.09, drift))
    return layers


def _bokeh(size: _Size, random: _Random, accent: Colour) -> list[ParticleLayer]:
    tones = ((255, 206, 130), (255, 236, 200), accent)
    layers = []
    for density, largest, blur, alpha, drift in (
        (16, 4.2, 0.35, 70, (0.012, -0.012)),
        (8, 7.5, 0.8, 52, (-0.02, -0.02)),
    ):
        canvas = _Canvas(size, tones[0])
        for index in range(_crowd(canvas, density)):
            x, y = _place(canvas, random)
            radius = canvas.unit * largest * float(random.uniform(0.45, 1.0))
            tone, strength = tones[index % 3], float(random.uniform(0.5, 1.0))
            # A bright rim with a fainter inside, as lenses draw discs.
            canvas.oval(x, y, radius, (*tone, int(alpha * 1.7 * strength)))
            canvas.oval(x, y, radius * 0.9, (*tone, int(alpha * strength)))
        layers.append(canvas.done(canvas.unit * blur, drift))
    return layers


def _stars(size: _Size, random: _Random, _accent: Colour) -> list[ParticleLayer]:
    canvas = _Canvas(size, (236, 242, 255))
    for _ in range(_crowd(canvas, 80)):
        x, y = _place(canvas, random)
        y *= 0.55 * float(random.uniform(0.2, 1.0))
        radius = canvas.unit * float(random.choice([0.12, 0.16, 0.22, 0.34]))
        canvas.oval(x, y, radius, (236, 242, 255, int(random.uniform(90, 235))))
    return [canvas.done(canvas.unit * 0.06, (0.0, 0.0))]


def _sparkles(size: _Size, random: _Random, accent: Colour) -> list[ParticleLayer]:
    canvas = _Canvas(size, (255, 244, 214))
    for _ in range(_crowd(canvas, 22)):
        x, y = _place(canvas, random)
        long, short = canvas.unit * float(random.uniform(0.9, 2.9)), canvas.unit * 0.16
        fill = (255, 246, 220, int(random.uniform(150, 245)))
        points = []
        for step in range(8):
            reach, angle = (long if step % 2 == 0 else short), math.pi * step / 4
            points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
        canvas.polygon(points, fill)
    for _ in range(_crowd(canvas, 60)):
        x, y = _place(canvas, random)
        canvas.oval(
            x, y, canvas.unit * float(random.uniform(0.12, 0.4)), (*accent, int(random.uniform(60, 160)))
        )
    return [canvas.done(canvas.unit * 0.1, (0.01, -0.02))]


def _confetti(
    tones: tuple[Colour, ...], flat: float
) -> Callable[[_Size, _Random, Colour], list[ParticleLayer]]:
    def draw(size: _Size, random: _Random, _accent: Colour) -> list[ParticleLayer]:
        layers = []
        for density, largest, blur, alpha, drift in (
            (20, 1.5, 0.18, 220, (0.05, 0.09)),
            (6, 3.4, 0.9, 200, (0.09, 0.16)),
        ):
            canvas = _Canvas(size, tones[0])
            for index in range(_crowd(canvas, density)):
                x, y = _place(canvas, random)
                radius = canvas.unit * largest * float(random.uniform(0.5, 1.0))
                fill = (*tones[index % len(tones)], int(alpha * random.uniform(0.7, 1)))
                canvas.oval(x, y, radius, fill, flat=flat, turn=float(random.uniform(0, math.pi)))
            layers.append(canvas.done(canvas.unit * blur, drift))
        return layers

    return draw


def _bubbles(size: _Size, random: _Random, _accent: Colour) -> list[ParticleLayer]:
    canvas = _Canvas(size, (220, 246, 255))
    for _ in range(_crowd(canvas, 46)):
        x, y = _place(canvas, random)
        radius = canvas.unit * float(random.uniform(0.3, 1.7))
        canvas.oval(x, y, radius, (226, 250, 255, 130))
        canvas.oval(x, y, radius * 0.8, (140, 214, 236, 50))
        canvas.oval(x - radius * 0.35, y - radius * 0.35, radius * 0.2, (255, 255, 255, 220))
    return [canvas.done(canvas.unit * 0.1, (0.0, -0.12))]


def _mist(size: _Size, random: _Random, _accent: Colour) -> list[ParticleLayer]:
    drift = layered_noise(size, (3, 4), random, octaves=3)
    # Half of it mirrored beside itself repeats without a seam.
    left = drift[:, ::2][:, : size[0] // 2]
    wrapped = np.concatenate([left, left[:, ::-1]], axis=1)
    if wrapped.shape[1] < size[0]:
        wrapped = np.concatenate([wrapped, wrapped[:, -1:]], axis=1)
    height = np.linspace(0.35, 1.0, size[1], dtype=np.float32)[:, None]
    layer = Image.new("RGBA", size, (236, 240, 244, 0))
    layer.putalpha(as_mask(np.clip((wrapped - 0.38) * 2.1, 0, 0.62) * height))
    return [ParticleLayer(layer, (0.04, 0.0))]


_KINDS: dict[str, Callable[[_Size, _Random, Colour], list[ParticleLayer]]] = {
    "snow": _snow,
    "rain": _rain,
    "bokeh": _bokeh,
    "stars": _stars,
    "sparkles": _sparkles,
    "petals": _confetti(((255, 206, 220), (255, 228, 236), (246, 176, 200)), 0.55),
    "leaves": _confetti(((206, 112, 40), (176, 62, 34), (226, 164, 58)), 0.45),
    "bubbles": _bubbles,
    "mist": _mist,
}
