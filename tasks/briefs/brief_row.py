"""One variant of a row while it is read: its cells, its filled prompts, its faults, and the files that it names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from tasks.briefs import cells
from tasks.briefs.campaign_file import Record
from tasks.briefs.templates import Filler
from tasks.models import LONGEST_PROMPT

Kind = Literal["picture", "clip"]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class NamedSource:
    """A picture or clip as one cell names it: a path relative to the CSV, or a URL."""

    line: int
    column: str
    source: str
    kind: Kind


class Row:
    """``variant`` has the cells that stand in for the record's own. Problems are (column, message)."""

    def __init__(self, record: Record, variant: Mapping[str, str]) -> None:
        self.problems: list[tuple[str, str]] = []
        self.sources: list[NamedSource] = []
        self._line = record.line
        self._cells = {**record.cells, **variant}
        self._filler = Filler(self._cells)

    @property
    def used_columns(self) -> set[str]:
        """Those that the prompts read so far are filled from."""
        return self._filler.used

    def cell(self, column: str) -> str:
        return self._cells.get(column, "").strip()

    def looks_blank(self, column: str) -> bool:
        """Whether the cell holds something, of which nothing can be seen, such as no-break blanks."""
        return not self.cell(column) and bool(self._cells.get(column, "").strip(" \t\r\n"))

    def problem(self, column: str, message: str) -> None:
        self.problems.append((column, message))

    def is_faulty(self, column: str) -> bool:
        return any(column == faulty for faulty, _ in self.problems)

    def value(self, column: str, read: Callable[[str], _Value], *, required: bool = False) -> _Value | None:
        """The cell's value; None where it is blank (unless a value is required) or faulty."""
        cell = self.cell(column)
        if not cell and not required:
            return None
        try:
            return read(cell)
        except cells.CellError as error:
            self.problem(column, str(error))
            return None

    def filled(self, column: str) -> str:
        """The prompt with its places filled, those aside that cannot be."""
        return self._filler.fill(column).text

    def prompt(self, column: str) -> str | None:
        """The prompt as sent; None where it is faulty."""
        filled = self._filler.fill(column)
        for problem in filled.problems:
            self.problem(column, problem)
        if filled.problems:
            return None
        written = self.cell(column)
        try:
            return cells.prompt(filled.text, LONGEST_PROMPT)
        except cells.CellError as error:
            self.problem(column, f"{error}{'' if filled.text == written else ', once it is filled'}")
            return None

    def named(self, column: str, most: int, kind: Kind = "picture") -> tuple[str, ...]:
        found = self.value(column, lambda cell: cells.sources(cell, most)) or ()
        self.sources += [NamedSource(self._line, column, source, kind) for source in found]
        return found
