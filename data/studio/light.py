"""Lamps, the room around them, and the camera."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.studio.geometry import Array, unit
from data.studio.noise import step

Pattern = Callable[[Array, Array], Array]
Triple = tuple[float, float, float]


def row3(values: Triple) -> Array:
    return np.array(values, dtype=np.float32)[:, None]


@dataclass
class Panel:
    """A flat lamp: ``right`` and ``up`` lead from its centre to the middle of its edges (cm).

    ``pattern`` dims it over (-1..1, -1..1), for instance by the bars of a window.
    """

    centre: Triple
    right: Triple
    up: Triple
    radiance: Triple
    pattern: Pattern | None = None

    def __post_init__(self) -> None:
        self.c, self.r, self.u = row3(self.centre), row3(self.right), row3(self.up)
        across = np.cross(self.r[:, 0], self.u[:, 0]).astype(np.float32)
        self.area = float(4 * np.sqrt((across * across).sum()))
        self.normal = unit(across[:, None])
        self.power = self.area * float(np.mean(self.radiance))

    def shape(self, a: Array, b: Array) -> Array:
        return np.ones_like(a) if self.pattern is None else self.pattern(a, b)

    def meet(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """How far along each ray the panel is (inf where missed), and how bright it is there (0..1)."""
        facing = (direction * self.normal).sum(axis=0)
        facing = np.where(np.abs(facing) < 1e-5, np.float32(1e-5), facing)
        t = ((self.c - origin) * self.normal).sum(axis=0) / facing
        q = origin + direction * t - self.c
        a = (q * self.r).sum(axis=0) / (self.r * self.r).sum()
        b = (q * self.u).sum(axis=0) / (self.u * self.u).sum()
        # A soft rim, as cloth over a lamp has, keeps reflections free of stair-steps.
        rim = step(1.0, 0.93, np.abs(a)) * step(1.0, 0.93, np.abs(b))
        seen = (t > 0.05) & (rim > 0)
        return np.where(seen, t, np.float32(np.inf)), np.where(seen, rim * self.shape(a, b), np.float32(0))


def softbox(
    centre: Triple,
    towards: Triple,
    size: tuple[float, float],
    radiance: Triple,
    pattern: Pattern | None = None,
) -> Panel:
    """A panel of ``size`` (width, height) that faces the point ``towards``."""
    facing = np.array(towards, dtype=float) - np.array(centre, dtype=float)
    facing /= np.linalg.norm(facing)
    right = np.cross(facing, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, facing)
    r, u = right * size[0] / 2, up * size[1] / 2
    return Panel(centre, (r[0], r[1], r[2]), (u[0], u[1], u[2]), radiance, pattern)


def window(columns: int, rows: int, bar: float = 0.05) -> Pattern:
    """The panes of a window, with soft bars between them."""

    def pattern(a: Array, b: Array) -> Array:
        across = np.abs(((a + 1) * np.float32(columns / 2)) % 1 - 0.5) * np.float32(2 / columns)
        along = np.abs(((b + 1) * np.float32(rows / 2)) % 1 - 0.5) * np.float32(2 / rows)
        edge_a, edge_b = 1 / columns - bar, 1 / rows - bar
        return step(edge_a + 0.02, edge_a - 0.02, across) * step(edge_b + 0.02, edge_b - 0.02, along)

    return pattern


def room(top: Triple, level: Triple, bottom: Triple) -> Callable[[Array], Array]:
    """What is seen where nothing stands: one colour overhead, one at eye level, one below."""

    def sky(direction: Array) -> Array:
        y = direction[1]
        up, down = np.clip(y, 0, 1) ** np.float32(0.7), np.clip(-y * 3, 0, 1)
        result: Array = row3(level) * (1 - up) * (1 - down) + row3(top) * up + row3(bottom) * down
        return result

    return sky


@dataclass
class Camera:
    """``view`` is the vertical angle in degrees; ``lens`` the radius of the opening (cm)."""

    eye: Triple
    target: Triple
    view: float
    focus: Triple | None = None
    lens: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def _frame(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Forward, right and up."""
        forward = np.array(self.target, dtype=float) - np.array(self.eye, dtype=float)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        return forward, right, np.cross(right, forward)

    def picture_of(self, point: Triple, aspect: float) -> tuple[float, float]:
        """Where a point of space lies in the picture: across and down, both from -1 to 1."""
        forward, right, up = self._frame()
        away = np.array(point, dtype=float) - np.array(self.eye, dtype=float)
        half = float(np.tan(np.radians(self.view / 2))) * float(away @ forward)
        x, y = float(away @ right) / (half * aspect), float(away @ up) / half
        return x - self.shift[0], self.shift[1] - y

    def rays(
        self, across: Array, down: Array, lens_a: Array, lens_b: Array, aspect: float
    ) -> tuple[Array, Array]:
        """Rays through points of the picture, both from -1 (left, top) to 1."""
        forward, right, up = self._frame()
        half = float(np.tan(np.radians(self.view / 2)))
        f, r, u = (v.astype(np.float32)[:, None] for v in (forward, right, up))
        x = (across + np.float32(self.shift[0])) * np.float32(half * aspect)
        y = (-down + np.float32(self.shift[1])) * np.float32(half)
        direction = f + r * x + u * y
        sharp = self.focus or self.target
        distance = float(np.array(sharp, dtype=float) @ forward - np.array(self.eye, dtype=float) @ forward)
        radius = np.sqrt(lens_a) * np.float32(self.lens)
        angle = lens_b * np.float32(2 * np.pi)
        moved = r * (radius * np.cos(angle)) + u * (radius * np.sin(angle))
        origin = row3(self.eye) + moved
        return origin, unit(direction * np.float32(distance) - moved)
