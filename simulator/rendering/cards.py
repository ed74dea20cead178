"""Reference pictures as cards: rounded corners, a fine rim, a soft shadow."""

from PIL import Image, ImageDraw, ImageFilter

from simulator.rendering.textures import bounded

_OVERSAMPLED = 4
_SHADOW = (6, 8, 14)
_SHADOW_STRENGTH = 0.5


def rounded_mask(size: tuple[int, int], radius: float) -> Image.Image:
    """L at ``size``: opaque inside the rounded rectangle, with smooth corners."""
    mask = Image.new("L", size, 255)
    reach = max(1, min(round(radius), min(size) // 2))
    side = reach * _OVERSAMPLED
    corner = Image.new("L", (side, side), 0)
    ImageDraw.Draw(corner).pieslice((0, 0, 2 * side, 2 * side), 180, 270, fill=255)
    corner = corner.resize((reach, reach), Image.Resampling.BOX)
    right, bottom = size[0] - reach, size[1] - reach
    for turned, place in (
        (corner, (0, 0)),
        (corner.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (right, 0)),
        (corner.transpose(Image.Transpose.FLIP_TOP_BOTTOM), (0, bottom)),
        (corner.transpose(Image.Transpose.ROTATE_180), (right, bottom)),
    ):
        mask.paste(turned, place)
    return mask


def card(picture: Image.Image, unit: float, *, radius: float = 2.2) -> tuple[Image.Image, int]:
    """RGBA of the picture as a card, and how many pixels its shadow adds on every side (even).

    ``unit`` is a hundredth of the shorter side of what the card will lie on; ``radius`` counts in it.
    """
    margin = round(unit * 4) // 2 * 2
    width, height = picture.size
    outer = (width + 2 * margin, height + 2 * margin)
    result = Image.new("RGBA", outer, (*_SHADOW, 0))
    result.putalpha(_shadow(picture.size, outer, margin, unit, radius))
    plate = Image.new("RGBA", outer, (255, 255, 255, 0))
    rim = max(1, round(unit * 0.22))
    plate.paste((255, 255, 255, 255), (margin, margin), rounded_mask(picture.size, unit * radius))
    inner = (width - 2 * rim, height - 2 * rim)
    plate.paste(
        picture.crop((rim, rim, rim + inner[0], rim + inner[1])),
        (margin + rim, margin + rim),
        rounded_mask(inner, unit * radius - rim),
    )
    result.alpha_composite(plate)
    return result, margin


def _shadow(
    size: tuple[int, int], outer: tuple[int, int], margin: int, unit: float, radius: float
) -> Image.Image:
    small = bounded(outer, 320)
    factor = small[0] / outer[0]
    drop = unit * 0.9
    shape = Image.new("L", small, 0)
    left, top = margin * factor, (margin + drop) * factor
    ImageDraw.Draw(shape).rounded_rectangle(
        (left, top, left + size[0] * factor, top + size[1] * factor),
        radius=max(1, unit * radius * factor),
        fill=round(255 * _SHADOW_STRENGTH),
    )
    return shape.filter(ImageFilter.GaussianBlur(unit * 1.3 * factor)).resize(outer, Image.Resampling.BICUBIC)
