"""Surroundings for a subject, painted from gradients and noise: no photographs, but recognisable places."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from simulator.rendering.styles import LARGEST_ZOOM_IN, Variation
from simulator.rendering.textures import (
    Levels,
    as_picture,
    bounded,
    grid,
    layered_noise,
    mixed,
    noise,
    ramp,
    spot,
)
from simulator.rendering.vocabulary import Colour, Look

_LONGEST = 900
_Size = tuple[int, int]
_Random = np.random.Generator


def scene_for(size: tuple[int, int], look: Look, variation: Variation) -> Image.Image | None:
    """The look's surroundings as RGB at ``size``, or None where it leaves them alone."""
    if look.scene is None and look.backdrop is None:
        return None
    small = bounded(size, _LONGEST)
    random = np.random.default_rng(variation.seed + 2)
    if look.backdrop is not None:
        levels = _paper(small, look.backdrop, random)
    else:
        levels = _SCENES[look.scene or "studio"](small, random)
    picture = as_picture(levels)
    if variation.layout % 2:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # Nearer or farther, so that one prompt's pictures look from several places.
    left, top = (round(side * 0.22 * (variation.zoom - 1) / LARGEST_ZOOM_IN) for side in small)
    nearer = picture.crop((left, top, small[0] - left, small[1]))
    return nearer.resize(size, Image.Resampling.BICUBIC)


def _paper(size: _Size, colour: Colour, random: _Random) -> Levels:
    darker: Colour = (int(colour[0] * 0.72), int(colour[1] * 0.72), int(colour[2] * 0.74))
    base = ramp(size, ((0.0, colour), (0.62, colour), (0.72, darker), (1.0, colour)))
    base = mixed(base, (255, 255, 255), spot(size, (float(random.uniform(0.3, 0.7)), 0.3), 0.45) * 0.28)
    return mixed(base, (0, 0, 0), (1 - spot(size, (0.5, 0.45), 0.75)) * 0.3)


def _studio(size: _Size, random: _Random) -> Levels:
    return _paper(size, (232, 231, 229), random)


def _marble(size: _Size, random: _Random) -> Levels:
    horizontal, vertical = grid(size)
    warp = layered_noise(size, (3, 3), random)
    lean = float(random.uniform(0.6, 1.4))
    veins = np.abs(np.sin(7 * (horizontal * lean + vertical) + 9 * warp))
    fine = np.abs(np.sin(17 * (horizontal - vertical * lean) + 14 * layered_noise(size, (4, 4), random)))
    base = np.ones((size[1], size[0], 3), dtype=np.float32) * np.asarray([0.945, 0.94, 0.93], np.float32)
    base = mixed(base, (206, 206, 210), layered_noise(size, (5, 4), random) * 0.55)
    base = mixed(base, (128, 128, 136), np.clip(1 - veins * 7, 0, 1) * 0.55 * noise(size, (6, 5), random))
    base = mixed(base, (186, 160, 118), np.clip(1 - fine * 14, 0, 1) * 0.4)
    return mixed(base, (70, 70, 80), np.clip(vertical - 0.25, 0, 1) * 0.16)


def _wood(size: _Size, random: _Random) -> Levels:
    _, vertical = grid(size)
    grain = layered_noise(size, (3, 60), random, octaves=3)
    rings = 0.5 + 0.5 * np.sin(40 * vertical + 16 * noise(size, (2, 8), random))
    base = ramp(size, ((0.0, (112, 70, 42)), (1.0, (172, 114, 70))))
    base = mixed(base, (70, 40, 24), grain * 0.6)
    base = mixed(base, (214, 160, 104), rings * 0.22)
    plank = (vertical * 5) % 1
    return mixed(base, (30, 16, 10), np.clip(1 - np.minimum(plank, 1 - plank) * 90, 0, 1) * 0.8)


def _stone(size: _Size, random: _Random) -> Levels:
    speckle = layered_noise(size, (12, 12), random, octaves=5)
    base = ramp(
        size,
        ((0.0, (196, 192, 184)), (0.55, (214, 208, 198)), (0.6, (150, 144, 136)), (1.0, (186, 180, 170))),
    )
    base = mixed(base, (92, 88, 84), np.clip(speckle - 0.35, 0, 1) * 0.9)
    return mixed(base, (255, 250, 236), spot(size, (0.25, 0.15), 0.5) * 0.4)


def _beach(size: _Size, random: _Random) -> Levels:
    base = ramp(
        size,
        ((0.0, (96, 178, 232)), (0.4, (204, 232, 244)), (0.43, (52, 152, 186)), (0.6, (96, 204, 206)),
         (0.645, (240, 250, 248)), (0.66, (222, 200, 160)), (1.0, (242, 222, 184))),
    )  # fmt: skip
    _, vertical = grid(size)
    clouds = np.clip(layered_noise(size, (4, 9), random) - 0.5, 0, 1) * 2.2 * (vertical < 0.42)
    base = mixed(base, (255, 255, 255), clouds * np.clip(1 - vertical / 0.42, 0, 1))
    waves = np.clip(layered_noise(size, (6, 90), random, octaves=2) - 0.55, 0, 1) * 2.4
    base = mixed(base, (255, 255, 255), waves * ((vertical > 0.43) & (vertical < 0.645)))
    sand = layered_noise(size, (20, 30), random)
    base = mixed(base, (180, 150, 108), np.clip(sand - 0.45, 0, 1) * 0.7 * (vertical > 0.66))
    return mixed(base, (255, 248, 216), spot(size, (0.8, 0.1), 0.3) * 0.7)


def _forest(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (132, 176, 96)), (0.5, (46, 96, 52)), (1.0, (22, 48, 28))))
    base = mixed(base, (16, 40, 24), layered_noise(size, (5, 4), random) * 0.75)
    horizontal, _ = grid(size)
    for _ in range(7):
        middle, half = float(random.uniform(0, 1)), float(random.uniform(0.006, 0.028))
        base = mixed(base, (26, 30, 20), np.clip(1.6 - np.abs(horizontal - middle) / half, 0, 1) * 0.55)
    base = _discs(
        base,
        random,
        ((206, 236, 132), (160, 212, 110), (246, 250, 190)),
        count=46,
        radius=0.034,
        strength=0.4,
    )
    return mixed(base, (248, 255, 200), spot(size, (0.7, 0.0), 0.4) * 0.55)


def _mountains(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (104, 156, 212)), (0.5, (226, 232, 238)), (1.0, (240, 226, 210))))
    _, vertical = grid(size)
    for height, swing, tone in (
        (0.42, 0.30, (150, 172, 200)), (0.56, 0.24, (104, 130, 160)),
        (0.70, 0.18, (62, 92, 100)), (0.84, 0.12, (38, 62, 56)),
    ):  # fmt: skip
        ridge = height - swing * (layered_noise((size[0], 2), (4, 2), random, octaves=6)[0] - 0.5)
        base = mixed(base, tone, np.clip((vertical - ridge[None, :]) * size[1] / 2, 0, 1))
        base = mixed(base, (236, 240, 244), np.clip(1 - np.abs(vertical - height - 0.1) / 0.1, 0, 1) * 0.16)
    return base


def _dunes(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (104, 170, 214)), (0.45, (248, 222, 184)), (1.0, (226, 164, 100))))
    _, vertical = grid(size)
    for height, swing, tone in (
        (0.5, 0.2, (232, 176, 116)),
        (0.64, 0.24, (214, 146, 84)),
        (0.82, 0.2, (184, 112, 62)),
    ):
        ridge = height - swing * (noise((size[0], 2), (4, 2), random)[0] - 0.5)
        base = mixed(base, tone, np.clip((vertical - ridge[None, :]) * size[1] / 3, 0, 1))
        base = mixed(
            base,
            (255, 226, 176),
            np.clip(1 - (vertical - ridge[None, :]) / 0.1, 0, 1) * (vertical > ridge) * 0.5,
        )
    return base


def _sunset(size: _Size, random: _Random) -> Levels:
    base = ramp(
        size,
        (
            (0.0, (66, 52, 122)),
            (0.35, (214, 96, 110)),
            (0.62, (255, 182, 98)),
            (0.64, (112, 62, 96)),
            (1.0, (58, 36, 74)),
        ),
    )
    _, vertical = grid(size)
    streaks = np.clip(layered_noise(size, (3, 26), random) - 0.48, 0, 1) * 2.6
    base = mixed(base, (255, 150, 120), streaks * (vertical < 0.62) * 0.7)
    sun = (float(random.uniform(0.25, 0.75)), 0.57)
    base = mixed(base, (255, 224, 150), spot(size, sun, 0.22) * 0.8)
    return mixed(base, (255, 206, 140), spot(size, (sun[0], 0.78), 0.14) * (vertical > 0.64) * 0.7)


def _night(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (8, 12, 36)), (0.6, (28, 42, 92)), (1.0, (12, 16, 38))))
    base = mixed(base, (70, 84, 160), np.clip(layered_noise(size, (4, 3), random) - 0.42, 0, 1) * 1.3)
    return mixed(base, (200, 216, 255), spot(size, (0.78, 0.18), 0.1) * 0.8)


def _city(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (20, 26, 56)), (0.55, (58, 48, 84)), (1.0, (16, 18, 32))))
    horizontal, vertical = grid(size)
    left = 0.0
    while left < 1:
        width, top = float(random.uniform(0.05, 0.14)), float(random.uniform(0.12, 0.5))
        inside = (horizontal >= left) & (horizontal < left + width) & (vertical > top)
        base = mixed(base, (18, 22, 44), inside.astype(np.float32) * 0.7)
        left += width
    tones = ((255, 190, 104), (255, 226, 170), (110, 190, 255), (255, 110, 120))
    return _discs(base, random, tones, count=70, radius=0.026, strength=0.75)


def _interior(size: _Size, random: _Random) -> Levels:
    base = ramp(
        size, ((0.0, (110, 78, 56)), (0.6, (176, 128, 88)), (0.66, (92, 58, 38)), (1.0, (142, 92, 60)))
    )
    base = mixed(base, (62, 40, 30), layered_noise(size, (5, 4), random) * 0.5)
    base = mixed(base, (255, 236, 200), spot(size, (0.15, 0.3), 0.3) * 0.75)
    return _discs(base, random, ((255, 206, 130), (255, 232, 190)), count=20, radius=0.04, strength=0.55)


def _neon(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (18, 8, 44)), (0.7, (34, 10, 66)), (1.0, (10, 6, 26))))
    base = mixed(base, (255, 30, 170), spot(size, (0.05, 0.35), 0.42) * 0.85)
    base = mixed(base, (0, 196, 255), spot(size, (0.95, 0.55), 0.42) * 0.8)
    _, vertical = grid(size)
    for height in (0.2, 0.32, 0.44):
        line = np.exp(-(((vertical - height) / 0.006) ** 2))
        base = mixed(base, (255, 120, 230) if height < 0.3 else (120, 240, 255), line * 0.75)
    return mixed(base, (255, 255, 255), layered_noise(size, (8, 8), random) * 0.05)


def _snow(size: _Size, random: _Random) -> Levels:
    base = ramp(size, ((0.0, (158, 190, 222)), (0.5, (226, 234, 244)), (1.0, (250, 252, 255))))
    _, vertical = grid(size)
    for height, tone in ((0.5, (196, 212, 230)), (0.66, (226, 234, 244)), (0.82, (248, 250, 253))):
        ridge = height - 0.14 * (noise((size[0], 2), (4, 2), random)[0] - 0.5)
        base = mixed(base, tone, np.clip((vertical - ridge[None, :]) * size[1] / 4, 0, 1))
    return base


def _discs(
    base: Levels, random: _Random, tones: tuple[Colour, ...], *, count: int, radius: float, strength: float
) -> Levels:
    """Lights out of focus; ``radius`` is the largest one's, as a share of the longer side."""
    size = (base.shape[1], base.shape[0])
    longest = max(size)
    lights = Image.fromarray((np.clip(base, 0, 1) * 255).astype(np.uint8))
    disc = Image.new("L", (128, 128), 0)
    ImageDraw.Draw(disc).ellipse((2, 2, 125, 125), fill=255)
    for index in range(count):
        x, y = float(random.uniform(0, size[0])), float(random.uniform(0, 0.75 * size[1]))
        reach = max(2, round(radius * float(random.uniform(0.35, 1.0)) * longest))
        cover = round(255 * strength * float(random.uniform(0.25, 1.0)))
        mask = disc.resize((2 * reach, 2 * reach), Image.Resampling.BILINEAR)
        shade = mask.point([level * cover // 255 for level in range(256)])
        lights.paste(tones[index % len(tones)], (round(x) - reach, round(y) - reach), shade)
    soft = lights.filter(ImageFilter.GaussianBlur(longest / 450))
    return np.asarray(soft, dtype=np.float32) / 255


_SCENES: dict[str, Callable[[_Size, _Random], Levels]] = {
    "studio": _studio,
    "marble": _marble,
    "wood": _wood,
    "stone": _stone,
    "beach": _beach,
    "forest": _forest,
    "mountains": _mountains,
    "dunes": _dunes,
    "sunset": _sunset,
    "night": _night,
    "city": _city,
    "interior": _interior,
    "neon": _neon,
    "snow": _snow,
}
