"""The portrait's sitter: a figure of soft shapes with a painted face, in a knitted jumper, holding the mug.

The head's own space starts at the top of the neck; the jumper and the hands stand in the scene's space.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data.studio.geometry import Array, Body, Surface, Table, blend, capsule, curve, ellipsoid, turn, unit
from data.studio.light import Triple, row3
from data.studio.looks import Look, mix, rgb
from data.studio.noise import cloudy, smooth, step

_NECK: Triple = (0.0, 36.5, 0.3)
_FACE = (-8.0, 0.0, 16.0)  # left, bottom and size of the painted square, in the head's space
_PAINT = 640
# The loose strand beside the face, from the temple to its tip.
_LOCK: tuple[Triple, ...] = (
    (7.2, 12.8, 5.6),
    (8.0, 10.6, 5.0),
    (8.35, 8.2, 4.6),
    (8.3, 5.8, 4.5),
    (7.9, 3.6, 4.8),
    (7.5, 2.0, 5.4),
    (7.7, 0.9, 5.9),
)


def _strokes(lines: list[tuple[list[tuple[float, float]], float]], soft: float = 0.8) -> Table:
    """Lines of the face, each with its width in cm, as 0..1 over the painted square."""
    scale = _PAINT / _FACE[2]
    image = Image.new("L", (_PAINT, _PAINT), 0)
    draw = ImageDraw.Draw(image)
    for points, width in lines:
        path = curve(points, 24)
        # Strokes thin out towards their ends, as a brush leaves them.
        for (x, y), along in zip(path, np.linspace(0, 1, len(path)), strict=True):
            radius = scale * width / 2 * (0.45 + 0.55 * float(np.sin(np.pi * along)) ** 0.5)
            cx, cy = (x - _FACE[0]) * scale, (y - _FACE[1]) * scale
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=255)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(soft)), dtype=np.float32) * np.float32(1 / 255)
    table = Table((_FACE[0], _FACE[1]), (_FACE[0] + _FACE[2], _FACE[1] + _FACE[2]), _PAINT - 2)
    table.values = np.ascontiguousarray(pixels[: table.rows, : table.columns]).ravel()
    return table


def _both(line: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    return [line, [(-x, y) for x, y in line]]


def _skin(paint: bool) -> Look:
    base, rose, ink, lips = (row3(rgb(code)) for code in ("e2b092", "d0644f", "2a1710", "a8463f"))
    lids = _both([(1.65, 8.75), (2.2, 8.15), (3.2, 7.85), (4.2, 8.1), (4.9, 8.75)])
    lashes = [
        *_both([(4.55, 8.35), (5.0, 8.1), (5.35, 8.05)]),
        *_both([(4.1, 8.05), (4.45, 7.7), (4.75, 7.6)]),
    ]
    lash_table = _strokes([(line, 0.34) for line in lids] + [(line, 0.2) for line in lashes])
    brows = _strokes(
        [(line, 0.55) for line in _both([(1.6, 10.9), (3.0, 11.5), (4.5, 11.3), (5.4, 10.6)])], 3
    )
    mouth = _strokes([([(-2.0, 4.05), (-1.1, 3.35), (0, 3.1), (1.1, 3.35), (2.0, 4.05)], 0.36)])

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        colour = base * ones
        if detail:
            colour = colour * (0.96 + 0.08 * cloudy(p * np.float32(0.5), 3))
        if detail and paint:
            front = step(1.0, 4.0, p[2])
            for side in (-1, 1):
                gap = ((p[0] - side * 4.5) / 2.3) ** 2 + ((p[1] - 5.7) / 1.7) ** 2
                colour = mix(colour, rose, 0.42 * np.exp(-gap) * front)
            tip = (p[0] / 1.6) ** 2 + ((p[1] - 7.0) / 1.3) ** 2
            colour = mix(colour, rose, 0.14 * np.exp(-tip) * front)
            for table, paint_colour, cover in (
                (brows, row3(rgb("4a2a1c")), 0.8),
                (mouth, lips, 0.9),
                (lash_table, ink, 0.95),
            ):
                colour = mix(colour, paint_colour, table.read(p[0], p[1]) * front * np.float32(cover))
        return Surface(colour, n, ones * np.float32(0.55), ones * np.float32(0.028))

    return look


def _bumped(p: Array, n: Array, height: Callable[[Array], Array], amount: float) -> Array:
    """The normal over a relief given as a height for every point of space."""
    here = height(p)
    slope: Array = np.stack([
        height(p + np.eye(3, dtype=np.float32)[:, k : k + 1] * np.float32(0.04)) - here for k in range(3)
    ])  # fmt: skip
    slope = slope / np.float32(0.04)
    slope -= n * (slope * n).sum(axis=0)
    return unit(n - slope * np.float32(amount))


def _hair_look() -> Look:
    dark, warm = row3(rgb("2e1810")), row3(rgb("7a4526"))

    def strands(p: Array) -> Array:
        around = np.arctan2(p[0] - 0.8, p[2] + 4.0)
        wave = smooth(p * np.float32(0.25)) * 1.2
        return cloudy(np.stack([around * 11 + wave, p[1] * np.float32(0.16), wave]), 3)

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        if not detail:
            return Surface(dark * ones, n, ones, ones * 0)
        t = strands(p)
        colour = mix(dark, warm, step(0.25, 0.85, t) * 0.85)
        return Surface(colour, _bumped(p, n, strands, 0.45), ones * np.float32(0.62), ones * np.float32(0.02))

    return look


def _knit_look(code: str, shade: str) -> Look:
    """Chunky stitches: columns of Vs around the body."""
    wool, groove = row3(rgb(code)), row3(rgb(shade))

    def stitches(p: Array) -> Array:
        around = np.arctan2(p[0], p[2] + 14) * np.float32(19)
        column = around * np.float32(3.0)
        lean = np.abs((column / (2 * np.pi)) % 1 - 0.5)
        rows = np.sin(p[1] * np.float32(7.0) + lean * 9)
        result: Array = (0.55 * np.abs(np.sin(column / 2)) ** 0.7 + 0.3 * rows).astype(np.float32)
        return result

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        if not detail:
            return Surface(wool * (0.8 * ones), n, ones, ones * 0)
        t = stitches(p)
        fluff = cloudy(p * np.float32(6), 2)
        colour = mix(groove, wool, step(-0.25, 0.55, t)) * (0.86 + 0.28 * fluff)
        return Surface(colour, _bumped(p, n, stitches, 0.11), ones, ones * 0)

    return look


def _head(p: Array) -> Array:
    d = ellipsoid(p, (0, 9.6, 0.6), (8.3, 9.4, 8.8))
    d = blend(d, ellipsoid(p, (0, 5.0, 2.4), (6.0, 5.2, 5.9)), 3.5)
    mirrored = np.stack([np.abs(p[0]), p[1], p[2]])
    d = blend(d, ellipsoid(mirrored, (3.9, 5.5, 5.0), (2.9, 2.6, 2.7)), 2.5)
    d = blend(d, ellipsoid(p, (0, 7.1, 9.0), (0.85, 0.8, 0.95)), 1.3)
    d = blend(d, capsule(p, (0, -5, -0.8), (0, 3, -0.4), 3.9, 3.7), 2.0)
    return blend(d, ellipsoid(mirrored, (8.2, 7.4, -0.2), (0.9, 2.0, 1.4)), 0.7)


def _hair(p: Array) -> Array:
    d = ellipsoid(p, (0, 11.0, -0.9), (9.5, 9.5, 9.9))
    d = blend(d, ellipsoid(p, (0, 6.0, -4.2), (8.0, 6.6, 6.0)), 3.0)
    d = -blend(-d, ellipsoid(p, (1.3, 5.4, 9.2), (7.7, 9.6, 7.9)), 1.0)
    mirrored = np.stack([np.abs(p[0]), p[1], p[2]])
    d = -blend(-d, ellipsoid(mirrored, (9.6, 5.0, 1.6), (3.6, 5.6, 4.4)), 1.0)
    twist = np.sin(np.arctan2(p[0] - 0.8, p[2] + 3.2) * 2 + p[1] * 1.5) * np.float32(0.28)
    bun = ellipsoid(p, (0.8, 21.6, -3.2), (4.9, 4.1, 4.7)) - twist
    d = blend(d, bun, 0.9)
    for count, (a, b) in enumerate(pairwise(_LOCK)):
        d = blend(d, capsule(mirrored, a, b, 0.48 - 0.06 * count, 0.42 - 0.06 * count), 0.12)
    return d * np.float32(0.9)


def _jumper(p: Array) -> Array:
    mirrored = np.stack([np.abs(p[0]), p[1], p[2]])
    d = ellipsoid(p, (0, 10, -1), (15.0, 22, 9.6))
    d = blend(d, capsule(mirrored, (3, 27.5, -1), (12.6, 24.0, -1), 5.6, 5.4), 4.0)
    # The rolled collar.
    r = np.sqrt(p[0] ** 2 + (p[2] + 0.6) ** 2)
    for radius, height, thick in ((5.2, 32.2, 1.9), (4.9, 34.6, 1.7)):
        d = blend(d, np.sqrt((r - radius) ** 2 + (p[1] - height) ** 2) - np.float32(thick), 1.2)
    return d


def _sleeves(p: Array) -> Array:
    right = capsule(p, (13.2, 24.5, -1), (18.0, 10.0, 4.5), 5.4, 4.9)
    right = blend(right, capsule(p, (18.0, 10.0, 4.5), (10.2, 20.0, 14.4), 4.9, 3.3), 2.5)
    left = capsule(p, (-13.2, 24.5, -1), (-18.0, 9.0, 4.5), 5.4, 4.9)
    left = blend(left, capsule(p, (-18.0, 9.0, 4.5), (-8.4, 18.2, 13.4), 4.9, 3.3), 2.5)
    for a, b in (((10.6, 19.4, 13.8), (9.9, 20.4, 14.8)), ((-8.8, 17.6, 12.9), (-7.9, 18.6, 13.9))):
        cuff = capsule(p, a, b, 3.65, 3.65)
        right = blend(right, cuff, 0.6) if a[0] > 0 else right
        left = blend(left, cuff, 0.6) if a[0] < 0 else left
    return np.minimum(left, right)


def _hands(p: Array) -> Array:
    # The left hand lies around the mug; the right one holds its handle.
    d = ellipsoid(p, (-5.6, 22.0, 14.6), (1.5, 3.3, 2.9))
    d = blend(d, capsule(p, (-8.2, 18.6, 13.4), (-6.0, 21.0, 14.3), 2.3, 2.0), 1.5)
    for count, height in enumerate((24.6, 22.9, 21.2, 19.6)):
        reach = (0.0, 0.5, 0.3, -0.5)[count]
        knuckle, tip = (-4.6, height, 17.6), (-1.9 + reach, height + 0.1, 19.4)
        d = blend(d, capsule(p, (-5.7, height, 15.4), knuckle, 0.95, 0.9), 0.5)
        d = blend(d, capsule(p, knuckle, tip, 0.9, 0.72), 0.25)
    d = blend(d, capsule(p, (-5.5, 24.6, 13.6), (-4.6, 27.2, 14.6), 1.0, 0.8), 0.8)
    e = ellipsoid(p, (8.2, 23.6, 15.8), (1.7, 3.0, 2.4))
    e = blend(e, capsule(p, (10.2, 20.2, 14.6), (8.8, 22.4, 15.4), 2.3, 2.0), 1.5)
    for count, height in enumerate((25.6, 24.1, 22.6, 21.2)):
        inward = (0.1, 0.0, 0.0, 0.2)[count]
        knuckle, tip = (7.6, height, 18.5), (5.9 + inward, height - 0.1, 18.3)
        e = blend(e, capsule(p, (9.1, height, 16.6), knuckle, 0.92, 0.88), 0.4)
        e = blend(e, capsule(p, knuckle, tip, 0.88, 0.74), 0.25)
    e = blend(e, capsule(p, (7.9, 25.6, 15.4), (6.3, 27.0, 16.6), 0.95, 0.8), 0.7)
    return np.minimum(d, e)


def _earring(p: Array) -> Array:
    mirrored = np.stack([np.abs(p[0]), p[1], p[2]])
    result: Array = np.sqrt(((mirrored - row3((9.0, 4.6, 0.1))) ** 2).sum(axis=0)) - np.float32(0.62)
    return result


def _gold(p: Array, n: Array, detail: bool) -> Surface:
    del detail
    ones = np.ones(p.shape[1], dtype=np.float32)
    return Surface(row3(rgb("c08a3c")) * ones, n, ones * np.float32(0.25), ones * np.float32(0.35))


def sitter() -> list[Body]:
    """The whole figure; the mug she holds stands at (0, 18.6, 14.8)."""
    pose = (turn(-5, "z") @ turn(9, "x") @ turn(6)).astype(np.float32)
    wool = _knit_look("c98c3e", "8f5a20")
    return [
        Body(_head, (-9.4, -9.2, -9.0), (9.4, 19.5, 10.8), _skin(paint=True), _NECK, pose),
        Body(_hair, (-10.2, -1.2, -11.4), (10.2, 26.6, 9.6), _hair_look(), _NECK, pose),
        Body(_earring, (-9.8, 3.8, -0.7), (9.8, 5.4, 0.9), _gold, _NECK, pose),
        Body(_jumper, (-18.6, -4.0, -11.5), (18.6, 36.8, 9.5), wool),
        Body(_sleeves, (-24.0, 3.5, -7.0), (24.0, 30.5, 19.0), wool),
        Body(_hands, (-11.2, 15.8, 10.5), (13.0, 28.6, 20.6), _skin(paint=False)),
    ]
