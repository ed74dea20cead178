"""One small picture of what a run has finished: a tile for each of the first briefs, with its name below.

It is drawn from the page's own small pictures, so that nothing large is decoded for it.
"""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from tasks.page import FOLDER
from tasks.page.thumbnails import Size, thumbnail_name
from tasks.record import AssetRecord, BriefRecord, RunRecord

MOST_TILES = 12
_COLUMNS = 4
_TILE = (240, 180)
_LABEL = 22
_GAP = 8
_PAPER, _INK = (24, 26, 30), (230, 230, 230)
_QUALITY = 80


def contact_sheet(record: RunRecord, folder: Path) -> tuple[bytes, int] | None:
    """A JPEG of about 100 kB, and how many finished briefs it shows; None where there is nothing to show.

    What the service flagged is not on it.
    """
    tiles: list[tuple[str, Image.Image]] = []
    for brief in record.briefs:
        if len(tiles) < MOST_TILES and brief.status == "done" and (picture := _last_picture(brief, folder)):
            tiles.append((brief.brief, picture))
    if not tiles:
        return None
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = _TILE[0] + _GAP, _TILE[1] + _LABEL + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for index, (name, picture) in enumerate(tiles):
        left, top = _GAP + index % columns * width, _GAP + index // columns * height
        sheet.paste(ImageOps.pad(picture, _TILE, color=_PAPER), (left, top))
        pen.text((left, top + _TILE[1] + 3), _fitting(name, font), _INK, font)
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue(), len(tiles)


def _last_picture(brief: BriefRecord, folder: Path) -> Image.Image | None:
    """The small picture of what the brief ends with: its clip's still, or its last picture."""
    for stage in reversed(brief.stages):
        for asset in stage.assets:
            if not asset.flagged_nsfw and (picture := _small(asset, folder)):
                return picture
    return None


def _small(asset: AssetRecord, folder: Path) -> Image.Image | None:
    try:
        with Image.open(
            folder / FOLDER / thumbnail_name(asset.sha256, Size.SMALL), formats=("WEBP",)
        ) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError):
        return None


def _fitting(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(name) <= _TILE[0]:
        return name
    while name and font.getlength(f"{name}…") > _TILE[0]:
        name = name[:-1]
    return f"{name}…"
