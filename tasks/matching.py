"""Which attempt made which prediction: decided over all attempts without an id and all predictions nobody knows.

A pure function of what the ledger and the history show, so that every case can be written down in a table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from blocks.ledger import Adopt, AttemptRow, Decision, Hold, SendAgain
from blocks.wavespeed import ClockSkew, Prediction

_MEDIA_KEYS = ("image", "images", "video")


@dataclass(frozen=True)
class Rules:
    """``quiet`` seconds without a candidate, after the request timed out, allow the POST to be sent again."""

    quiet: float
    skew: ClockSkew


def decide(
    attempts: Sequence[AttemptRow], candidates: Sequence[Prediction], now: datetime, rules: Rules
) -> list[Decision]:
    """What is certain by now. An attempt that gets no decision waits, and is decided about later.

    ``attempts`` are all of one model that have no prediction id, those whose POST may be under way included
    (``posting``); ``candidates`` are all predictions of that model in the history that no attempt has.
    """
    unknown = [attempt for attempt in attempts if not attempt.posting]
    echoed = all(candidate.input is not None for candidate in candidates)
    decide_one = _decide_by_inputs if echoed else _decide_by_time
    decisions: list[Decision] = []
    taken: set[str] = set()
    for attempt in unknown:
        free = [c for c in candidates if c.id not in taken and _in_time(attempt, c, rules.skew)]
        decision = decide_one(attempt, attempts, free, now, rules)
        if isinstance(decision, Adopt):
            taken.add(decision.prediction_id)
        if decision is not None:
            decisions.append(decision)
    return decisions


def _decide_by_inputs(
    attempt: AttemptRow,
    attempts: Sequence[AttemptRow],
    candidates: Sequence[Prediction],
    now: datetime,
    rules: Rules,
) -> Decision | None:
    exact = [c for c in candidates if _same_request(attempt.body, c.input, _same_url)]
    if exact:
        # Attempts with equal inputs are interchangeable, but one whose POST is under way takes its own.
        if any(other.posting and _same_bodies(other, attempt) for other in attempts):
            return None
        return _adopt(attempt, min(exact, key=_age))
    near = [c for c in candidates if _same_request(attempt.body, c.input, _same_file)]
    if not near:
        # Same words and settings, other addresses: the history may rewrite URLs beyond recognition.
        near = [c for c in candidates if _same_request(attempt.body, c.input, lambda _a, _b: True)]
        near = [
            c
            for c in near
            if not any(_same_request(o.body, c.input, _same_url) for o in attempts if o is not attempt)
        ]
    if not near:
        return _send_again_when_quiet(attempt, now, rules)
    rivals = [
        o for o in attempts if o is not attempt and _same_request(attempt.body, o.body, lambda _a, _b: True)
    ]
    rivals = [o for o in rivals if not _same_bodies(o, attempt)]
    if any(o.posting for o in rivals) or any(o.posting and _same_bodies(o, attempt) for o in attempts):
        return None
    by_file = all(_same_request(attempt.body, c.input, _same_file) for c in near)
    if by_file or (len(near) == 1 and not rivals):
        return _adopt(attempt, min(near, key=_age))
    return Hold(attempt.id, _several(near))


def _decide_by_time(
    attempt: AttemptRow,
    attempts: Sequence[AttemptRow],
    candidates: Sequence[Prediction],
    now: datetime,
    rules: Rules,
) -> Decision | None:
    # Without inputs only the request's shape can speak against a candidate; one that echoes is judged by them.
    possible = [
        c
        for c in candidates
        if (c.input is None and _outputs_fit(attempt, c)) or _same_request(attempt.body, c.input, _same_url)
    ]
    if not possible:
        return _send_again_when_quiet(attempt, now, rules)
    if any(other.posting for other in attempts):
        return None
    if len(attempts) == 1 and len(possible) == 1:
        candidate = possible[0]
        # Count and format are known once it has ended: an id taken too early could be somebody else's.
        return _adopt(attempt, candidate) if candidate.ended or candidate.input is not None else None
    return Hold(attempt.id, _several(possible))


def _send_again_when_quiet(attempt: AttemptRow, now: datetime, rules: Rules) -> Decision | None:
    assert attempt.intent_at is not None  # a state without an id lies behind the intent
    wait = timedelta(seconds=(attempt.request_timeout_s or 0.0) + rules.quiet)
    return SendAgain(attempt.id) if now >= attempt.intent_at + wait else None


def _several(candidates: Sequence[Prediction]) -> str:
    ids = ", ".join(candidate.id for candidate in candidates[:5])
    return (
        "its reply was lost, and the account's history does not say which prediction it became "
        f"({len(candidates)} possible: {ids}); compare their outputs with the brief, then run `campaign reconcile`"
    )


def _adopt(attempt: AttemptRow, candidate: Prediction) -> Adopt:
    return Adopt(attempt.id, candidate.id, candidate.created_at)


def _age(candidate: Prediction) -> tuple[float, str]:
    return (candidate.created_at.timestamp() if candidate.created_at else 0.0, candidate.id)


def _in_time(attempt: AttemptRow, candidate: Prediction, skew: ClockSkew) -> bool:
    """Created, by the service's clock, between the intent and the moment at which the request was given up."""
    if candidate.created_at is None:
        return True
    assert attempt.intent_at is not None  # see above
    earliest = attempt.intent_at + timedelta(seconds=skew.low)
    latest = attempt.intent_at + timedelta(seconds=skew.high + (attempt.request_timeout_s or 0.0))
    return earliest <= candidate.created_at <= latest


def _outputs_fit(attempt: AttemptRow, candidate: Prediction) -> bool:
    body = attempt.body or {}
    if not candidate.completed:
        return True
    if "video" in body:
        return len(candidate.outputs) == 1 and _ending(candidate.outputs[0]) in {"mp4", "mov", ""}
    endings = {"jpeg": {"jpg", "jpeg", ""}}.get(body["output_format"], {body["output_format"], ""})
    return len(candidate.outputs) <= body["num_images"] and all(
        _ending(url) in endings for url in candidate.outputs
    )


def _ending(url: str) -> str:
    name = urlsplit(url).path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def _same_bodies(one: AttemptRow, other: AttemptRow) -> bool:
    return _same_request(one.body, other.body, _same_url)


def _same_request(
    sent: dict[str, Any] | None, seen: dict[str, Any] | None, same: Callable[[str, str], bool]
) -> bool:
    """Equal in every parameter that both show, and in their media by the given measure."""
    if sent is None or seen is None:
        return False
    for name, value in sent.items():
        if name in _MEDIA_KEYS:
            mine, theirs = _listed(value), _listed(seen.get(name))
            if len(mine) != len(theirs) or not all(map(same, mine, theirs)):
                return False
        elif name in seen and seen[name] != value:
            return False
    return "prompt" in seen


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _same_url(one: str, other: str) -> bool:
    return one == other


def _same_file(one: str, other: str) -> bool:
    """Uploads are named by their hash, which a rewritten address usually keeps."""
    name = urlsplit(one).path.rpartition("/")[2]
    return name == urlsplit(other).path.rpartition("/")[2] and len(name) > 32
