"""Remote inputs that cannot be fetched any more, and whose bytes an earlier run read: what they were is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from blocks.media import ClipFacts, PictureFacts
from tasks.briefs.brief_row import Kind

_FACTS: Mapping[Kind, TypeAdapter[Any]] = {
    "picture": TypeAdapter(PictureFacts),
    "clip": TypeAdapter(ClipFacts),
}


@dataclass(frozen=True)
class Remembered:
    """What the bytes were. They are not here, so nothing new can be made of them."""

    sha256: str
    facts: PictureFacts | ClipFacts


# By address and kind: sha256 and facts, as they were kept; None where no run has read that.
Recall = Callable[[str, Kind], tuple[str, Mapping[str, Any]] | None]


def recalled(recall: Recall, address: str, kind: Kind) -> Remembered | None:
    found = recall(address, kind)
    if found is None:
        return None
    sha256, kept = found
    try:
        return Remembered(sha256, _FACTS[kind].validate_python(dict(kept)))
    except ValidationError:
        return None  # of a version that knew other facts


def kept_facts(facts: PictureFacts | ClipFacts) -> tuple[Kind, dict[str, Any]]:
    """What is kept of an input, as JSON has it."""
    kind: Kind = "clip" if isinstance(facts, ClipFacts) else "picture"
    document: dict[str, Any] = _FACTS[kind].dump_python(facts, mode="json")
    return kind, document
