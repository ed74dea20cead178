"""The charts over all runs, as SVG: a run is a step from left to right, the oldest first.

Across in per cent, down in pixels, so that type keeps its size at every width. Each chart says in words what it shows,
and every figure of it stands in the table of runs.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from tasks.exports import visible

# In pixels: the lowest line, the highest one, and what is left below for a mark on the lowest.
_HEIGHT, _TOP, _FOOT = 120.0, 10.0, 6.0
_NOTHING = Markup("")
# Marks of different shape, since no line is told by its colour alone.
SHAPES = {"edit": "circle", "compose": "square", "video": "triangle"}


@dataclass(frozen=True)
class Bar:
    """``parts`` are (class, value) from below; ``title`` says the same in words."""

    parts: tuple[tuple[str, float], ...]
    title: str


@dataclass(frozen=True)
class Line:
    """One value a run, None where it has none; ``kind`` is the class that colours it, and names its marks' shape."""

    kind: str
    values: tuple[float | None, ...]
    titles: tuple[str, ...]


def bar_chart(bars: Sequence[Bar], *, top: float, label: str, shown: Callable[[float], str]) -> Markup:
    """``top`` is the value at full height; ``shown`` spells a value for the scale."""
    width = 100 / max(1, len(bars))
    pieces = list(_grid(top))
    for number, bar in enumerate(bars):
        rects, at = [], _HEIGHT
        for kind, value in bar.parts:
            tall = (_HEIGHT - _TOP) * value / top if top > 0 else 0.0
            if tall <= 0:
                continue
            at -= tall
            rects.append(
                Markup('<rect class="{}" x="{:.3f}%" y="{:.1f}" width="{:.3f}%" height="{:.1f}"/>').format(
                    kind, number * width + width * 0.1, at, width * 0.8, tall
                )
            )
        if rects:
            pieces.append(
                Markup("<g><title>{}</title>{}</g>").format(visible(bar.title), _NOTHING.join(rects))
            )
    return _drawing(label, top, shown, pieces)


def line_chart(lines: Sequence[Line], *, top: float, label: str, shown: Callable[[float], str]) -> Markup:
    """Lines are broken where a run has no value."""
    pieces = list(_grid(top))
    for line in lines:
        count = max(1, len(line.values))
        places = [
            None if value is None else (100 * (number + 0.5) / count, _height_of(value, top))
            for number, value in enumerate(line.values)
        ]
        for before, after in pairwise(places):
            if before is not None and after is not None:
                pieces.append(
                    Markup(
                        '<line class="trend {}" x1="{:.3f}%" y1="{:.1f}" x2="{:.3f}%" y2="{:.1f}"/>'
                    ).format(line.kind, *before, *after)
                )
        for place, title in zip(places, line.titles, strict=True):
            if place is not None:
                pieces.append(_mark(line.kind, *place, title))
    return _drawing(label, top, shown, pieces)


def share_bar(kind: str, value: float, most: float) -> Markup:
    """A bar beside its figure, against the longest of its kind; the figure says it."""
    share = 100 * value / most if most > 0 else 0.0
    return Markup(
        '<svg class="share" width="100%" height="10" aria-hidden="true">'
        '<rect class="{}" width="{:.2f}%" height="10" rx="1.5"/></svg>'
    ).format(kind, share)


def _height_of(value: float, top: float) -> float:
    return _HEIGHT - (_HEIGHT - _TOP) * value / top if top > 0 else _HEIGHT


def _mark(kind: str, x: float, y: float, title: str) -> Markup:
    shape = SHAPES[kind.removeprefix("is-")]
    # Inner SVGs stand at a place in per cent, which a path cannot.
    drawn = {
        "circle": Markup('<circle cx="0" cy="0" r="3"/>'),
        "square": Markup('<rect x="-3" y="-3" width="6" height="6"/>'),
        "triangle": Markup('<polygon points="0,-4 4,3 -4,3"/>'),
    }[shape]
    return Markup(
        '<svg x="{:.3f}%" y="{:.1f}" overflow="visible"><g class="point {}"><title>{}</title>{}</g></svg>'
    ).format(x, y, kind, visible(title), drawn)


def full_height(most: float) -> float:
    """A round value that ``most`` does not pass."""
    if most <= 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(most))
    return next(unit * factor for factor in (1, 2, 3, 4, 5, 6, 8, 10) if unit * factor >= most * (1 - 1e-9))


def _grid(top: float) -> Iterator[Markup]:
    for share in (0.0, 0.5, 1.0) if top > 0 else (0.0,):
        y = _height_of(share, 1.0)
        kind = "axis" if share == 0 else "grid"
        yield Markup('<line class="{0}" x1="0" x2="100%" y1="{1:.1f}" y2="{1:.1f}"/>').format(kind, y)


def _drawing(label: str, top: float, shown: Callable[[float], str], pieces: Sequence[Markup]) -> Markup:
    """The scale stands beside the chart, where no bar hides it."""
    scale = [shown(top), shown(top / 2), "0"] if top > 0 else ["", "", "0"]
    return Markup(
        '<div class="plot"><div class="scale" aria-hidden="true">{}</div>'
        '<svg class="chart" width="100%" height="{:.0f}" role="img" aria-label="{}">{}</svg></div>'
    ).format(
        _NOTHING.join(Markup("<span>{}</span>").format(text) for text in scale),
        _HEIGHT + _FOOT,
        visible(label),
        _NOTHING.join(pieces),
    )
