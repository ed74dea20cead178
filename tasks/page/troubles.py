"""Why briefs are not done, each reason told once."""

import re
from dataclasses import dataclass

from tasks.page.causes import cause_of
from tasks.record import BriefRecord, RunRecord

# Ids of predictions, and of whatever else the service numbers: they tell two equal failures apart, not two reasons.
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{16,}\b", re.IGNORECASE)
_LEFT_OUT = "…"
# A shorter one may be a word or a number of the message.
_SHORTEST_ID = 6


@dataclass(frozen=True)
class Trouble:
    """Briefs that are not done for the same reason; ``message`` has its ids where it is that of a single brief."""

    status: str
    message: str
    briefs: tuple[BriefRecord, ...]


def troubles(record: RunRecord) -> list[Trouble]:
    """The most frequent reason first, failed ones before those that wait."""
    groups: dict[tuple[str, str, str], list[BriefRecord]] = {}
    for brief in record.briefs:
        if brief.status != "done":
            told = _without_ids(brief)
            groups.setdefault((brief.status, cause_of(None, told).name, told), []).append(brief)
    found = [
        Trouble(status, told if len(briefs) > 1 else briefs[0].error or "", tuple(briefs))
        for (status, _, told), briefs in groups.items()
    ]
    return sorted(found, key=lambda trouble: (trouble.status != "failed", -len(trouble.briefs)))


def _without_ids(brief: BriefRecord) -> str:
    message = brief.error or ""
    ids = {stage.prediction_id or "" for stage in brief.stages}
    ids |= {attempt.prediction_id or "" for stage in brief.stages for attempt in stage.attempts}
    told = message
    # The longest first: an id may begin as another one does.
    for known in sorted((one for one in ids if len(one) >= _SHORTEST_ID), key=len, reverse=True):
        told = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", _LEFT_OUT, told)
    told = _ID.sub(_LEFT_OUT, told)
    return told if any(map(str.isalnum, told)) else message
