"""References in a clip: cards that slide in one after the other and stay."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from simulator.rendering.cards import card
from simulator.rendering.framing import covered
from simulator.rendering.marking import label_for
from simulator.rendering.styles import Variation

_SHAPES = (0.6, 1.8)


@dataclass(frozen=True)
class Inset:
    """``place`` is the final upper left corner of the picture (RGBA, even sides); times in seconds."""

    picture: Image.Image
    place: tuple[int, int]
    comes_from: tuple[int, int]  # the way it has to go, in pixels
    begins: float
    lasts: float


def insets_for(references: Sequence[Image.Image], size: tuple[int, int], variation: Variation) -> list[Inset]:
    """Down the right side of a wide frame, or along the foot above the mark; the prompt's hash decides."""
    if not references:
        return []
    unit = min(size) / 100
    gap = 3 * unit
    pictures = [_card_picture(reference, len(references), size) for reference in references]
    wide = size[0] > size[1]
    if wide and variation.layout % 2 == 0:
        total = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
        top, spots = (size[1] - total) / 2, []
        for picture in pictures:
            spots.append((size[0] - 4.5 * unit - picture.width, top))
            top += picture.height + gap
        comes_from = (round(8 * unit), 0)
    else:
        _, label_place = label_for(size)
        left, spots = size[0] - 4.5 * unit, []
        for picture in reversed(pictures):
            left -= picture.width
            spots.insert(0, (left, label_place[1] - 3 * unit - picture.height))
            left -= gap
        comes_from = (0, round(8 * unit))
    insets = []
    for index, (picture, spot) in enumerate(zip(pictures, spots, strict=True)):
        drawn, margin = card(picture, unit, radius=1.8)
        place = (round(spot[0]) - margin, round(spot[1]) - margin)
        insets.append(
            Inset(drawn, (place[0] // 2 * 2, place[1] // 2 * 2), comes_from, 0.25 + 0.3 * index, 0.7)
        )
    return insets


def _card_picture(reference: Image.Image, count: int, size: tuple[int, int]) -> Image.Image:
    """Of even sides, small enough for ``count`` of them beside each other."""
    height = min(size) * (0.27 if count <= 2 else 0.2)
    width = height * min(max(reference.width / reference.height, _SHAPES[0]), _SHAPES[1])
    factor = min(1.0, 0.84 * size[0] / count / width)
    return covered(reference, (round(width * factor / 2) * 2, round(height * factor / 2) * 2))
