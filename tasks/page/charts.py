"""Charts as SVG: across in per cent, down and in type in pixels, so that text keeps its size at every width.

Colours come from the page's style by class; no chart says anything by colour alone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.exports import visible
from tasks.page.texts import brief_seconds

_FOLD = Markup("")


@dataclass(frozen=True)
class Part:
    """One stretch of a bar; ``kind`` is the class that colours it."""

    kind: str
    label: str
    value: float


def stacked_bar(parts: Sequence[Part], *, label: str, height: int = 12) -> Markup:
    """One bar over the whole width, its parts in proportion."""
    total = sum(part.value for part in parts)
    pieces, at = [], 0.0
    for part in parts:
        if part.value <= 0:
            continue
        share = 100 * part.value / total
        pieces.append(
            Markup(
                '<rect class="{}" x="{:.2f}%" width="{:.2f}%" height="{}"><title>{}</title></rect>'
            ).format(part.kind, at, share, height, part.label)
        )
        at += share
    return _drawing("stack", height, label, pieces)


def share_bar(parts: Sequence[Part], whole: float) -> Markup:
    """A bar beside its figure in a table, against the longest of its kind; said by the figure, so not read out."""
    pieces, at = [], 0.0
    for part in parts:
        if part.value <= 0 or whole <= 0:
            continue
        share = 100 * part.value / whole
        pieces.append(
            Markup('<rect class="{}" x="{:.2f}%" width="{:.2f}%" height="10" rx="1.5"/>').format(
                part.kind, at, share
            )
        )
        at += share
    return Markup('<svg class="share" width="100%" height="10" aria-hidden="true">{}</svg>').format(
        _FOLD.join(pieces)
    )


def histogram(
    values: Sequence[float], marks: Sequence[tuple[str, float]], *, kind: str, label: str, top: float
) -> Markup:
    """How often which time came, from 0 to ``top`` seconds, with percentiles marked."""
    bins = 40
    width = top / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / width))] += 1
    most, height, foot = max(counts), 84, 18
    pieces: list[Markup] = []
    for number, found in enumerate(counts):
        if found:
            tall = max(2.0, (height - 20) * found / most)
            span = f"{brief_seconds(number * width)} to {brief_seconds((number + 1) * width)}: {found}"
            pieces.append(
                Markup(
                    '<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"><title>{}</title></rect>'
                ).format(kind, 100 * number / bins, height - tall, 100 / bins - 0.3, tall, span)
            )
    pieces += _marks(marks, top, height)
    pieces += _ticks(top, height, foot)
    return _drawing("histogram", height + foot, label, pieces)


def _marks(marks: Sequence[tuple[str, float]], top: float, height: int) -> Iterable[Markup]:
    last = -20.0
    for name, value in marks:
        at = min(100.0, 100 * value / top)
        yield Markup('<line class="mark" x1="{0:.2f}%" x2="{0:.2f}%" y1="14" y2="{1}"/>').format(at, height)
        # Percentiles that lie close together share the first one's place.
        if at - last > 9:
            end = at > 90
            yield Markup('<text class="mark-name" x="{:.2f}%" y="10" text-anchor="{}">{}</text>').format(
                at, "end" if end else "middle" if at > 4 else "start", name
            )
            last = at


def axis(top: float) -> list[float]:
    """Round values from 0 up to ``top``, four or so."""
    if top <= 0:
        return [0.0]
    rough = top / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [step * number for number in range(int(top / step + 1e-9) + 1)]


def _ticks(top: float, height: int, foot: int) -> Iterable[Markup]:
    yield Markup('<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(height)
    for value in axis(top):
        at = 100 * value / top
        anchor = "start" if at < 3 else "end" if at > 97 else "middle"
        yield Markup('<text class="tick" x="{:.2f}%" y="{}" text-anchor="{}">{}</text>').format(
            at, height + foot - 4, anchor, tick_text(value, top)
        )


def tick_text(value: float, top: float) -> str:
    if value == 0:
        return "0"
    if top >= 2 * 3600:
        return f"{value / 3600:g} h"
    return f"{value / 60:g} min" if top >= 180 else f"{value:g} s"


def _drawing(name: str, height: int, label: str, pieces: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg class="chart {}" width="100%" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(name, height, visible(label), _FOLD.join(pieces))
