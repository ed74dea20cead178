"""Steam over a cup, drawn into the finished light: wisps that rise, widen and fade."""

import numpy as np

from data.studio.geometry import Array
from data.studio.noise import cloudy, step


def add_steam(
    light: Array, source: tuple[float, float], tall: float, seconds: float, strength: float
) -> Array:
    """``source`` is the middle of the cup's mouth (-1..1 across and down), ``tall`` the plume's height."""
    height, width = light.shape[-2:]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    rise = ((source[1] - y) / tall).astype(np.float32).ravel()
    inside = np.flatnonzero((rise > -0.1) & (rise < 1))
    rise = rise[inside]
    # Both in units of the plume's height.
    across = ((x.ravel()[inside] - source[0]) * (width / height) / tall).astype(np.float32)
    time = np.full_like(rise, seconds)
    sway = cloudy(np.stack([rise * 1.3 - time * 0.42, time * 0.23, time * 0 + 3.1]), 2) - 0.5
    across = across + sway * rise * np.float32(0.42)
    flow: Array = np.stack([across * 5.5, rise * 2.6 - time * 0.80, time * 0.22])
    warp: Array = np.stack([cloudy(flow * np.float32(0.7) + shift, 3) for shift in (0.0, 19.0, 37.0)]) - 0.5
    sheets = 1 - np.abs(2 * cloudy(flow + warp * 1.9, 3) - 1)
    wisps = np.clip((sheets - 0.72) / 0.28, 0, 1) ** 1.6 + 0.18 * step(
        0.45, 0.9, cloudy(flow * np.float32(0.6) + 50, 3)
    )
    spread = 0.105 + 0.16 * np.clip(rise, 0, 1)
    plume = np.exp(-((across / spread) ** 2)) * step(-0.08, 0.12, rise) * step(1.0, 0.3, rise)
    veil = np.zeros(height * width, dtype=np.float32)
    veil[inside] = wisps * plume * np.float32(strength)
    veil = np.clip(veil.reshape(height, width), 0, 0.6)
    result: Array = light + veil * (
        np.array([0.92, 0.91, 0.9], dtype=np.float32)[:, None, None] - light * 0.35
    )
    return result
