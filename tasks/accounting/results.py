"""``results.csv``: the campaign's own rows with what became of them, readable as a campaign again.

One row of the campaign is one row here, also where it made several variants: so the file is the same campaign again.
What became of each variant stands in the other tables, where a row has the variant's id.
"""

import os
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path, PureWindowsPath

from blocks.money import to_dollars
from tasks.accounting.tables import Table
from tasks.briefs.brief_columns import SOURCE_COLUMNS
from tasks.briefs.campaign_file import RESULT_COLUMNS
from tasks.exports import Cell
from tasks.record import BriefRecord, RunRecord

# A row of several variants is as far as the one that most needs somebody.
_STATUSES = ("held", "failed", "done")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def results_csv(record: RunRecord, folder: Path) -> bytes:
    """Write the file for a place in ``folder``: sources and assets are named from there."""
    return results_table(record, folder).csv()


def results_table(record: RunRecord, folder: Path) -> Table:
    """The same rows as values."""
    # A campaign that is itself a results.csv brings these columns along; the new run's stand in their place.
    columns = [name for name in record.csv_columns if name not in RESULT_COLUMNS]
    campaign = Path(record.csv_path).parent.resolve()
    here = folder.resolve()
    rows = (tuple(_row(variants, columns, campaign, here)) for variants in _by_row(record.briefs))
    return Table((*columns, *RESULT_COLUMNS), tuple(rows))


def _by_row(briefs: Sequence[BriefRecord]) -> list[list[BriefRecord]]:
    """The variants of each written row together."""
    by_row = groupby(briefs, lambda brief: (brief.line, brief.row.get("brief")))
    return [list(variants) for _, variants in by_row]


def _row(variants: Sequence[BriefRecord], columns: list[str], campaign: Path, here: Path) -> list[Cell]:
    cells: list[Cell] = []
    for name in columns:
        cell = variants[0].row.get(name, "")
        cells.append(_sources_from(here, campaign, cell) if name in SOURCE_COLUMNS else cell)
    statuses = {brief.status for brief in variants}
    return [
        *cells,
        next(status for status in _STATUSES if status in statuses),
        to_dollars(sum(brief.charged for brief in variants)),
        _error(variants),
        *("|".join(_assets(variants, stage)) for stage in ("edit", "compose", "video")),
    ]


def _error(variants: Sequence[BriefRecord]) -> str | None:
    if len(variants) == 1:
        return variants[0].error
    return "; ".join(f"{brief.brief}: {brief.error}" for brief in variants if brief.error is not None)


def _assets(variants: Sequence[BriefRecord], stage: str) -> list[str]:
    stages = [found for brief in variants for found in brief.stages if found.stage == stage]
    return [asset.path for found in stages for asset in found.assets]


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
