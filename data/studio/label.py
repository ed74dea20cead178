"""The maker's mark (a tern over a dune) and the printed label, drawn flat."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.studio.finish import blurred
from data.studio.geometry import Array, Table, curve

_SHARPEN = 3  # drawn this many times larger, then reduced


def _ink(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (size, size), 0)
    return image, ImageDraw.Draw(image)


def tern(size: int) -> Image.Image:
    """The bird alone, white on black, ``size`` pixels square."""
    large = size * _SHARPEN
    image, draw = _ink(large)

    def shape(points: list[tuple[float, float]]) -> None:
        draw.polygon([(float(x) * large, float(y) * large) for x, y in curve(points, 20)], fill=255)

    # Far wing, near wing, body with its forked tail and its beak.
    shape([(0.50, 0.50), (0.43, 0.36), (0.30, 0.24), (0.08, 0.17), (0.24, 0.30), (0.33, 0.42), (0.40, 0.55)])
    shape([(0.46, 0.52), (0.57, 0.35), (0.72, 0.23), (0.95, 0.19), (0.78, 0.31), (0.68, 0.43), (0.58, 0.57)])
    shape(
        [
            (0.86, 0.62),
            (0.78, 0.575),
            (0.70, 0.535),
            (0.58, 0.50),
            (0.46, 0.48),
            (0.36, 0.52),
            (0.40, 0.59),
            (0.52, 0.63),
            (0.64, 0.61),
            (0.74, 0.595),
        ]
    )
    draw.polygon(
        [
            (x * large, y * large)
            for x, y in ((0.42, 0.50), (0.05, 0.60), (0.27, 0.575), (0.10, 0.68), (0.44, 0.585))
        ],
        fill=255,
    )
    return image.resize((size, size), Image.Resampling.LANCZOS)


def mark(size: int) -> Image.Image:
    """The round mark: the tern above two lines of dune, in a ring."""
    large = size * _SHARPEN
    image, draw = _ink(large)
    edge, line = large * 0.02, round(large * 0.026)
    draw.ellipse((edge, edge, large - edge, large - edge), outline=255, width=line)
    bird = tern(round(large * 0.66))
    image.paste(255, (round(large * 0.17), round(large * 0.13)), bird)
    for height, reach in ((0.70, 0.33), (0.79, 0.25)):
        x = np.linspace(-reach, reach, 80)
        y = height + 0.022 * np.sin(x * 16 + height * 9)
        draw.line([((0.5 + a) * large, b * large) for a, b in zip(x, y, strict=True)], fill=255, width=line)
    return image.resize((size, size), Image.Resampling.LANCZOS)


class PressedMark:
    """The mark as 0..1 on a wall of about ``radius`` cm, ``size`` cm wide.

    It is centred at the height ``centre_y`` and ``angle`` degrees from +x.
    """

    def __init__(self, size: float, centre_y: float, radius: float, angle: float) -> None:
        pixels = np.asarray(mark(320), dtype=np.float32) * np.float32(1 / 255)
        self.table = Table((-1.0, -1.0), (1.0, 1.0), 318)
        self.table.values = np.ascontiguousarray(
            pixels[::-1][: self.table.rows, : self.table.columns]
        ).ravel()
        self.half = size / 2
        self.centre_y, self.radius, self.angle = centre_y, radius, float(np.radians(angle))

    def __call__(self, p: Array) -> Array:
        around = np.arctan2(p[2], p[0]) - np.float32(self.angle)
        # Seen from outside, a growing angle runs to the left.
        u = -around * np.float32(self.radius / self.half)
        v = (p[1] - np.float32(self.centre_y)) / np.float32(self.half)
        inside = (np.abs(u) < 0.98) & (np.abs(v) < 0.98)
        outer_wall = p[0] * p[0] + p[2] * p[2] > (self.radius - 0.35) ** 2
        return np.where(inside & outer_wall, self.table.read(u, v), np.float32(0))


def _spaced(image: Image.Image, down: float, text: str, size: float, *, gap: float, ink: str) -> None:
    """Write wide-spaced text in the middle of the image; all but ``text`` in parts of its width."""
    draw, large = ImageDraw.Draw(image), image.width
    size, gap = size * large, gap * large
    font = ImageFont.load_default(size)
    widths = [draw.textlength(letter, font=font) for letter in text]
    x = large / 2 - (sum(widths) + gap * (len(text) - 1)) / 2
    for letter, width in zip(text, widths, strict=True):
        draw.text((x, down * large), letter, font=font, fill=ink, anchor="lm")
        x += width + gap


def _dunes(size: int) -> Image.Image:
    """Bands of dune lines from sea to sand, the pattern of the wrapping paper."""
    image = Image.new("RGB", (size, size), "#1f4f57")
    draw = ImageDraw.Draw(image)
    colours = ["#1f4f57", "#2f6f78", "#5d9396", "#a9c2b8", "#e6d8bf", "#d9b48a", "#b8794f", "#2b3a3f"]
    x = np.linspace(-0.02, 1.02, 240)
    bands = 30
    for band in range(bands):
        base = (band - 1) / (bands - 3)
        swell = 0.020 * np.sin(x * 7.0 + band * 0.55) + 0.011 * np.sin(x * 15.0 - band * 1.1)
        y = base + swell
        top = [(a * size, b * size) for a, b in zip(x, y, strict=True)]
        colour = colours[(band * 3 + band // 4) % len(colours)]
        draw.polygon([*top, (size * 1.02, size * 1.1), (-size * 0.02, size * 1.1)], fill=colour)
    return image


def printed_label(size: int) -> Image.Image:
    """The label on its wrapping paper: ``size`` pixels square, RGB."""
    large = size * 2
    image = _dunes(large)
    box = tuple(round(large * k) for k in (0.19, 0.14, 0.81, 0.86))
    shade = np.zeros((large, large), dtype=np.float32)
    shade[box[1] + round(large * 0.012) : box[3] + round(large * 0.012), box[0] : box[2]] = 1
    shade = blurred(shade, large * 0.010) * np.float32(0.45)
    image = Image.fromarray((np.asarray(image) * (1 - shade[..., None])).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    ink, clay = "#23444b", "#b0693f"
    draw.rounded_rectangle(box, radius=large * 0.012, fill="#f3ecdf")
    inner = tuple(b + (1 if k < 2 else -1) * round(large * 0.022) for k, b in enumerate(box))
    draw.rounded_rectangle(inner, radius=large * 0.006, outline=ink, width=round(large * 0.0022))
    round_mark = mark(round(large * 0.26))
    image.paste(ink, (round(large * 0.37), round(large * 0.205)), round_mark)
    _spaced(image, 0.545, "TERNLUND", 0.066, gap=0.0125, ink=ink)
    _spaced(image, 0.605, "STONEWARE FOR SLOW COFFEE", 0.0185, gap=0.0042, ink=clay)
    draw.line(
        (large * 0.42, large * 0.655, large * 0.58, large * 0.655), fill=ink, width=round(large * 0.002)
    )
    _spaced(image, 0.700, "Dune mug  ·  350 ml", 0.026, gap=0.002, ink=ink)
    _spaced(image, 0.742, "thrown, dipped and fired by hand", 0.019, gap=0.0012, ink=ink)
    for k, colour in enumerate(("#2f6f78", "#dcd0bb", "#b8794f", "#2b3a3f")):
        x = large * (0.5 + (k - 1.5) * 0.042)
        r = large * 0.0115
        draw.ellipse((x - r, large * 0.793 - r, x + r, large * 0.793 + r), fill=colour, outline=ink, width=2)
    return image.resize((size, size), Image.Resampling.LANCZOS)
