"""The campaign CSV as a file: bytes to rows of named cells, with the line each one starts on."""

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from blocks.errors import InvalidInput, Problem
from tasks.exports import original_cell

if TYPE_CHECKING:
    import _csv  # where the type of csv.reader lives, for checkers only

MOST_ROWS = 100_000
MOST_BYTES = 256 * 1024 * 1024
# csv's own limit of 131,072 characters a cell stays: it keeps a forgotten quote from eating a huge file.

# What `results.csv` adds to a campaign's columns; a results file is a campaign again, without them.
RESULT_COLUMNS = ("status", "charged_usd", "error", "edit_assets", "compose_assets", "video_asset")

_OTHER_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_OTHER_DELIMITERS = ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"))


@dataclass(frozen=True)
class Record:
    """One row. ``cells`` has every column of the campaign that the file has; results columns are gone."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class CampaignFile:
    """``shown`` is the path as the user gave it; every problem found on the way is in ``problems``."""

    shown: str
    sha256: str
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


@dataclass
class _Header:
    columns: tuple[str | None, ...]  # by position; None for a column whose cells are not read
    has_results: bool
    problems: list[Problem] = field(default_factory=list)


def read_campaign_file(path: Path, known_columns: Collection[str]) -> CampaignFile:
    """Reads the rows. Raises InvalidInput only where there is no text to read rows from."""
    shown = str(path)
    content = _bytes_of(path, shown)
    text, problems = _text_of(content, shown)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = _rows(reader, shown, problems)
    first = next(rows, None)
    if first is None:
        problems.append(
            Problem(shown, 1, "header", "the file is empty; it needs a header row and one row a brief")
        )
        raise InvalidInput(f"{shown} is empty", tuple(problems))
    _refuse_other_delimiters(shown, first, known_columns, problems)
    header = _header(shown, first, known_columns)
    problems += header.problems
    records = tuple(_records(rows, header, shown, problems))
    if not records and not problems:
        problems.append(
            Problem(shown, first[0], "header", "no brief follows the header; write one row a brief")
        )
    return CampaignFile(
        shown=shown,
        sha256=hashlib.sha256(content).hexdigest(),
        columns=tuple(column for column in header.columns if column is not None),
        records=records,
        problems=tuple(problems),
    )


def suggestion(word: str, choices: Collection[str]) -> str:
    """``; did you mean …?`` where one of the choices is close, else nothing."""
    close = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def shown_value(value: str, longest: int = 60) -> str:
    """A cell's text for a one-line message: quoted, shortened, without what a terminal would obey."""
    short = value if len(value) <= longest else value[: longest - 1] + "…"
    return "“" + "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in short) + "”"


def _bytes_of(path: Path, shown: str) -> bytes:
    if path.is_dir():
        raise _unreadable(shown, "is a folder; give the campaign's CSV file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unreadable(shown, f"is larger than {MOST_BYTES // 1024**2} MB; split the campaign")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _unreadable(shown, "no such file; check the path") from error
    except OSError as error:
        raise _unreadable(shown, f"cannot be read: {error.strerror or error}") from error


def _unreadable(shown: str, what: str) -> InvalidInput:
    return InvalidInput(f"{shown}: {what}", (Problem(shown, 1, "file", what),))


def _text_of(content: bytes, shown: str) -> tuple[str, list[Problem]]:
    """The text; bytes that are no UTF-8 are one problem, and the rest can still be checked."""
    for mark, encoding in _OTHER_ENCODINGS:
        if content.startswith(mark):
            raise _unreadable(shown, f"is {encoding}, not UTF-8; save it as “CSV UTF-8”")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        text = content.decode("utf-8-sig", errors="replace")
        line = 1 + len(re.findall(rb"\r\n|\r|\n", error.object[: error.start]))
        wrong = error.object[error.start]
        likely = bytes([wrong]).decode("cp1252", errors="ignore")
        hint = f" (“{likely}” in Windows-1252)" if likely.isprintable() and likely else ""
        message = f"byte 0x{wrong:02X}{hint} is not UTF-8; save the file as “CSV UTF-8”"
        return text, [Problem(shown, line, "encoding", message)]


def _rows(reader: "_csv.Reader", shown: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each starts on; blank ones are left out, broken ones become problems."""
    count = 0
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(Problem(shown, line, "row", _what_csv_says(str(error))))
            continue
        if not any(cell.strip() for cell in row):
            continue
        if count > MOST_ROWS:  # the header is not one of them
            problems.append(
                Problem(
                    shown,
                    line,
                    "row",
                    f"more than {MOST_ROWS:,} briefs; split the campaign into several files",
                )
            )
            return
        count += 1
        yield line, row


def _what_csv_says(error: str) -> str:
    if "unexpected end of data" in error:
        return 'a cell opens with " and never closes; close it, or double each " that belongs to the text'
    if "expected after" in error:
        return 'text follows the closing " of a cell; double each " that belongs to the text'
    if "field larger" in error:
        return f'a cell is longer than {csv.field_size_limit():,} characters; look for a " that never closes'
    return f"cannot be read as CSV: {error}"


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
    header = _Header((), has_results=any(name in RESULT_COLUMNS for name in names))
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
        elif name in known_columns:
            column = name
        elif name not in RESULT_COLUMNS:
            message = "unknown column" + (suggestion(name, known_columns) or "; delete it or rename it")
            header.problems.append(Problem(shown, line, _one_line(name), message))
        columns.append(column)
    header.columns = tuple(columns)
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


def _one_line(name: str) -> str:
    return shown_value(name, longest=40)[1:-1]
