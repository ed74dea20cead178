"""Two texts, word by word."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal


@dataclass(frozen=True)
class Piece:
    """A stretch of text: in both, in the first only, or in the second only."""

    change: Literal["same", "removed", "added"]
    text: str


def word_difference(a: str, b: str) -> tuple[Piece, ...]:
    """The pieces in reading order: those not ``added`` spell ``a``, those not ``removed`` spell ``b``."""
    before, after = _words(a), _words(b)
    pieces: list[Piece] = []
    for kind, a_from, a_to, b_from, b_to in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(before[a_from:a_to])))
            continue
        if a_from < a_to:
            pieces.append(Piece("removed", "".join(before[a_from:a_to])))
        if b_from < b_to:
            pieces.append(Piece("added", "".join(after[b_from:b_to])))
    return tuple(pieces)


def _words(text: str) -> list[str]:
    """Words, signs and the white space between them: two texts that differ in a space only are not the same."""
    return re.findall(r"\s+|\w+|[^\w\s]", text)
