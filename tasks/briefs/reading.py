"""The campaign CSV becomes briefs; every problem in it is found in one reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import InvalidInput, Problem
from tasks.briefs.brief import (
    Brief,
    Campaign,
    ComposePart,
    EditPart,
    References,
    StageReferences,
    VideoPart,
    references_of,
)
from tasks.briefs.brief_columns import COLUMNS
from tasks.briefs.brief_row import NamedSource
from tasks.briefs.brief_rows import RowReader
from tasks.briefs.campaign_file import read_campaign_file, unknown_columns

__all__ = [
    "COLUMNS",
    "Brief",
    "Campaign",
    "ComposePart",
    "EditPart",
    "NamedSource",
    "ParsedCampaign",
    "References",
    "StageReferences",
    "VideoPart",
    "invalid_campaign",
    "parse_campaign",
    "read_campaign",
    "references_of",
]


@dataclass(frozen=True)
class ParsedCampaign:
    """What one reading of the file gave.

    ``campaign`` has the faultless briefs only, ``sources`` the named files of every row.
    """

    campaign: Campaign
    shown: str
    problems: tuple[Problem, ...]
    sources: tuple[NamedSource, ...]


def read_campaign(path: Path) -> Campaign:
    """The campaign of a CSV file. Raises InvalidInput with every problem of the file at once."""
    parsed = parse_campaign(path)
    if parsed.problems:
        raise invalid_campaign(parsed.shown, parsed.campaign.columns, parsed.problems)
    return parsed.campaign


def parse_campaign(path: Path) -> ParsedCampaign:
    """Reads as far as the file can be read. Raises InvalidInput only where it holds no rows that could be."""
    file = read_campaign_file(path, COLUMNS)
    problems = list(file.problems)
    reader = RowReader(file.shown)
    briefs = tuple(brief for record in file.records for brief in reader.read(record))
    problems += unknown_columns(file, reader.used_columns, COLUMNS)
    if "brief" not in file.columns:
        missing = "the column is missing; every campaign needs it"
        problems.append(Problem(file.shown, file.header_line, "brief", missing))
        raise InvalidInput(_summary(file.shown, len(problems)), tuple(problems))
    columns = tuple(
        name for name in file.columns if name not in file.more_columns or name in reader.used_columns
    )
    campaign = Campaign(name=path.stem, path=path, sha256=file.sha256, columns=columns, briefs=briefs)
    return ParsedCampaign(
        campaign=campaign,
        shown=file.shown,
        problems=in_reading_order([*problems, *reader.problems], columns),
        sources=tuple(reader.sources),
    )


def invalid_campaign(shown: str, columns: Sequence[str], problems: Sequence[Problem]) -> InvalidInput:
    """The error that carries these problems, in the order in which a reader of the file meets them."""
    ordered = in_reading_order(problems, columns)
    return InvalidInput(_summary(shown, len(ordered)), ordered)


def in_reading_order(problems: Sequence[Problem], columns: Sequence[str]) -> tuple[Problem, ...]:
    """By line, then by the header's columns (what names none of them first), each problem once."""
    places = {column: place for place, column in enumerate(columns)}
    once = dict.fromkeys(problems)
    return tuple(sorted(once, key=lambda problem: (problem.line, places.get(problem.column, -1))))


def _summary(shown: str, count: int) -> str:
    return f"{shown}: {count} problem{'' if count == 1 else 's'}; nothing was spent"
