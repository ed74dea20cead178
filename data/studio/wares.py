"""The brand's ware, and what lies about on its tables. Everything stands on y = 0 of its own space."""

from collections.abc import Callable

import numpy as np

from data.studio.geometry import Array, Body, Distance, blend, box, curve, ellipsoid, revolved, strap, turn
from data.studio.label import PressedMark
from data.studio.light import Triple
from data.studio.looks import Look, bean_look, coffee, flat, stoneware, wood

Glaze = tuple[str, str, str]  # main, pooled, and the clear glaze above
SEA: Glaze = ("3a6f77", "17404a", "ddd2be")
SAND: Glaze = ("d3b48c", "b08a5e", "e9e0cf")
CLAY: Glaze = ("b5643c", "7d3d22", "e2d2bd")
INK: Glaze = ("2c383d", "141b1f", "cfc9be")
MOSS: Glaze = ("7c8468", "4d553f", "ddd5c3")


def glazed(glaze: Glaze, dip: float, top: float, mark: Callable[[Array], Array] | None = None) -> Look:
    return stoneware(glaze[0], glaze[1], glaze[2], dip=dip, top=top, mark=mark)


def _vessel(outer: list[tuple[float, float]], inner: list[tuple[float, float]]) -> Distance:
    """A turned pot from its outer line (foot to rim) and its inner line (rim to the middle of its floor)."""
    return revolved(np.concatenate([curve(outer), curve(inner)]), 0.05)


def mug(place: Triple, angle: float, glaze: Glaze) -> list[Body]:
    """The dune mug, 9.5 cm high, full of coffee; its handle points ``angle`` degrees away from +x."""
    wall = _vessel(
        [(0, 0), (2.9, 0), (3.35, 0.12), (3.78, 0.9), (4.15, 3), (4.3, 5.5), (4.28, 8), (4.36, 9.4)],
        [(4.04, 9.42), (3.95, 8), (3.95, 5.5), (3.8, 3), (3.2, 1.1), (1.5, 0.7), (0, 0.65)],
    )
    ear = strap(
        curve([(4.1, 7.9), (5.2, 8.3), (6.5, 7.75), (6.95, 6.0), (6.35, 4.3), (5.1, 3.1), (3.95, 2.6)]),
        0.36,
        0.62,
        0.3,
    )

    def distance(p: Array) -> Array:
        return blend(wall(p), ear(p), 0.7)

    mark = PressedMark(2.7, 6.75, 4.3, 62)
    look = glazed(glaze, 4.4, 9.4, mark)
    rotation = turn(-angle)
    return [
        Body(distance, (-4.6, -0.1, -4.6), (7.6, 9.7, 4.6), look, place, rotation),
        Body(
            revolved(np.array([(0, 8.0), (4.08, 8.0), (4.08, 8.55), (0, 8.55)])),
            (-4.3, 7.9, -4.3), (4.3, 8.7, 4.3), coffee(4.0), place, rotation,
        ),
    ]  # fmt: skip


def cup(place: Triple, glaze: Glaze, dip: float, tilt: float = 0.0) -> Body:
    """A small cup without a handle, 6.2 cm high; they nest 3.9 cm apart."""
    wall = _vessel(
        [(0, 0), (1.75, 0), (2.1, 0.12), (2.45, 0.75), (2.85, 2.3), (3.15, 4.4), (3.32, 6.1)],
        [(3.06, 6.14), (2.86, 4.4), (2.55, 2.3), (2.0, 1.0), (1.0, 0.7), (0, 0.65)],
    )
    rotation = turn(tilt, "z")
    return Body(wall, (-3.5, -0.1, -3.5), (3.5, 6.4, 3.5), glazed(glaze, dip, 6.1), place, rotation)


def server(place: Triple, angle: float, glaze: Glaze) -> Body:
    """The coffee server: a round belly under a narrow neck, with a handle."""
    wall = _vessel(
        [
            (0, 0),
            (4.3, 0),
            (5.0, 0.15),
            (5.75, 1.2),
            (6.1, 3.6),
            (5.7, 6.4),
            (4.4, 8.9),
            (3.55, 10.4),
            (3.6, 11.6),
        ],
        [(3.25, 11.6), (3.2, 10.4), (4.05, 8.8), (5.35, 6.3), (5.7, 3.6), (5.0, 1.2), (2.5, 0.7), (0, 0.65)],
    )
    ear = strap(
        curve([(3.5, 10.6), (5.0, 11.2), (7.0, 10.6), (8.3, 8.6), (8.3, 6.2), (7.2, 4.3), (5.7, 3.4)]),
        0.38,
        0.75,
        0.32,
    )

    def distance(p: Array) -> Array:
        return blend(wall(p), ear(p), 0.8)

    look = glazed(glaze, 6.2, 11.6, PressedMark(3.2, 3.4, 6.1, 72))
    return Body(distance, (-6.4, -0.1, -6.4), (9.0, 12.0, 6.4), look, place, turn(-angle))


def dripper(place: Triple, glaze: Glaze) -> list[Body]:
    """The pour-over cone on its saucer, with a paper filter."""
    wall = _vessel(
        [(1.2, -0.6), (2.6, -0.6), (2.7, 0.0), (5.0, 0.05), (5.35, 0.3), (5.0, 0.58), (3.0, 0.75), (3.2, 1.6),
         (4.6, 4.2), (5.9, 6.6), (6.35, 7.5)],
        [(6.08, 7.62), (5.6, 6.7), (4.2, 4.2), (2.4, 1.0), (1.5, 0.2)],
    )  # fmt: skip
    ear = strap(
        curve([(4.4, 4.4), (6.0, 4.9), (7.5, 4.6), (7.9, 3.3), (6.9, 1.9), (5.4, 0.9), (4.6, 0.4)]),
        0.34,
        0.6,
        0.28,
    )
    sheet = revolved(np.array([(6.55, 9.0), (6.62, 9.0), (2.3, 1.2), (2.2, 1.2)]), 0.03)

    def distance(p: Array) -> Array:
        return blend(wall(p), ear(p), 0.6)

    def filter_distance(p: Array) -> Array:
        around = np.arctan2(p[2], p[0])
        ruffle = np.sin(around * 9 + np.sin(around * 2) * 2) * np.clip(p[1] - 6, 0, 3) * np.float32(0.045)
        scale = 1 - ruffle / 6
        return sheet(np.stack([p[0] * scale, p[1], p[2] * scale])) * np.float32(0.7)

    return [
        Body(distance, (-6.6, -0.8, -6.6), (8.5, 7.9, 6.6), glazed(glaze, 3.4, 7.5), place, turn(-40)),
        Body(filter_distance, (-7.2, 1.0, -7.2), (7.2, 9.3, 7.2), flat("efe6d6"), place),
    ]


def canister(place: Triple, glaze: Glaze) -> list[Body]:
    """A jar for beans, with an oak lid and a turned knob."""
    wall = _vessel(
        [(0, 0), (4.6, 0), (5.1, 0.15), (5.4, 1.0), (5.5, 4), (5.5, 9), (5.4, 11.3), (5.15, 12.1)],
        [(4.8, 12.1), (4.95, 11.3), (5.1, 9), (5.1, 2), (4.6, 0.9), (0, 0.8)],
    )
    lid = revolved(
        np.concatenate([
            curve([(0, 12.05), (5.2, 12.05), (5.45, 12.3), (5.45, 13.0), (5.2, 13.25), (1.2, 13.4)]),
            curve([(0.75, 13.7), (0.8, 14.0), (1.35, 14.6), (1.3, 15.2), (0.7, 15.5), (0, 15.5)]),
        ]),
        0.03,
    )  # fmt: skip
    look = glazed(glaze, 7.6, 12.1, PressedMark(4.4, 4.6, 5.5, 100))
    return [
        Body(wall, (-5.8, -0.1, -5.8), (5.8, 12.4, 5.8), look, place),
        Body(lid, (-5.8, 11.9, -5.8), (5.8, 15.8, 5.8), wood("c99b68", "8a5a33"), place, turn(25)),
    ]


def _bean(p: Array) -> Array:
    whole = ellipsoid(p, (0, 0, 0), (0.62, 0.34, 0.45))
    # The crease lies on the flat side; a gentle S, as beans have.
    bent = np.stack([p[0], p[1], p[2] - np.sin(p[0] * 5) * np.float32(0.04)])
    crease = np.sqrt((bent[1] - 0.36) ** 2 + bent[2] ** 2) - np.float32(0.10)
    flattened = np.maximum(whole, p[1] - np.float32(0.25))
    result: Array = np.maximum(flattened, -crease) - np.float32(0.02)
    return result


def beans(spots: list[tuple[float, float]], level: float, seed: int) -> list[Body]:
    """Roasted beans lying at ``spots`` (x, z) on the height ``level``."""
    rng = np.random.default_rng(seed)
    look = bean_look()
    result = []
    for x, z in spots:
        rolled = turn(float(rng.choice([0, 0, 180]) + rng.uniform(-30, 30)), "x")
        rotation = turn(float(rng.uniform(0, 360))) @ rolled
        result.append(
            Body(_bean, (-0.7, -0.45, -0.55), (0.7, 0.45, 0.55), look, (x, level + 0.36, z), rotation)
        )
    return result


def scattered(
    count: int, centre: tuple[float, float], spread: tuple[float, float], seed: int
) -> list[tuple[float, float]]:
    """Spots that keep a bean's length between each other."""
    rng = np.random.default_rng(seed)
    spots: list[tuple[float, float]] = []
    while len(spots) < count:
        x, z = rng.normal(0, 1, 2) * spread + centre
        if all((x - a) ** 2 + (z - b) ** 2 > 1.35 for a, b in spots):
            spots.append((float(x), float(z)))
    return spots


def board(place: Triple, half: Triple, angle: float, light: str = "d3aa78", dark: str = "8f5f38") -> Body:
    """A wooden board; ``place`` is the middle of its top."""
    centre = (place[0], place[1] - half[1], place[2])
    low, high = tuple(-h - 0.05 for h in half), tuple(h + 0.05 for h in half)
    return Body(
        box(half, 0.25),
        (low[0], low[1], low[2]),
        (high[0], high[1], high[2]),
        wood(light, dark),
        centre,
        turn(angle),
    )


def block(place: Triple, half: Triple, angle: float, look: Look, rounding: float = 0.12) -> Body:
    """A plinth; ``place`` is the middle of its top."""
    body = board(place, half, angle)
    return Body(box(half, rounding), body.low, body.high, look, body.place, body.rotation)
