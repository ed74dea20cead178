"""``results.csv``: the campaign's own rows with what became of them, readable as a campaign again."""

import os
import re
from pathlib import Path, PureWindowsPath

from blocks.money import to_dollars
from tasks.campaign_file import RESULT_COLUMNS
from tasks.exports import Cell, csv_bytes
from tasks.record import BriefRecord, RunRecord

SOURCE_COLUMNS = ("edit_image", "compose_images", "video", "video_images")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def results_csv(record: RunRecord, folder: Path) -> bytes:
    """Write the file for a place in ``folder``: sources and assets are named from there."""
    # A campaign that is itself a results.csv brings these columns along; the new run's stand in their place.
    columns = [name for name in record.csv_columns if name not in RESULT_COLUMNS]
    campaign = Path(record.csv_path).parent.resolve()
    here = folder.resolve()
    rows = [_row(brief, columns, campaign, here) for brief in record.briefs]
    return csv_bytes([*columns, *RESULT_COLUMNS], rows)


def _row(brief: BriefRecord, columns: list[str], campaign: Path, here: Path) -> list[Cell]:
    cells: list[Cell] = []
    for name in columns:
        cell = brief.row.get(name, "")
        cells.append(_sources_from(here, campaign, cell) if name in SOURCE_COLUMNS else cell)
    assets = {stage.stage: "|".join(asset.path for asset in stage.assets) for stage in brief.stages}
    return [
        *cells,
        brief.status,
        to_dollars(brief.charged),
        brief.error,
        assets.get("edit"),
        assets.get("compose"),
        assets.get("video"),
    ]


def _sources_from(here: Path, campaign: Path, cell: str) -> str:
    """Name the same files from another folder."""
    return "|".join(_source_from(here, campaign, source.strip()) for source in cell.split("|"))


def _source_from(here: Path, campaign: Path, source: str) -> str:
    if not source or _URL.match(source) or Path(source).is_absolute() or PureWindowsPath(source).drive:
        return source
    path = campaign / source
    # Links among the folders are followed, since ".." means another folder beyond one; the name stays.
    path = path.parent.resolve() / path.name
    try:
        return Path(os.path.relpath(path, here)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
