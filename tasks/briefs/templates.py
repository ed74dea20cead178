"""Prompts with places to fill: ``{column}`` is that row's cell, ``{{`` and ``}}`` are braces."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.briefs.brief_columns import COLUMNS, PROMPTS, SOURCE_COLUMNS
from tasks.briefs.campaign_file import RESULT_COLUMNS, shown_value, suggestion
from tasks.briefs.prompt_words import what_says_nothing
from tasks.models import LONGEST_PROMPT

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BRACES = "a brace that is meant is written twice: {{ or }}"


@dataclass(frozen=True)
class Filled:
    """``text`` has every place filled that could be; ``problems`` say what is wrong with the others."""

    text: str
    problems: tuple[str, ...] = ()
    circular: bool = False


@dataclass
class Filler:
    """Fills the prompts of one row. ``cells`` are the row's, by column; ``used`` gathers the columns that are named.

    A prompt may name another one. What is wrong in that one is told where it stands, and not again.
    """

    cells: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def fill(self, prompt: str, within: tuple[str, ...] = ()) -> Filled:
        """The prompt in that column; ``within`` are the prompts that it is filled into."""
        problems: list[str] = []
        circular = False

        def piece(found: re.Match[str]) -> str:
            nonlocal circular
            if found[0] in {"{{", "}}"}:
                return found[0][0]
            if found[1] is None:
                other = "opens and is never closed" if found[0] == "{" else "closes and was never opened"
                problems.append(f"the {found[0]} at character {found.start() + 1} {other}; {_BRACES}")
                return found[0]
            value = self._value(found[1].strip(), (*within, prompt))
            problems.extend(value.problems)
            circular = circular or value.circular
            return value.text

        text = _PIECE.sub(piece, self.cells.get(prompt, "").strip())
        return Filled(text, tuple(dict.fromkeys(problems)), circular)

    def _value(self, name: str, within: tuple[str, ...]) -> Filled:
        place = f"{{{name}}}"
        shown = shown_value(place)
        if name not in self.cells:
            return Filled(place, (f"{shown} {self._unknown(name)}",))
        self.used.add(name)
        value = self.cells[name].strip()
        if name in SOURCE_COLUMNS:
            # Files are named anew in a results.csv, which has to be the same campaign.
            return Filled(place, (f"{shown} names a file; give what the prompt should say its own column",))
        if not value:
            # A hole in a prompt would be paid for like any other prompt.
            return Filled(place, (f"{shown} is blank in this row; fill it, or write a prompt without it",))
        if name in PROMPTS.values():
            circle = Filled(
                place, (f"{shown} would fill the prompt with itself; name another column",), circular=True
            )
            if name in within:
                return circle
            filled = self.fill(name, within)
            if filled.circular:
                return circle
            return Filled(filled.text if len(filled.text) <= LONGEST_PROMPT else place)
        empty = what_says_nothing(value)
        if empty:
            return Filled(place, (f"{shown} {empty} in this row; fill it, or write a prompt without it",))
        if len(value) > LONGEST_PROMPT:
            message = f"{shown} is {len(value):,} characters; a prompt has {LONGEST_PROMPT:,} at most"
            return Filled(place, (message,))
        return Filled(value)

    def _unknown(self, name: str) -> str:
        if name in RESULT_COLUMNS:
            return "names a column that a run writes; call yours something else"
        if name in COLUMNS:
            return f"names a column that this file does not have; add {name}, or take it out of the prompt"
        return "names no column" + (suggestion(name, self.cells) or f" of this file; {_BRACES}")
