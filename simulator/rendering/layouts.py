"""Where the references of a composition go: one large, the others in rows or columns that end flush with it.

Given the shape of every card, the size of the whole block follows from one linear equation, so that all
edges meet and nothing is cropped to fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_HERO_SIDES = ("left", "right", "top", "bottom")
_SHAPES = (0.6, 1.9)  # shapes beyond these are cropped to them
_GOOD_ENOUGH = 0.85  # of the best score; among these the prompt decides


@dataclass(frozen=True)
class Box:
    """Pixels from the upper left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class _Block:
    """Cards in abstract units; ``score`` says how well they fill the area."""

    boxes: tuple[tuple[float, float, float, float], ...]
    score: float


def card_boxes(sizes: Sequence[tuple[int, int]], canvas: tuple[int, int], layout: int) -> list[Box]:
    """One box for each picture size, in their order, on ``canvas``; ``layout`` picks among the good ones."""
    unit = min(canvas) / 100
    margin, foot, gap = 6 * unit, 8.5 * unit, 2.6 * unit  # the foot leaves room for the mark
    area = (canvas[0] - 2 * margin, canvas[1] - margin - foot)
    shapes = [min(max(width / height, _SHAPES[0]), _SHAPES[1]) for width, height in sizes]
    blocks = _blocks(shapes, area, gap)
    best = max(block.score for block in blocks)
    good = [block for block in blocks if block.score >= _GOOD_ENOUGH * best]
    chosen = good[layout % len(good)]
    right = max(left + width for left, _, width, _ in chosen.boxes)
    bottom = max(top + height for _, top, _, height in chosen.boxes)
    across, down = margin + (area[0] - right) / 2, margin + (area[1] - bottom) / 2
    return [
        Box(round(across + left), round(down + top), max(8, round(width)), max(8, round(height)))
        for left, top, width, height in chosen.boxes
    ]


def _blocks(shapes: Sequence[float], area: tuple[float, float], gap: float) -> list[_Block]:
    if len(shapes) == 1:
        return [_single(shapes[0], area)]
    blocks = []
    for side in _HERO_SIDES:
        for lines in range(1, len(shapes)):
            blocks.append(_mosaic(shapes, area, gap, side, lines))
    return blocks


def _single(shape: float, area: tuple[float, float]) -> _Block:
    width = min(area[0], area[1] * shape)
    return _Block(((0.0, 0.0, width, width / shape),), 1.0)


def _mosaic(shapes: Sequence[float], area: tuple[float, float], gap: float, side: str, lines: int) -> _Block:
    """The first card at ``side``, the others in so many rows beside it, or columns above or below it."""
    upright = side in {"top", "bottom"}
    # Above and below is left and right with width and height exchanged.
    turned = [1 / shape for shape in shapes] if upright else list(shapes)
    width, height = (area[1], area[0]) if upright else area
    hero, groups = turned[0], _parted(turned[1:], lines)
    # With hero height H and row width w: H = sum of row heights + gaps, w = width - hero * H - gap.
    inverse = sum(1 / sum(group) for group in groups)
    taken = sum(gap * (len(group) - 1) / sum(group) for group in groups)
    hero_height = ((width - gap) * inverse - taken + gap * (len(groups) - 1)) / (1 + hero * inverse)
    row_width = width - hero * hero_height - gap
    if row_width <= 0 or hero_height <= 0:
        return _Block(((0.0, 0.0, 8.0, 8.0),) * len(shapes), 0.0)
    boxes = [(0.0, 0.0, hero * hero_height, hero_height)]
    top = 0.0
    for group in groups:
        row_height = (row_width - gap * (len(group) - 1)) / sum(group)
        left = hero * hero_height + gap
        for shape in group:
            boxes.append((left, top, shape * row_height, row_height))
            left += shape * row_height + gap
        top += row_height + gap
    factor = min(1.0, height / hero_height)
    boxes = [(factor * a, factor * b, factor * c, factor * d) for a, b, c, d in boxes]
    if side in {"right", "bottom"}:
        reach = max(left + width for left, _, width, _ in boxes)
        boxes = [(reach - left - width, top, width, height) for left, top, width, height in boxes]
    if upright:
        boxes = [(top, left, height, width) for left, top, width, height in boxes]
    return _Block(tuple(boxes), _score(boxes, area))


def _parted(shapes: Sequence[float], lines: int) -> list[list[float]]:
    """In order, into so many lines of nearly equal length."""
    goal = sum(shapes) / lines
    groups: list[list[float]] = [[]]
    for index, shape in enumerate(shapes):
        remaining_lines = lines - len(groups)
        full = sum(groups[-1]) + shape / 2 > goal
        must = len(shapes) - index <= remaining_lines
        if groups[-1] and remaining_lines and (full or must):
            groups.append([])
        groups[-1].append(shape)
    return groups


def _score(boxes: Sequence[tuple[float, float, float, float]], area: tuple[float, float]) -> float:
    """Covered share of the area, less where the smallest card is tiny or the first one does not lead."""
    areas = [width * height for _, _, width, height in boxes]
    if min(min(width, height) for _, _, width, height in boxes) <= 0:
        return 0.0
    covered = sum(areas) / (area[0] * area[1])
    smallest = min(1.0, min(areas[1:]) / (0.35 * sum(areas[1:]) / len(areas[1:])))
    room = min(1.0, min(areas) / (0.6 * area[0] * area[1] / len(areas)))
    leads = min(1.0, areas[0] / (1.3 * max(areas[1:])))
    crowded = min(1.0, (2.2 / len(areas) + 0.3) * sum(areas) / areas[0])  # many others need their share
    return covered * smallest * room * leads * crowded
