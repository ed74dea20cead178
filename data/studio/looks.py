"""What things are made of: glazes, raw clay, wood, paper, coffee, wool, skin."""

from collections.abc import Callable

import numpy as np

from data.studio.geometry import Array, Surface, unit
from data.studio.light import Triple, row3
from data.studio.noise import cloudy, smooth, specks, step

Look = Callable[[Array, Array, bool], Surface]


def rgb(code: str) -> Triple:
    """A web colour such as ``d9cbb6`` as linear light."""
    values = np.array([int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)])
    linear = np.where(values < 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear[0]), float(linear[1]), float(linear[2])


def mix(a: Array, b: Array, t: Array) -> Array:
    return a + (b - a) * t


def _bent(p: Array, n: Array, scale: float, amount: float) -> Array:
    """Normals made slightly uneven, as glaze over a hand-turned wall is."""
    bumps = np.stack([smooth(p * np.float32(scale) + shift) for shift in (0.0, 31.0, 57.0)]) - 0.5
    return unit(n + bumps * np.float32(amount))


def flat(code: str, roughness: float = 1.0, gloss: float = 0.0) -> Look:
    colour = row3(rgb(code))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        del detail
        ones = np.ones(p.shape[1], dtype=np.float32)
        return Surface(colour * ones, n, ones * np.float32(roughness), ones * np.float32(gloss))

    return look


def paper(code: str, far: str) -> Look:
    """The seamless paper: one colour in front, another on the wall."""
    near_colour, far_colour = row3(rgb(code)), row3(rgb(far))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        colour = mix(near_colour, far_colour, step(0, 30, p[1]))
        if detail:
            colour = colour * (0.985 + 0.03 * smooth(p * np.float32(9)))
        return Surface(colour, n, ones, ones * 0)

    return look


def stoneware(
    glaze: str,
    deep: str,
    body: str,
    *,
    dip: float,
    top: float,
    foot: float = 0.35,
    mark: Callable[[Array], Array] | None = None,
    speckle: float = 1.0,
) -> Look:
    """Speckled clay under two glazes: ``body`` (clear, oatmeal) above, ``glaze`` below the line ``dip`` (cm).

    ``deep`` is where the glaze pools; ``top`` the height of the rim, where it breaks to the clay; below
    ``foot`` the clay is bare. ``mark`` gives 0..1 where the maker's mark is pressed in.
    """
    main, pooled, clear = row3(rgb(glaze)), row3(rgb(deep)), row3(rgb(body))
    clay, iron, rim_colour = row3(rgb("b08a66")), row3(rgb("3a2618")), row3(rgb("8a5f3e"))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        if not detail:
            lower = step(dip + 0.15, dip - 0.15, p[1])
            return Surface(mix(clear, main, lower), n, ones * np.float32(0.2), ones * np.float32(0.04))
        wobble = cloudy(p * np.float32(0.45), 3) - 0.5
        line = p[1] - np.float32(dip) + wobble * 0.9
        lower = step(0.07, -0.07, line)
        drift = cloudy(p * np.array([[0.9], [0.35], [0.9]], dtype=np.float32) + 5, 4)
        colour = mix(pooled, main, step(0.3, 0.72, drift))
        # The dip runs thick just above its lower edge and thin at the overlap.
        colour = mix(colour, pooled * 0.8, step(-0.35, -0.02, line) * 0.55)
        oat = clear * (0.93 + 0.12 * cloudy(p * np.float32(0.8) + 40, 3))
        colour = mix(oat, colour, lower)
        spots = np.maximum(
            specks(p, 1.5, 0.10, 0.8, 1),
            np.maximum(specks(p, 3.1, 0.15, 0.7, 2), specks(p, 6.0, 0.18, 0.55, 3)),
        )
        colour = mix(colour, iron, spots * np.float32(speckle) * (0.8 - 0.45 * lower))
        rim = step(top - 0.28, top - 0.02, p[1] + wobble * 0.15)
        colour = mix(colour, rim_colour, rim * 0.55)
        bare = step(foot + 0.04, foot - 0.04, p[1] + wobble * 0.2)
        colour = mix(colour, clay * (0.85 + 0.3 * cloudy(p * np.float32(3), 3)), bare)
        rings = np.sin(p[1] * np.float32(5.2) + wobble * 6) * np.float32(0.018)
        normal = _bent(p, n, 0.8, 0.05)
        normal = normal + rings * np.array([[0], [1], [0]], dtype=np.float32)
        pressed = np.zeros_like(ones)
        if mark is not None:
            pressed = mark(p)
            colour = mix(colour, colour * 0.34, pressed)
        roughness = 0.16 + 0.1 * spots + 0.6 * bare + 0.35 * pressed
        return Surface(
            colour, unit(normal), roughness.astype(np.float32), (0.045 * (1 - bare)).astype(np.float32)
        )

    return look


def wood(light: str, dark: str, scale: float = 1.0) -> Look:
    """Oiled boards: grain along x."""
    pale, deep = row3(rgb(light)), row3(rgb(dark))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        if not detail:
            return Surface(
                mix(pale, deep, ones * np.float32(0.35)), n, ones * np.float32(0.5), ones * np.float32(0.03)
            )
        q = p * np.float32(scale)
        stretch = q * np.array([[0.035], [0.5], [0.5]], dtype=np.float32)
        warp = cloudy(stretch * 1.3 + 9, 3)
        rings = 0.5 + 0.5 * np.sin((q[2] * 0.75 + q[1] * 0.5 + warp * 9) * np.float32(2.1))
        fibre = cloudy(q * np.array([[0.25], [7], [7]], dtype=np.float32), 3)
        pores = step(0.70, 0.82, smooth(q * np.array([[0.6], [11], [11]], dtype=np.float32) + 3))
        t = np.clip(0.1 + 0.42 * rings**2 * (0.5 + warp) + 0.6 * (fibre - 0.5), 0, 1)
        colour = mix(pale, deep, t) * (1 - 0.4 * pores)
        normal = unit(n + (fibre - 0.5) * np.array([[0], [0], [0.08]], dtype=np.float32))
        return Surface(colour, normal, (0.42 + 0.2 * t).astype(np.float32), ones * np.float32(0.035))

    return look


def stone(code: str, vein: str) -> Look:
    """Honed travertine: soft layers and small pits."""
    base, dark = row3(rgb(code)), row3(rgb(vein))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        if not detail:
            return Surface(base * ones, n, ones, ones * 0)
        layers = p * np.array([[0.06], [0.55], [0.10]], dtype=np.float32)
        bands = cloudy(layers + cloudy(p * np.float32(0.2), 2) * 0.7, 4)
        pits = specks(p * np.array([[0.5], [1.2], [0.5]], dtype=np.float32), 2.2, 0.16, 0.22, 4)
        colour = mix(base, dark, 0.55 * step(0.38, 0.72, bands)) * (1 - 0.35 * pits)
        grit = smooth(p * np.float32(14))
        return Surface(
            colour * (0.95 + 0.1 * grit),
            _bent(p, n, 6, 0.05),
            ones * np.float32(0.45),
            ones * np.float32(0.03),
        )

    return look


def coffee(radius: float) -> Look:
    """Black coffee with a thin rim of crema."""
    dark, crema = row3(rgb("1d0d05")), row3(rgb("8c5a2e"))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        del detail
        ones = np.ones(p.shape[1], dtype=np.float32)
        r = np.sqrt(p[0] ** 2 + p[2] ** 2)
        foam = step(radius - 0.55, radius - 0.05, r + 0.5 * (cloudy(p * np.float32(1.7), 3) - 0.5))
        bubbles = specks(p, 3.0, 0.2, 0.35, 5) * step(radius - 1.2, radius - 0.3, r)
        t = np.clip(foam * 0.8 + bubbles * 0.35, 0, 1)
        return Surface(
            mix(dark, crema, t), n, (0.55 + 0.3 * foam).astype(np.float32), ones * np.float32(0.02)
        )

    return look


def bean_look() -> Look:
    dark, warm = row3(rgb("2b1409")), row3(rgb("6b3a1c"))

    def look(p: Array, n: Array, detail: bool) -> Surface:
        ones = np.ones(p.shape[1], dtype=np.float32)
        if not detail:
            return Surface(dark * ones, n, ones, ones * 0)
        t = cloudy(p * np.float32(2.2) + 3, 3)
        seam = step(0.16, 0.05, np.abs(p[2])) * step(0.1, 0.2, p[1])
        colour = mix(dark, warm, step(0.25, 0.8, t) * 0.9) * (1 + 0.6 * seam)
        return Surface(colour, _bent(p, n, 5, 0.12), ones * np.float32(0.5), ones * np.float32(0.035))

    return look
