"""The mark that no simulated picture or frame goes without: a small label, and the words for its metadata."""

from PIL import Image, ImageDraw, ImageFont

LABEL = "SIMULATED · kling-campaigns"
# ASCII, since EXIF's plain text fields know nothing else.
COMMENT = "SIMULATED by kling-campaigns: made by its built-in simulator, not by a generative model"
SOFTWARE = "kling-campaigns simulator"

_SMALLEST_FONT = 12
_FONT_SHARE = 0.022  # of the shorter side
_INK = (255, 255, 255, 235)
_PLATE = (12, 14, 18, 150)


def label_for(size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """The label as RGBA for a picture of this size, and where its upper left corner goes (both even)."""
    points = max(_SMALLEST_FONT, round(min(size) * _FONT_SHARE))
    font = ImageFont.load_default(points)
    left, top, right, bottom = font.getbbox(LABEL)
    padding_x, padding_y = round(points * 0.75), round(points * 0.45)
    width = _even(right - left + 2 * padding_x)
    height = _even(bottom - top + 2 * padding_y)
    label = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    drawing = ImageDraw.Draw(label)
    drawing.rounded_rectangle((0, 0, width - 1, height - 1), radius=height // 2, fill=_PLATE)
    text = Image.new("RGBA", label.size, (0, 0, 0, 0))
    ImageDraw.Draw(text).text((padding_x - left, padding_y - top), LABEL, font=font, fill=_INK)
    label.alpha_composite(text)
    margin = _even(round(points * 0.9))
    return label, (margin, _even(size[1] - margin - height))


def mark_picture(picture: Image.Image) -> Image.Image:
    """The same RGB picture with the label in its lower left corner."""
    label, place = label_for(picture.size)
    picture.paste(label.convert("RGB"), place, label.getchannel("A"))
    return picture


def _even(value: float) -> int:
    return int(value) // 2 * 2
