"""The sets: what stands where, in which light, seen from where. In cm; the viewer looks along -z."""

from dataclasses import dataclass

from data.studio import figure, wares
from data.studio.geometry import turn
from data.studio.light import Camera, Triple, room, softbox, window
from data.studio.looks import paper, stone
from data.studio.tracer import Scene, Sweep


@dataclass
class Shot:
    """A scene, its exposure, where steam rises from (if at all), and how high (1 is half the picture)."""

    scene: Scene
    exposure: float = 1.0
    steam: Triple | None = None
    plume: float = 0.9


def mug_on_board() -> Shot:
    """The hero: the sea-green mug by a window, room for words on the left."""
    bodies = [
        wares.board((3, 1.7, -1), (17, 0.85, 9.5), 14),
        *wares.mug((3.2, 1.7, -0.5), 38, wares.SEA),
        *wares.beans([(-5.2, 4.6), (-6.6, 3.2), (-3.6, 5.8), (10.6, 5.6)], 1.7, 5),
    ]
    panels = [
        softbox((-50, 36, -8), (0, 5, 0), (30, 44), (38, 33.5, 27.5), window(2, 3, 0.07)),
        softbox((46, 30, 34), (0, 8, 0), (26, 40), (1.6, 1.7, 1.9)),
        softbox((-30, 24, 48), (0, 6, 0), (7, 40), (7.5, 7.2, 6.8)),
    ]
    camera = Camera((-5, 25, 54), (-1.2, 6.3, 0), 23, (2.5, 6, 3.6), 0.4)
    sweep = Sweep(-48, 30, paper("cfc2b2", "c6b8a8"))
    sky = room((0.34, 0.35, 0.38), (0.16, 0.155, 0.15), (0.1, 0.09, 0.08))
    return Shot(Scene(bodies, panels, sky, sweep, camera, (0.16, 0.15, 0.14)), 1.0, (3.2, 10.2, -0.5))


def cups_on_stone() -> Shot:
    """Three small cups in three glazes, in hard morning sun on clay-coloured paper."""
    travertine = stone("e3d6c3", "b79f82")
    bodies = [
        wares.block((-3.5, 3.4, -2), (9.5, 1.7, 7.5), 8, travertine),
        wares.block((10.5, 7.2, -4.5), (4.6, 3.6, 4.6), -14, travertine),
        wares.cup((-4.4, 3.4, -1.4), wares.INK, 3.6),
        wares.cup((-4.4, 7.3, -1.4), wares.SAND, 2.9),
        wares.cup((10.4, 7.2, -4.2), wares.SEA, 3.2),
        *wares.beans([(1.9, 1.6), (3.0, -1.0), (0.6, 3.1)], 3.4, 3),
        *wares.beans([(10.5, 5.6), (8.2, 7.4)], 0, 4),
    ]
    panels = [
        softbox((-76, 66, 6), (0, 5, 0), (15, 15), (235, 200, 155)),
        softbox((50, 40, 30), (0, 8, 0), (40, 40), (1.5, 1.6, 1.8)),
    ]
    camera = Camera((3, 17, 62), (2.4, 8.0, -1), 23, (0, 8, 1), 0.35)
    sweep = Sweep(-34, 22, paper("c98f6b", "cf9976"))
    sky = room((0.36, 0.38, 0.44), (0.22, 0.21, 0.21), (0.16, 0.13, 0.11))
    return Shot(Scene(bodies, panels, sky, sweep, camera, (0.22, 0.19, 0.17)), 1.0)


def pour_over() -> Shot:
    """Dripper and server on dark oak before sage-coloured paper."""
    bodies = [
        wares.board((2, 1.6, -1), (15, 0.8, 10), -9, "9c6f47", "5d3b22"),
        wares.server((1.5, 1.6, -1), 30, wares.MOSS),
        *wares.dripper((1.5, 13.9, -1), wares.MOSS),
        wares.cup((-10.2, 1.6, 4.6), wares.SAND, 3.4),
        *wares.beans(wares.scattered(9, (12.2, 6.4), (1.8, 1.2), 12), 1.6, 6),
    ]
    panels = [
        softbox((-50, 42, -6), (0, 10, 0), (30, 50), (34, 31.5, 27.5), window(2, 4, 0.06)),
        softbox((46, 36, 34), (0, 12, 0), (26, 44), (1.8, 1.8, 1.8)),
        softbox((-30, 24, 48), (0, 6, 0), (7, 40), (7.5, 7.2, 6.8)),
    ]
    camera = Camera((-6, 24, 70), (0.4, 11.4, 0), 25, (1, 11, 4), 0.5)
    sweep = Sweep(-46, 30, paper("a9b09b", "a3ab95"))
    sky = room((0.32, 0.35, 0.35), (0.15, 0.155, 0.14), (0.1, 0.1, 0.08))
    return Shot(Scene(bodies, panels, sky, sweep, camera, (0.15, 0.15, 0.13)), 1.0, (1.5, 22.0, -1))


def canister_and_beans() -> Shot:
    """The bean jar among spilt beans, on stone, before dusky blue paper."""
    slate = stone("8e979b", "5b656b")
    bodies = [
        wares.block((0, 1.5, -2), (19, 0.75, 11), -6, slate),
        *wares.canister((-5.2, 1.5, -3), wares.CLAY),
        wares.cup((8.8, 1.5, 0.4), wares.CLAY, 3.0),
        *wares.beans(wares.scattered(34, (3.2, 4.4), (3.6, 1.5), 4), 1.5, 9),
    ]
    panels = [
        softbox((-48, 40, -2), (0, 6, 0), (34, 40), (34, 30.5, 26)),
        softbox((46, 34, 34), (0, 8, 0), (26, 44), (1.8, 1.8, 1.9)),
        softbox((-30, 24, 48), (0, 6, 0), (7, 40), (7.5, 7.2, 6.8)),
    ]
    camera = Camera((4, 23, 62), (0.6, 7.2, -1), 25, (-2, 6, 2), 0.5)
    sweep = Sweep(-44, 30, paper("7d8f9a", "73858f"))
    sky = room((0.32, 0.35, 0.39), (0.15, 0.16, 0.175), (0.1, 0.1, 0.11))
    return Shot(Scene(bodies, panels, sky, sweep, camera, (0.15, 0.15, 0.16)), 1.05)


def turntable(moment: float) -> Shot:
    """The clip's set at ``moment`` (0..1): the mug turns, the camera goes round it, the sun moves on."""
    ease = moment * moment * (3 - 2 * moment)
    bodies = [
        wares.board((0, 1.7, -1), (15, 0.85, 10), 10),
        *wares.mug((0, 1.7, -0.5), 78 - 62 * ease, wares.SEA),
        wares.cup((-11.0, 1.7, -5.2), wares.SAND, 3.2),
        *wares.beans([(-6.6, 5.0), (-8.0, 3.6), (-5.0, 6.2), (9.8, 4.4)], 1.7, 5),
    ]
    panels = [
        softbox(
            (-52 + 14 * ease, 30 + 14 * ease, -12 + 22 * ease),
            (0, 5, 0),
            (30, 44),
            (37, 32, 25.5),
            window(2, 3, 0.08),
        ),
        softbox((46, 30, 34), (0, 8, 0), (26, 40), (1.6, 1.7, 1.9)),
        softbox((-30, 24, 48), (0, 6, 0), (7, 40), (7.5, 7.2, 6.8)),
    ]
    swing = turn(-16 + 26 * ease)
    eye = swing @ (0.0, 0.0, 46.0 - 4.0 * ease)
    camera = Camera((float(eye[0]), 23 - 2.5 * ease, float(eye[2])), (0.2, 6.7, 0), 24, (0, 6.5, 3.4), 0.1)
    sweep = Sweep(-46, 30, paper("c9bba9", "bfb09e"))
    sky = room((0.34, 0.34, 0.37), (0.16, 0.155, 0.15), (0.1, 0.09, 0.08))
    return Shot(Scene(bodies, panels, sky, sweep, camera, (0.16, 0.15, 0.14)), 1.0, (0.0, 10.2, -0.5))


def portrait() -> Shot:
    """The potter with her own mug, before sea-grey paper."""
    bodies = [*figure.sitter(), *wares.mug((0.0, 18.4, 14.8), 22, wares.SEA)]
    panels = [
        softbox((-62, 74, 52), (0, 32, 4), (56, 60), (20, 18.3, 16.2)),
        softbox((60, 58, -34), (0, 34, 0), (22, 70), (6, 5.5, 4.8)),
    ]
    camera = Camera((7, 38, 150), (0.5, 35.5, 4), 23.5, (0, 42, 8), 0.5)
    sweep = Sweep(-52, 36, paper("9fb0ab", "93a6a2"))
    sky = room((0.40, 0.42, 0.44), (0.22, 0.22, 0.22), (0.16, 0.15, 0.14))
    return Shot(Scene(bodies, panels, sky, sweep, camera, (0.2, 0.185, 0.175)), 1.0, (0.0, 27.6, 14.8), 0.2)
