"""Bytes to text, and text to rows of cells with the line each starts on; what is wrong on the way becomes problems."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from blocks.errors import InvalidInput, Problem
from blocks.file_kind import kind_of_bytes

if TYPE_CHECKING:
    import _csv  # where the type of csv.reader lives, for checkers only

MOST_ROWS = 100_000
MOST_BYTES = 256 * 1024 * 1024
# csv's own limit of 131,072 characters a cell stays: it keeps a forgotten quote from eating a huge file.

# Not "#1": a number sign without a blank is a mistaken id, which has to be told.
_COMMENT = re.compile(r"[ \t]*#(?:[\s#]|$)")
_HEAD_BYTES = 4096
_OTHER_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def bytes_of(path: Path, shown: str) -> bytes:
    if path.is_dir():
        raise _unreadable(shown, "is a folder; give the campaign's CSV file")
    try:
        # A pipe or a device has no size to be asked for: no more is read than a campaign may have.
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise _unreadable(shown, "no such file; check the path") from error
    except OSError as error:
        raise _unreadable(shown, f"cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise _unreadable(shown, f"is larger than {MOST_BYTES // 1024**2} MB; split the campaign")
    return content


def _unreadable(shown: str, what: str) -> InvalidInput:
    return InvalidInput(f"{shown}: {what}", (Problem(shown, 1, "file", what),))


def text_of(content: bytes, shown: str) -> tuple[str, list[Problem]]:
    """The text; bytes that are no UTF-8 are one problem, and the rest can still be checked.

    Raises InvalidInput where this is no text at all: each of its lines would be a problem, and none would help.
    """
    for mark, encoding in _OTHER_ENCODINGS:
        if content.startswith(mark):
            raise _unreadable(shown, f"is {encoding}, not UTF-8; save it as “CSV UTF-8”")
    if _is_unmarked_utf16(content[:_HEAD_BYTES]):
        raise _unreadable(shown, "is UTF-16, not UTF-8; save it as “CSV UTF-8”")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        if b"\0" in content[:_HEAD_BYTES]:
            kind = kind_of_bytes(content[:_HEAD_BYTES])
            raise _unreadable(shown, f"is not text, but {kind}; give the campaign's CSV file") from error
        # Not the sign that stands for damage: what is wrong with the file is told once, and not for every cell again.
        text = content.decode("utf-8-sig", errors="replace").replace("\ufffd", "?")
        line = 1 + len(re.findall(rb"\r\n|\r|\n", error.object[: error.start]))
        wrong = error.object[error.start]
        likely = bytes([wrong]).decode("cp1252", errors="ignore")
        hint = f" (“{likely}” in Windows-1252)" if likely.isprintable() and likely else ""
        message = f"byte 0x{wrong:02X}{hint} is not UTF-8; save the file as “CSV UTF-8”"
        return text, [Problem(shown, line, "encoding", message)]


def _is_unmarked_utf16(head: bytes) -> bool:
    """Whether every other byte of what should be a header is zero."""
    start = head[:64]
    return len(start) >= 8 and any(
        not any(start[first::2]) and all(start[1 - first :: 2]) for first in (0, 1)
    )


# Some programs write ``a, "b, c"``: CSV as such takes the marks for text then, and the comma between them for the end.
_BLANKS_BEFORE_MARK = re.compile(r"(?:^|,)[ \t\u00a0\u2007\u202f\u3000]+\"", re.MULTILINE)
_QUOTED = re.compile(r"[ \t\u00a0\u2007\u202f\u3000]*(\")")
_REST_OF_QUOTED = re.compile(r"(?:[^\"]|\"\")*")


class CommentedLines:
    """The text's lines for the CSV reader. A comment reads as a blank line: whatever it holds, later lines count on.

    Blanks between a comma and a cell's opening quotation mark are left out.
    """

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.may_be_comments = True
        self.at_row_start = True  # a prompt's second line may begin with # as well
        self._has_blanks = _BLANKS_BEFORE_MARK.search(text) is not None
        self._is_quoted = False  # where the line before ended

    def __iter__(self) -> "CommentedLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        comment = self.at_row_start and self.is_comment(line)
        self._is_quoted = self._is_quoted and not self.at_row_start
        self.at_row_start = False
        if comment:
            return "\n"
        return self._without_blanks(line) if self._has_blanks else line

    def _without_blanks(self, line: str) -> str:
        place, pieces = 0, []
        cell_begins = not self._is_quoted
        while place < len(line):
            if cell_begins:
                quoted = _QUOTED.match(line, place)
                pieces.append(quoted[1] if quoted else "")
                place = quoted.end() if quoted else place
                self._is_quoted = quoted is not None
            if self._is_quoted:
                rest = _REST_OF_QUOTED.match(line, place)
                end = rest.end() if rest else place
                pieces.append(line[place:end])
                place, self._is_quoted = end, end == len(line)
            # A mark that closes is left to the reader, and what may follow it: it says what is wrong with that.
            end = line.find(",", place) + 1 or len(line)
            pieces.append(line[place:end])
            place, cell_begins = end, True
        return "".join(pieces)

    def is_comment(self, text: str) -> bool:
        return self.may_be_comments and _COMMENT.match(text) is not None


def numbered_rows(
    reader: "_csv.Reader", lines: CommentedLines, shown: str, problems: list[Problem]
) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each starts on; blank ones and comments are left out, broken ones become problems."""
    count = 0
    while True:
        line = reader.line_num + 1
        lines.at_row_start = True
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(Problem(shown, line, "row", _what_csv_says(str(error))))
            continue
        # Programs that save a comment anew put it in quotation marks, with empty cells after it.
        if not any(cell.strip() for cell in row) or lines.is_comment(row[0]):
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
