"""Shapes as signed distance functions, and where rays meet them.

Lengths are centimetres. Points and directions are float32 arrays of shape (3, N): one row each for x, y (up)
and z (towards the viewer), so that numpy works on long contiguous rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Distance = Callable[[Array], Array]

_STEPS = 72
_TOUCHING = np.float32(0.003)


def curve(points: list[tuple[float, float]], per_span: int = 14) -> NDArray[np.float64]:
    """A smooth line through ``points`` (Catmull-Rom), as points of shape (n, 2)."""
    knots = np.array([points[0], *points, points[-1]], dtype=float)
    t = np.linspace(0, 1, per_span, endpoint=False)[:, None]
    spans = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        spans.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return np.concatenate([*spans, knots[-1:]])


class Table:
    """A function of two lengths, kept on a grid and read bilinearly; positions off the grid read its edge."""

    def __init__(self, low: tuple[float, float], high: tuple[float, float], cells: int) -> None:
        self.low = np.array(low, dtype=np.float32)
        self.step = np.float32(max(high[0] - low[0], high[1] - low[1]) / cells)
        self.columns = int((high[0] - low[0]) / self.step) + 2
        self.rows = int((high[1] - low[1]) / self.step) + 2
        self.values: Array = np.zeros(0, dtype=np.float32)

    def grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        a = self.low[0] + self.step * np.arange(self.columns)
        b = self.low[1] + self.step * np.arange(self.rows)
        return tuple(np.meshgrid(a.astype(float), b.astype(float)))

    def read(self, a: Array, b: Array) -> Array:
        x = np.minimum(np.maximum((a - self.low[0]) / self.step, 0), np.float32(self.columns - 1.001))
        y = np.minimum(np.maximum((b - self.low[1]) / self.step, 0), np.float32(self.rows - 1.001))
        column, row = x.astype(np.int64), y.astype(np.int64)
        x -= column
        y -= row
        at = row * self.columns + column
        v = self.values
        upper = v[at]
        upper += (v[at + 1] - upper) * x
        at += self.columns
        lower = v[at]
        lower += (v[at + 1] - lower) * x
        lower -= upper
        result: Array = upper + lower * y
        return result


def _segments_distance(
    a: NDArray[np.float64], b: NDArray[np.float64], line: NDArray[np.float64]
) -> NDArray[np.float64]:
    nearest = np.full(a.shape, np.inf)
    for (ax, ay), (bx, by) in pairwise(line):
        ex, ey = bx - ax, by - ay
        t = np.clip(((a - ax) * ex + (b - ay) * ey) / max(ex * ex + ey * ey, 1e-12), 0, 1)
        nearest = np.minimum(nearest, (a - ax - t * ex) ** 2 + (b - ay - t * ey) ** 2)
    result: NDArray[np.float64] = np.sqrt(nearest)
    return result


def revolved(outline: NDArray[np.float64], rounding: float = 0.0, cells: int = 420) -> Distance:
    """A body turned on the wheel: ``outline`` is its closed section, points (radius, height) in order."""
    margin = 0.6
    low = (-0.05, float(outline[:, 1].min()) - margin)
    high = (float(outline[:, 0].max()) + margin, float(outline[:, 1].max()) + margin)
    table = Table(low, high, cells)
    r, y = table.grid()
    closed = np.concatenate([outline, outline[:1]])
    distance = _segments_distance(r, y, closed)
    inside = np.zeros(r.shape, dtype=bool)
    for (ax, ay), (bx, by) in pairwise(closed):
        if ay != by:
            crosses = (ay > y) != (by > y)
            inside ^= crosses & (r < (bx - ax) * (y - ay) / (by - ay) + ax)
    # A section that touches the axis has no wall there: only its outer line counts.
    table.values = (np.where(inside, -distance, distance) - rounding).astype(np.float32).ravel()

    def distance_to(p: Array) -> Array:
        return table.read(np.sqrt(p[0] * p[0] + p[2] * p[2]), p[1])

    return distance_to


def strap(path: NDArray[np.float64], half_thickness: float, half_width: float, rounding: float) -> Distance:
    """A handle: a flat band along ``path`` in the plane z = 0."""
    low = tuple(path.min(axis=0) - 1.5)
    high = tuple(path.max(axis=0) + 1.5)
    table = Table((low[0], low[1]), (high[0], high[1]), 260)
    table.values = _segments_distance(*table.grid(), path).astype(np.float32).ravel()

    def distance_to(p: Array) -> Array:
        across = np.maximum(table.read(p[0], p[1]) - np.float32(half_thickness - rounding), 0)
        along = np.maximum(np.abs(p[2]) - np.float32(half_width - rounding), 0)
        result: Array = np.sqrt(across * across + along * along) - np.float32(rounding)
        return result

    return distance_to


def blend(a: Array, b: Array, width: float) -> Array:
    """The union of two distances with a fillet of about ``width``."""
    h = np.maximum(np.float32(width) - np.abs(a - b), 0)
    result: Array = np.minimum(a, b) - h * h * np.float32(0.25 / width)
    return result


def box(half: tuple[float, float, float], rounding: float) -> Distance:
    def distance_to(p: Array) -> Array:
        q = np.abs(p) - np.array(half, dtype=np.float32)[:, None] + np.float32(rounding)
        outside = np.maximum(q, 0)
        result: Array = (
            np.sqrt((outside * outside).sum(axis=0)) + np.minimum(q.max(axis=0), 0) - np.float32(rounding)
        )
        return result

    return distance_to


def ellipsoid(p: Array, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
    """An estimate that is exact at the surface, and never far too long near it."""
    q = p - np.array(centre, dtype=np.float32)[:, None]
    r = np.array(radii, dtype=np.float32)[:, None]
    k0 = np.sqrt(((q / r) ** 2).sum(axis=0))
    k1 = np.sqrt(((q / (r * r)) ** 2).sum(axis=0))
    result: Array = k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-4))
    return result


def capsule(
    p: Array, a: tuple[float, float, float], b: tuple[float, float, float], ra: float, rb: float
) -> Array:
    """A limb from ``a`` to ``b`` whose radius goes from ``ra`` to ``rb``."""
    start = np.array(a, dtype=np.float32)[:, None]
    along = np.array(b, dtype=np.float32)[:, None] - start
    q = p - start
    t = np.clip((q * along).sum(axis=0) / (along * along).sum(), 0, 1)
    rest = q - along * t
    result: Array = np.sqrt((rest * rest).sum(axis=0)) - (np.float32(ra) + np.float32(rb - ra) * t)
    return result


def turn(degrees: float, axis: str = "y") -> Array:
    """The rotation matrix about one axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], dtype=np.float32)


@dataclass
class Body:
    """One object of a scene: its distance in its own space, a box around it, its place and its look."""

    distance: Distance
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    look: "Callable[[Array, Array, bool], Surface]"
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: Array = field(default_factory=lambda: np.eye(3, dtype=np.float32))

    def to_own_space(self, p: Array) -> Array:
        return self.rotation.T @ (p - np.array(self.place, dtype=np.float32)[:, None])

    def __post_init__(self) -> None:
        low, high = np.array(self.low, dtype=np.float32), np.array(self.high, dtype=np.float32)
        middle = self.rotation @ ((low + high) / 2) + np.array(self.place, dtype=np.float32)
        self.ball: tuple[float, float, float] = (float(middle[0]), float(middle[1]), float(middle[2]))
        self.ball_square = float(((high - low) ** 2).sum() / 4)

    def _might_meet(self, o: Array, d: Array) -> NDArray[np.int64]:
        """The rays that pass the ball around this body: a cheap sieve, since most rays miss most bodies."""
        x, y, z = o[0] - self.ball[0], o[1] - self.ball[1], o[2] - self.ball[2]
        along = x * d[0] + y * d[1] + z * d[2]
        beyond = x * x + y * y + z * z - np.float32(self.ball_square)
        return np.flatnonzero((along * along >= beyond) & ((along < 0) | (beyond < 0)))

    def meet(self, origin: Array, direction: Array, limit: Array) -> tuple[NDArray[np.int64], Array]:
        """The indices of the rays that hit this body before ``limit``, and how far along."""
        near_enough = self._might_meet(origin, direction)
        limit = limit[near_enough]
        o, d = self.to_own_space(origin[:, near_enough]), self.rotation.T @ direction[:, near_enough]
        inverse = 1 / np.where(np.abs(d) < 1e-7, np.float32(1e-7), d)
        near = (np.array(self.low, dtype=np.float32)[:, None] - o) * inverse
        far = (np.array(self.high, dtype=np.float32)[:, None] - o) * inverse
        enter = np.maximum(np.minimum(near, far).max(axis=0), np.float32(0))
        leave = np.minimum(np.maximum(near, far).min(axis=0), limit)
        rays = np.flatnonzero(enter < leave)
        o, d, t, leave = o[:, rays], d[:, rays], enter[rays], leave[rays]
        rays = near_enough[rays]
        found_rays, found_t = [], []
        for _ in range(_STEPS):
            if rays.size == 0:
                break
            gap = self.distance(o + d * t)
            hit = gap < _TOUCHING
            t = t + np.maximum(gap, _TOUCHING * np.float32(0.5))
            if hit.any():
                found_rays.append(rays[hit])
                found_t.append(t[hit])
            going = np.flatnonzero(~hit & (t < leave))
            if going.size < rays.size:
                rays, o, d, t, leave = rays[going], o[:, going], d[:, going], t[going], leave[going]
        if not found_rays:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        return np.concatenate(found_rays), np.concatenate(found_t)

    def normal(self, p_own: Array, reach: float = 0.02) -> Array:
        """Outward unit normals at points of this body's own space, still in that space."""
        total = np.zeros_like(p_own)
        for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
            offset = np.array(corner, dtype=np.float32)[:, None]
            total += offset * self.distance(p_own + offset * np.float32(reach))
        return unit(total)


@dataclass
class Surface:
    """What light meets at N points: colour and bent normal (3, N), roughness and head-on gloss (N)."""

    albedo: Array
    normal: Array
    roughness: Array
    gloss: Array


def unit(v: Array) -> Array:
    result: Array = v / np.maximum(np.sqrt((v * v).sum(axis=0)), np.float32(1e-9))
    return result
