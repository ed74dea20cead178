"""The campaign CSV as a file: bytes to rows of named cells, with the line each one starts on.

A row that begins with ``#`` and a blank is a comment: above the header anywhere, below it where ``brief`` is the first
column, since no id begins so. (Elsewhere it may be a prompt, and a row left out unseen is a brief that nobody makes.)
"""

import csv
import difflib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blocks.errors import InvalidInput, Problem
from tasks.briefs.campaign_text import CommentedLines, bytes_of, numbered_rows, text_of
from tasks.exports import original_cell

# What `results.csv` adds to a campaign's columns; a results file is a campaign again, without them.
RESULT_COLUMNS = ("status", "charged_usd", "error", "edit_assets", "compose_assets", "video_asset")

_OTHER_DELIMITERS = ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"))


@dataclass(frozen=True)
class Record:
    """One row. ``cells`` has every column that the file has; results columns are gone."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class CampaignFile:
    """``shown`` is the path as the user gave it; every problem found on the way is in ``problems``.

    ``more_columns`` are those of ``columns`` that are not the campaign's own: right only where a prompt names them.
    """

    shown: str
    sha256: str
    header_line: int
    columns: tuple[str, ...]
    more_columns: tuple[str, ...]
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


@dataclass
class _Header:
    columns: tuple[str | None, ...]  # by position; None for a column whose cells are not read
    more: tuple[str, ...]
    has_results: bool
    problems: list[Problem] = field(default_factory=list)


def read_campaign_file(path: Path, known_columns: Collection[str]) -> CampaignFile:
    """Reads the rows. Raises InvalidInput only where there is no text to read rows from."""
    shown = str(path)
    content = bytes_of(path, shown)
    text, problems = text_of(content, shown)
    lines = CommentedLines(text)
    rows = numbered_rows(csv.reader(lines, strict=True), lines, shown, problems)
    first = next(rows, None)
    if first is None:
        problems.append(
            Problem(shown, 1, "header", "the file is empty; it needs a header row and one row a brief")
        )
        raise InvalidInput(f"{shown} is empty", tuple(problems))
    if first[1][0].strip().lower().startswith("sep="):
        problems.append(Problem(shown, first[0], "header", "this line is for Excel only; delete it"))
        raise InvalidInput(f"{shown} begins with a line for Excel", tuple(problems))
    _refuse_other_delimiters(shown, first, known_columns, problems)
    header = _header(shown, first, known_columns)
    lines.may_be_comments = header.columns[0] == "brief"
    problems += header.problems
    records = tuple(_records(rows, header, shown, problems))
    if not records and not problems:
        problems.append(
            Problem(shown, first[0], "header", "no brief follows the header; write one row a brief")
        )
    return CampaignFile(
        shown=shown,
        sha256=hashlib.sha256(content).hexdigest(),
        header_line=first[0],
        columns=tuple(column for column in header.columns if column is not None),
        more_columns=header.more,
        records=records,
        problems=tuple(problems),
    )


def suggestion(word: str, choices: Collection[str]) -> str:
    """``; did you mean …?`` where one of the choices is close, else nothing."""
    close = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def unknown_columns(file: CampaignFile, used: Collection[str], known: Collection[str]) -> list[Problem]:
    """A problem for each column that is neither the campaign's own nor named by a prompt."""
    return [
        Problem(
            file.shown,
            file.header_line,
            _one_line(name),
            "unknown column"
            + (suggestion(name, known) or "; delete it, rename it, or name it in a prompt, in braces"),
        )
        for name in file.more_columns
        if name not in used
    ]


def _one_line(name: str) -> str:
    return shown_value(name, longest=40)[1:-1]


def shown_value(value: str, longest: int = 60) -> str:
    """A cell's text for a one-line message: quoted, shortened, without what a terminal would obey."""
    short = value if len(value) <= longest else value[: longest - 1] + "…"
    return "“" + "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in short) + "”"


def _refuse_other_delimiters(
    shown: str, first: tuple[int, list[str]], known_columns: Collection[str], problems: list[Problem]
) -> None:
    line, cells = first
    if any(cell.strip() in known_columns for cell in cells):
        return
    whole = ",".join(cells)
    for delimiter, name in _OTHER_DELIMITERS:
        if (
            any(cell.strip().strip('"') in known_columns for cell in whole.split(delimiter))
            and delimiter in whole
        ):
            message = f"the columns are separated by {name}; save the file with commas between them"
            problems.append(Problem(shown, line, "header", message))
            raise InvalidInput(f"{shown}: {message}", tuple(problems))


def _header(shown: str, first: tuple[int, list[str]], known_columns: Collection[str]) -> _Header:
    line, cells = first
    names = [cell.strip() for cell in cells]
    header = _Header((), (), has_results=any(name in RESULT_COLUMNS for name in names))
    if header.has_results:
        names = [original_cell(name) for name in names]
    columns: list[str | None] = []
    for position, name in enumerate(names, start=1):
        column: str | None = None
        if not name:
            message = f"column {position} has no name; name it or delete it"
            header.problems.append(Problem(shown, line, "header", message))
        elif names.index(name) + 1 != position:
            message = (
                f"this column appears twice (columns {names.index(name) + 1} and {position}); delete one"
            )
            header.problems.append(Problem(shown, line, _one_line(name), message))
        elif name not in RESULT_COLUMNS:
            column = name
        columns.append(column)
    header.columns = tuple(columns)
    header.more = tuple(name for name in columns if name is not None and name not in known_columns)
    return header


def _records(
    rows: Iterator[tuple[int, list[str]]], header: _Header, shown: str, problems: list[Problem]
) -> Iterator[Record]:
    width = len(header.columns)
    for line, row in rows:
        if len(row) != width:
            more = "more" if len(row) > width else "fewer"
            hint = (
                'quote a cell that contains a comma: "a, b"' if len(row) > width else "add the missing commas"
            )
            problems.append(
                Problem(shown, line, "row", f"{len(row)} cells, {more} than the header's {width}; {hint}")
            )
            continue
        cells = {
            column: original_cell(cell) if header.has_results else cell
            for column, cell in zip(header.columns, row, strict=True)
            if column is not None
        }
        for column, cell in cells.items():
            if "\0" in cell:
                problems.append(Problem(shown, line, column, "contains a NUL byte; delete it"))
        yield Record(line, cells)
