"""A row whose aspect ratio cell lists several: one variant of the brief for each, ``brief@9x16``."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, product

from tasks.briefs import cells
from tasks.briefs.brief import Brief, Campaign
from tasks.briefs.brief_columns import MATRIX_COLUMNS
from tasks.briefs.campaign_file import shown_value


@dataclass(frozen=True)
class Variant:
    """``ending`` of the brief's id, blank where the row makes no variants; ``cells`` stand in for the row's own."""

    ending: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Expansion:
    """``problems`` are (column, message), one for each entry that is wrong; the variants do without those."""

    variants: tuple[Variant, ...]
    problems: tuple[tuple[str, str], ...]


def expand(row: Mapping[str, str]) -> Expansion:
    """The variants of a row, in the order of its lists, the edit's list first.

    A list counts where its stage has a prompt; lists of two stages give every combination.
    """
    problems: list[tuple[str, str]] = []
    lists: dict[str, list[str]] = {}
    for column, ratios in MATRIX_COLUMNS.items():
        if _is_list(row, column):
            entries, faults = _entries(row[column], ratios)
            problems += [(column, fault) for fault in faults]
            lists[column] = entries or [""]
    variants = []
    for chosen in product(*lists.values()):
        ending = "@" + "-".join(ratio.replace(":", "x") for ratio in chosen) if lists else ""
        variants.append(Variant(ending, dict(zip(lists, chosen, strict=True))))
    return Expansion(tuple(variants), tuple(problems))


def expansion_notes(campaign: Campaign) -> tuple[str, ...]:
    """What the plan says about rows that stand for several briefs."""
    notes = []
    for line, group in groupby(campaign.briefs, lambda brief: brief.line):
        briefs = list(group)
        if len(briefs) > 1:
            names = ", ".join(brief.brief for brief in briefs)
            notes.append(f"line {line}: {briefs[0].written} makes {len(briefs)} variants: {names}")
        notes += [f"{briefs[0].written}: {note}" for note in _idle_lists(briefs[0])]
    return tuple(notes)


def _idle_lists(brief: Brief) -> list[str]:
    return [
        f"{column} lists several, but {_prompt_of(column)} is blank: they make no variants"
        for column in MATRIX_COLUMNS
        if "|" in brief.row.get(column, "") and not brief.row.get(_prompt_of(column), "").strip()
    ]


def _is_list(row: Mapping[str, str], column: str) -> bool:
    return "|" in row.get(column, "") and bool(row.get(_prompt_of(column), "").strip())


def _prompt_of(column: str) -> str:
    return column.replace("_aspect_ratio", "_prompt")


def _entries(cell: str, ratios: tuple[str, ...]) -> tuple[list[str], list[str]]:
    entries: list[str] = []
    faults: list[str] = []
    for number, part in enumerate(cell.split("|"), start=1):
        if not part.strip():
            faults.append(f"entry {number} of the list is blank; write 1:1|9:16, without a | at either end")
            continue
        try:
            entry = cells.choice(part, ratios)
        except cells.CellError as error:
            faults.append(str(error))
            continue
        if entry in entries:
            faults.append(f"{shown_value(entry)} is listed twice; each makes a variant, so name it once")
        else:
            entries.append(entry)
    return entries, faults
