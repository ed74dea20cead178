"""How a file leaves the program: whole or not at all, and inert in whatever opens it.

A cell that a spreadsheet would take for a formula gets a leading ``'``. One that a spreadsheet might split, at
semicolons, tabs or line ends, gets one before each part that would be a formula as well. The marks can be taken off
again without loss (``original_cell``), so that a written table reads back as exactly what it was made from.
"""

import contextlib
import csv
import io
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath

from blocks.private_files import make_folder_for_people, open_to_people

Cell = str | int | float | Decimal | None

_MARK = "'"
# Where spreadsheets split a line, besides the comma: they go by the country, by what they guess, or by who asks them.
_SPLIT = re.compile("([;\t\r\n])")
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
# Spreadsheets drop white space and what has no width before they look for a formula.
_IGNORED_BY_SPREADSHEETS = " \xa0\u3000\u200b\u200c\u200d\u2060\ufeff\x00"

# What can hide or reorder the text around it: control characters but for tab and line ends, the marks,
# embeddings, overrides and isolates of bidirectional text, what has no width, and the tag characters.
# Joiners stay: scripts and emoji need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def neutral_cell(text: str) -> str:
    """Mark a text with a leading ``'`` where a spreadsheet would calculate it, or a part of it that it splits off.

    Such a part is marked too. Text that has marks already gets one more, so that taking off one always restores it.
    """
    safe = _parts(text, _mark_more)
    return _MARK + safe if safe != text or _is_formula(text.lstrip(_MARK)) else text


def original_cell(text: str) -> str:
    """Take the marks off again: the text that ``neutral_cell`` was given."""
    if not text.startswith(_MARK):
        return text
    original = _parts(text[1:], _mark_less)
    if neutral_cell(original) == text:
        return original
    # Written by a version that marked the whole cell only.
    return text[1:] if _is_formula(text.lstrip(_MARK)) else text


def _parts(text: str, changed: Callable[[str], str]) -> str:
    """The text with each part changed but for the first, where a reader that does not split at commas would split it.

    To such a reader, quotation marks inside a cell are no reason not to split: they only count at its beginning.
    """
    first, *rest = _SPLIT.split(text)
    return first + "".join(
        separator + changed(part) for separator, part in zip(rest[::2], rest[1::2], strict=True)
    )


def _mark_more(part: str) -> str:
    return _MARK + part if _begins_like_one(part.lstrip(_MARK)) else part


def _mark_less(part: str) -> str:
    return part[1:] if part.startswith(_MARK) and _begins_like_one(part.lstrip(_MARK)) else part


def _begins_like_one(part: str) -> bool:
    """A number counts as well: what stands behind it in the cell is another cell's text."""
    return _has_sign(part.lstrip(_IGNORED_BY_SPREADSHEETS + '"'))


def _is_formula(text: str) -> bool:
    if text[:1] in {"\t", "\r", "\n"}:
        return True
    text = text.lstrip(_IGNORED_BY_SPREADSHEETS)
    return _has_sign(text) and not _PLAIN_NUMBER.fullmatch(text)


def _has_sign(text: str) -> bool:
    # NFKC brings the full-width, small and raised forms of the four signs back to the plain ones.
    return unicodedata.normalize("NFKC", text[:1]) in {"=", "+", "-", "@"}


def cell_text(value: Cell) -> str:
    """Spell a value as tables show it: nothing as a blank, seconds to the millisecond, all else exact."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.3f}"
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def duration_text(seconds: float) -> str:
    """Say seconds as people do: ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Write a header and rows as CSV in UTF-8; texts are neutralised, numbers stay as they are."""
    lines = io.StringIO()
    for row in ([*columns], *rows):
        line = io.StringIO()
        # The writer quotes a lone carriage return only where its own line end holds one.
        csv.writer(line, lineterminator="\r\n").writerow(
            [neutral_cell(value) if isinstance(value, str) else cell_text(value) for value in row]
        )
        lines.write(line.getvalue()[:-2] + "\n")
    return utf8(lines.getvalue())


def utf8(text: str) -> bytes:
    """Encode; half a surrogate pair, which UTF-8 cannot hold, is spelled out as a backslash escape."""
    return text.encode("utf-8", errors="backslashreplace")


def visible(text: str) -> str:
    """Spell out every hidden or reordering character, such as ``[U+202E]``."""
    return _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write the file whole or not at all; who reads it meanwhile sees the one before. Raises OSError.

    It is for people, by the user's umask, unless it is ``private``.
    """
    if private:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        make_folder_for_people(path.parent)
    # The name of a file that was left half-written by a crash says what it is and is never used again.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not private:
            open_to_people(partial)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def asset_place(folder: Path, path: str) -> Path:
    """Find the place of ``assets/mug/edit-1.png`` and its like; ValueError where it is not below assets."""
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] != "assets" or ".." in parts or re.search(r"[\\:\x00]", path):
        raise ValueError(f"{path!r} is no place below assets/")
    return folder.joinpath(*parts)
