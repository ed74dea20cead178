"""One cell of the CSV to one value, or a CellError that says what would be right."""

import re
from collections.abc import Sequence

from tasks.briefs.campaign_file import shown_value, suggestion
from tasks.briefs.prompt_words import what_is_no_prompt

_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_TRUE = ("true", "yes", "1")
_FALSE = ("false", "no", "0")

_BRIEF_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEVICE_NAMES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))]
)


class CellError(Exception):
    """What is wrong with a cell and what would be right."""


def brief_id(cell: str) -> str:
    """An id that is safe as a folder's name everywhere."""
    name = cell.strip()
    if not name:
        raise CellError("blank; every brief needs an id, such as launch-01")
    if not _BRIEF_ID.fullmatch(name):
        raise CellError(
            f"{shown_value(name)} is no id; use 1 to 64 ASCII letters, digits, dots, hyphens, underscores, "
            "beginning with a letter or digit"
            + ("; a comment begins with # and a blank" if name[0] == "#" else "")
        )
    if name.endswith("."):
        raise CellError(f"{shown_value(name)} ends in a dot; take the dot away")
    if name.split(".", maxsplit=1)[0].lower() in DEVICE_NAMES:
        raise CellError(f"{shown_value(name)} is a device name on Windows; choose another id")
    return name


def whole_number(cell: str, least: int, most: int | None = None) -> int:
    text = cell.strip()
    if _WHOLE_NUMBER.fullmatch(text) and least <= int(text) and (most is None or int(text) <= most):
        return int(text)
    right = f"from {least} to {most}" if most is not None else f"of {least} or more"
    raise CellError(f"{shown_value(text)} is not a whole number {right}")


def boolean(cell: str) -> bool:
    text = cell.strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise CellError(f"{shown_value(cell.strip())} is neither true nor false")


def choice(cell: str, choices: Sequence[str]) -> str:
    """One of the choices, however capitalised in the cell."""
    text = cell.strip().lower()
    if text in choices:
        return text
    # Of numbers, 1:1 is no better a guess for 16:10 than 16:9.
    close = suggestion(text, choices) if text.isalpha() else ""
    raise CellError(f"{shown_value(cell.strip())} is not one of {', '.join(choices)}{close}")


def prompt(cell: str, longest: int) -> str:
    """The prompt as sent: without blanks around it, its line ends the same whoever saved the file."""
    text = cell.strip().replace("\r\n", "\n").replace("\r", "\n")
    problem = what_is_no_prompt(text)
    if problem:
        raise CellError(problem)
    if len(text) > longest:
        raise CellError(f"{len(text):,} characters; the model takes {longest:,} at most")
    return text


def sources(cell: str, most: int) -> tuple[str, ...]:
    """Paths or URLs separated by ``|``; none where the cell is blank."""
    if not cell.strip():
        return ()
    found = tuple(part.strip() for part in cell.split("|"))
    if not all(found):
        raise CellError(
            f"entry {found.index('') + 1} of the list is blank; write a|b, without a | at either end"
        )
    if len(found) > most:
        what = "one file" if most == 1 else f"{most} references"
        raise CellError(f"{len(found)} named; the stage takes {what} at most")
    return found
