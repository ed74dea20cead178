"""A path tracer: direct light from panels, one bounce of diffuse light, one mirror bounce for glazes.

It renders by tiles on one core and gives the same picture every time. What the camera sees is kept apart by
kind (diffuse light, reflections, colour, normals, depth), because the smoothing afterwards has to tell edges
from noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.studio.geometry import Array, Body, Surface, unit
from data.studio.light import Camera, Panel, Triple, row3

# Irrational strides: with them the n-th samples of a pixel spread evenly in every dimension.
_STRIDES = np.sqrt(np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47], dtype=float)) % 1
_ACROSS = (
    np.sqrt(np.array([53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113], dtype=float))[:, None]
    % 1
)
_DOWN = np.cbrt(np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47], dtype=float))[:, None] % 1
_SWEEP = -1
_NOTHING = -2
_TILE = 80_000
_BRIGHTEST_BOUNCE = 5.0


@dataclass
class Sweep:
    """Seamless studio paper: a floor at height 0 that curves up into a wall at depth ``back``."""

    back: float
    radius: float
    look: Callable[[Array, Array, bool], Surface]

    def meet(self, o: Array, d: Array) -> Array:
        far = np.float32(np.inf)
        bend_z, r = np.float32(self.back + self.radius), np.float32(self.radius)
        dy = np.where(np.abs(d[1]) < 1e-7, np.float32(1e-7), d[1])
        dz = np.where(np.abs(d[2]) < 1e-7, np.float32(1e-7), d[2])
        floor = -o[1] / dy
        floor = np.where((floor > 1e-3) & (o[2] + d[2] * floor > bend_z), floor, far)
        wall = (np.float32(self.back) - o[2]) / dz
        wall = np.where((wall > 1e-3) & (o[1] + dy * wall > r), wall, far)
        oy, oz = o[1] - r, o[2] - bend_z
        a = d[1] ** 2 + d[2] ** 2
        b = oy * d[1] + oz * d[2]
        root = b * b - a * (oy * oy + oz * oz - r * r)
        bend = (-b + np.sqrt(np.maximum(root, 0))) / np.maximum(a, np.float32(1e-7))
        in_bend = (root > 0) & (bend > 1e-3) & (o[1] + d[1] * bend <= r) & (o[2] + d[2] * bend <= bend_z)
        return np.minimum(np.minimum(floor, wall), np.where(in_bend, bend, far))

    def normal(self, p: Array) -> Array:
        n = np.zeros_like(p)
        n[1] = np.where(p[2] > self.back + self.radius, 1, np.clip(self.radius - p[1], 0, None))
        n[2] = np.where(p[2] > self.back + self.radius, 0, np.clip(self.back + self.radius - p[2], 0, None))
        return unit(n)


@dataclass
class Scene:
    bodies: list[Body]
    panels: list[Panel]
    sky: Callable[[Array], Array]
    sweep: Sweep
    camera: Camera
    ambient: Triple = (0.2, 0.2, 0.2)  # stands in for all light after the first bounce

    def meet(self, o: Array, d: Array) -> tuple[Array, NDArray[np.int64]]:
        """The nearest hit of each ray: how far, and which body (-1 the paper, -2 none)."""
        t = self.sweep.meet(o, d)
        who = np.where(np.isfinite(t), _SWEEP, _NOTHING)
        for number, body in enumerate(self.bodies):
            rays, at = body.meet(o, d, t)
            t[rays] = at
            who[rays] = number
        return t, who

    def blocked(self, o: Array, d: Array, limit: Array) -> NDArray[np.bool_]:
        """Whether a body stands between each ray's origin and ``limit``; the paper lies behind everything."""
        blocked = np.zeros(o.shape[1], dtype=bool)
        for body in self.bodies:
            free = np.flatnonzero(~blocked)
            rays, _ = body.meet(o[:, free], d[:, free], limit[free])
            blocked[free[rays]] = True
        return blocked

    def surface(self, p: Array, who: NDArray[np.int64], *, detail: bool) -> Surface:
        """The look at points of which each lies on body ``who``."""
        n = p.shape[1]
        result = Surface(
            np.zeros((3, n), dtype=np.float32),
            np.zeros((3, n), dtype=np.float32),
            np.ones(n, dtype=np.float32),
            np.zeros(n, dtype=np.float32),
        )
        for number in np.unique(who):
            at = np.flatnonzero(who == number)
            if number == _SWEEP:
                part = self.sweep.look(p[:, at], self.sweep.normal(p[:, at]), detail)
                normal = part.normal
            else:
                body = self.bodies[number]
                own = body.to_own_space(p[:, at])
                part = body.look(own, body.normal(own), detail)
                normal = body.rotation @ part.normal
            result.albedo[:, at], result.normal[:, at] = part.albedo, normal
            result.roughness[at], result.gloss[at] = part.roughness, part.gloss
        return result

    def direct(self, p: Array, n: Array, pick: Array, a: Array, b: Array) -> Array:
        """Light that reaches points straight from one panel, chosen by ``pick`` (0..1), over its chance."""
        # By the root of their power: faint lamps chosen rarely would sparkle.
        chances = np.sqrt([panel.power for panel in self.panels])
        share = np.cumsum(chances)
        chosen = np.minimum(np.searchsorted(share / share[-1], pick), len(self.panels) - 1)
        light = np.zeros_like(p)
        for number, panel in enumerate(self.panels):
            at = np.flatnonzero(chosen == number)
            if at.size == 0:
                continue
            u, v = a[at] * 2 - 1, b[at] * 2 - 1
            to_lamp = panel.c + panel.r * u + panel.u * v - p[:, at]
            square = (to_lamp * to_lamp).sum(axis=0)
            distance = np.sqrt(square)
            to_lamp /= distance
            facing = np.maximum((to_lamp * n[:, at]).sum(axis=0), 0)
            strength = facing * np.abs((to_lamp * panel.normal).sum(axis=0)) / square
            strength *= panel.shape(u, v) * np.float32(panel.area / np.pi * share[-1] / chances[number])
            lit = np.flatnonzero(strength > 1e-6)
            start = p[:, at[lit]] + n[:, at[lit]] * np.float32(0.03)
            free = ~self.blocked(start, to_lamp[:, lit], distance[lit] * np.float32(0.999))
            light[:, at[lit]] = row3(panel.radiance) * (strength[lit] * free)
        return light

    def seen(self, o: Array, d: Array, dice: list[Array], *, lamps: bool) -> Array:
        """What secondary rays bring back: the room, simply lit surfaces and, for mirror rays, the lamps."""
        t, who = self.meet(o, d)
        light = np.zeros_like(o)
        away = who == _NOTHING
        light[:, away] = self.sky(d[:, away])
        hit = np.flatnonzero(~away)
        if hit.size:
            p = o[:, hit] + d[:, hit] * t[hit]
            surface = self.surface(p, who[hit], detail=False)
            direct = self.direct(p, surface.normal, *(die[hit] for die in dice))
            light[:, hit] = surface.albedo * (direct + row3(self.ambient))
        if lamps:
            for panel in self.panels:
                at, shape = panel.meet(o, d)
                light = np.where(at < t, light * (1 - shape) + row3(panel.radiance) * shape, light)
        return light


def _towards(n: Array, u: Array, v: Array) -> Array:
    """Directions spread about ``n`` as diffuse light is (by the cosine)."""
    sign = np.where(n[2] < 0, np.float32(-1), np.float32(1))
    k = -1 / (sign + n[2])
    xy = n[0] * n[1] * k
    tangent = np.stack([1 + sign * n[0] * n[0] * k, sign * xy, -sign * n[0]])
    other = np.stack([xy, sign + n[1] * n[1] * k, -n[1]])
    radius, angle = np.sqrt(u), v * np.float32(2 * np.pi)
    result: Array = (
        tangent * (radius * np.cos(angle))
        + other * (radius * np.sin(angle))
        + n * np.sqrt(np.maximum(1 - u, 0))
    )
    return result


@dataclass
class Layers:
    """Sums over the samples of each pixel, divided by their number: shape (3, height, width).

    Depth and the variances of the mean brightness have shape (height, width).
    """

    diffuse: Array
    mirror: Array
    albedo: Array
    normal: Array
    depth: Array
    diffuse_variance: Array
    mirror_variance: Array


def render(scene: Scene, width: int, height: int, samples: int, seed: int = 1) -> Layers:
    """The picture as linear light, sorted by kind."""
    pixels = width * height
    total = np.zeros((15, pixels), dtype=np.float32)
    phases = np.random.default_rng(seed).random((len(_STRIDES), 1))
    for start in range(0, pixels, _TILE):
        index = np.arange(start, min(start + _TILE, pixels))
        column, line = (index % width).astype(np.float32), (index // width).astype(np.float32)
        # Neighbours sample evenly among each other: their average is then nearly free of noise.
        offsets = ((index % width) * _ACROSS + (index // width) * _DOWN + phases) % 1
        offsets = offsets.astype(np.float32)
        # Edges are sampled alike in every pixel: a regular error is smooth, a random one is grain.
        offsets[0:4] = 0.5
        for number in range(samples):
            dice = [(offsets[k] + np.float32(number * _STRIDES[k] % 1)) % 1 for k in range(len(_STRIDES))]
            # A tent filter, one pixel wide to each side, anti-aliases without a second pass.
            x = (
                column
                + 0.5
                + np.where(dice[0] < 0.5, np.sqrt(2 * dice[0]) - 1, 1 - np.sqrt(2 - 2 * dice[0])) * 0.8
            )
            y = (
                line
                + 0.5
                + np.where(dice[1] < 0.5, np.sqrt(2 * dice[1]) - 1, 1 - np.sqrt(2 - 2 * dice[1])) * 0.8
            )
            o, d = scene.camera.rays(
                x * np.float32(2 / width) - 1,
                y * np.float32(2 / height) - 1,
                dice[2],
                dice[3],
                width / height,
            )
            one = _sample(scene, o, d, dice)
            here = total[:, start : start + index.size]
            here[:13] += one
            here[13] += one[0:3].mean(axis=0) ** 2
            here[14] += one[3:6].mean(axis=0) ** 2
    total /= samples
    shape = (3, height, width)
    parts = [total[k : k + 3].reshape(shape) for k in (0, 3, 6, 9)]
    spread = [
        np.maximum(total[13 + k] - total[3 * k : 3 * k + 3].mean(axis=0) ** 2, 0) / samples for k in range(2)
    ]
    flat = [row.reshape(height, width) for row in (total[12], *spread)]
    return Layers(parts[0], parts[1], parts[2], parts[3], flat[0], flat[1], flat[2])


def _sample(scene: Scene, o: Array, d: Array, dice: list[Array]) -> Array:
    """One path a ray: rows 0-2 diffuse, 3-5 mirror, 6-8 albedo, 9-11 normal, 12 depth."""
    result = np.zeros((13, o.shape[1]), dtype=np.float32)
    t, who = scene.meet(o, d)
    away = who == _NOTHING
    result[0:3, away] = scene.sky(d[:, away])
    result[6:9, away] = 1
    result[12, away] = 1000
    hit = np.flatnonzero(~away)
    d, t, dice = d[:, hit], t[hit], [die[hit] for die in dice]
    p = o[:, hit] + d * t
    surface = scene.surface(p, who[hit], detail=True)
    n = surface.normal
    cosine = np.clip(-(d * n).sum(axis=0), 0, 1)
    start = p + n * np.float32(0.03)
    light = scene.direct(p, n, dice[4], dice[5], dice[6])
    bounce = scene.seen(start, _towards(n, dice[7], dice[8]), dice[9:12], lamps=False)
    light += np.minimum(bounce, np.float32(_BRIGHTEST_BOUNCE))
    edge = np.maximum(1 - surface.roughness, surface.gloss) - surface.gloss
    mirror = np.where(surface.gloss > 0, surface.gloss + edge * (1 - cosine) ** 5, np.float32(0))
    result[0:3, hit] = surface.albedo * light * (1 - mirror)
    shiny = np.flatnonzero(mirror > 0.004)
    if shiny.size:
        ds, ns = d[:, shiny], n[:, shiny]
        out = ds - ns * (2 * (ds * ns).sum(axis=0))
        # Roughness: mix the mirror direction with a diffuse spread about it.
        spread = surface.roughness[shiny] ** 2
        out = unit(out + _towards(unit(out), dice[12][shiny], dice[13][shiny]) * spread * 1.5)
        out -= ns * np.minimum((out * ns).sum(axis=0) - np.float32(0.02), 0)
        seen = scene.seen(start[:, shiny], unit(out), [die[shiny] for die in dice[9:12]], lamps=True)
        result[3:6, hit[shiny]] = np.minimum(seen, np.float32(40)) * mirror[shiny]
    result[6:9, hit] = surface.albedo
    result[9:12, hit] = n
    result[12, hit] = t
    return result
