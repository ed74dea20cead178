"""Seeded noise in space: the irregularity of hand-made things."""

import numpy as np
from numpy.typing import NDArray

from data.studio.geometry import Array

_SIZE = 64
_LATTICE = np.random.default_rng(7).random(_SIZE**3, dtype=np.float32)


def smooth(p: Array) -> Array:
    """Smooth noise in 0..1 with features of about one unit; ``p`` has shape (3, N)."""
    floor = np.floor(p)
    f = p - floor
    f = f * f * (3 - 2 * f)
    cell = floor.astype(np.int64)
    x0, y0, z0 = cell[0] & 63, (cell[1] & 63) << 6, (cell[2] & 63) << 12
    x1, y1, z1 = (cell[0] + 1) & 63, ((cell[1] + 1) & 63) << 6, ((cell[2] + 1) & 63) << 12

    def row(y: NDArray[np.int64], z: NDArray[np.int64]) -> Array:
        at = y | z
        a = _LATTICE[x0 | at]
        result: Array = a + (_LATTICE[x1 | at] - a) * f[0]
        return result

    front = row(y0, z0)
    front += (row(y1, z0) - front) * f[1]
    back = row(y0, z1)
    back += (row(y1, z1) - back) * f[1]
    result: Array = front + (back - front) * f[2]
    return result


def cloudy(p: Array, octaves: int = 4) -> Array:
    """Noise in 0..1 with detail down to 1 / 2**octaves of a unit."""
    total = np.zeros(p.shape[1], dtype=np.float32)
    weight, scale = 0.5, 1.0
    for octave in range(octaves):
        total += np.float32(weight) * smooth(p * np.float32(scale) + np.float32(17.3 * octave))
        weight *= 0.5
        scale *= 2.03
    return total / np.float32(1 - 0.5**octaves)


def specks(p: Array, per_unit: float, largest: float, share: float, seed: int = 0) -> Array:
    """Iron spots: 1 inside a spot, 0 outside, soft at the rim. ``largest`` is a radius in cells."""
    scaled = p * np.float32(per_unit) + np.float32(3.7 * seed + 0.37)
    floor = np.floor(scaled)
    cell = floor.astype(np.int64) + seed * 13
    at = (cell[0] & 63) | ((cell[1] & 63) << 6) | ((cell[2] & 63) << 12)
    inside = np.float32(1 - 2 * largest)
    gap = np.zeros(p.shape[1], dtype=np.float32)
    for axis, shift in enumerate((1009, 5003, 9001)):
        centre = np.float32(largest) + inside * _LATTICE[(at + shift) % _LATTICE.size]
        gap += (scaled[axis] - floor[axis] - centre) ** 2
    fate = _LATTICE[(at + 777) % _LATTICE.size]
    radius = np.where(fate < share, np.float32(largest) * (0.25 + 0.75 * fate / share), np.float32(0))
    edge = np.sqrt(gap) / np.maximum(radius, np.float32(1e-3))
    return np.where(radius > 0, np.clip((1.0 - edge) * 3, 0, 1), 0).astype(np.float32)


def step(low: float, high: float, x: Array) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    result: Array = t * t * (3 - 2 * t)
    return result
