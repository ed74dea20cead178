"""Why a stage is generated or cached: in words for people, and as causes for programs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.models import Stage, StageRequest
from tasks.planning.past_runs import PastStage
from tasks.work import WorkInput

_CARRIED = re.compile(r"(?P<brief>[^/]+)/(?P<stage>edit|compose)-[0-9]+")


class Cause(StrEnum):
    CACHED = "cached"  # made before, and kept
    EQUAL = "equal"  # the same work as an earlier brief's
    NEW = "new"  # no past run of this campaign had it
    PROMPT = "prompt"  # changed since the last run that had this brief and stage
    PARAMETERS = "parameters"  # likewise
    INPUT = "input"  # the bytes of named inputs, or which of them are named
    TAKE = "take"
    UPSTREAM = "upstream"  # the stage before makes, or made, other pictures
    MISSING = "missing"  # paid for, but its bytes are gone from the asset store
    FORGOTTEN = "forgotten"  # paid for, and dropped by `campaign forget`
    DROPPED = "dropped"  # made in a past run, and not in the ledger any more
    UNFINISHED = "unfinished"  # the last run that had it did not bring it to its end
    UNDER_WAY = "under way"  # sent already: it is collected, not sent again
    ELSEWHERE = "elsewhere"  # paid for, and missing here; another machine of the ledger may have it
    HELD = "held"  # waits for a person
    FLAGGED = "flagged"  # the stage before made a picture that the service flagged
    SHORT = "short"  # the stage before made too few pictures


@dataclass(frozen=True)
class Why:
    text: str
    causes: tuple[Cause, ...]
    since_run: str | None = None
    equal_to: str | None = None


@dataclass(frozen=True)
class Asked:
    """What is asked for now. ``waiting`` is the stage whose pictures are not made yet, where there is one."""

    brief: str
    request: StageRequest
    inputs: tuple[WorkInput, ...]
    take: int
    waiting: str | None


def why_generated(asked: Asked, past: PastStage | None) -> Why:
    """What changed since the last run of this campaign that had the same brief and stage."""
    waits = asked.waiting is not None
    if past is None:
        text = f"new; waits for the pictures of the {asked.waiting} stage" if waits else "new"
        return Why(text, (Cause.NEW,))
    changes = [*_own_changes(asked, past), *_input_changes(asked, past)]
    if not changes and past.made and not waits:
        return Why(
            f"made in run {past.run}, and dropped since",
            (Cause.DROPPED,),
            past.run,
        )
    if changes:
        text = _told(changes, past.run)
    elif past.made:
        text = ""
    else:
        text = f"{_ENDED.get(past.outcome, past.outcome)} in run {past.run}"
        changes = [(Cause.UNFINISHED, text)]
    causes = [cause for cause, _ in changes]
    if waits and Cause.UPSTREAM not in causes:
        upstream = f"upstream will change: new pictures of the {asked.waiting} stage"
        text = f"{text}; {upstream}" if text else f"{upstream} (since run {past.run})"
        causes.append(Cause.UPSTREAM)
    return Why(text, tuple(dict.fromkeys(causes)), past.run)


def _told(changes: Sequence["_Change"], run: str) -> str:
    (cause, first), *others = changes
    words = "; ".join(words for _, words in others)
    if cause is Cause.PROMPT:
        return f"{first} from run {run}" + (f"; {words}" if words else "")
    return f"{first}; {words} (since run {run})" if words else f"{first} (since run {run})"


_ENDED = {"failed": "failed", "held": "held back", "skipped": "left out"}
_Change = tuple[Cause, str]


def _own_changes(asked: Asked, past: PastStage) -> list[_Change]:
    changes: list[_Change] = []
    now, before = asked.request.parameters(), past.request
    if now["prompt"] != before.get("prompt"):
        changes.append((Cause.PROMPT, "prompt changed"))
    others = [
        f"{name} {_shown(before.get(name))} → {_shown(value)}"
        for name, value in now.items()
        if name != "prompt" and value != before.get(name)
    ]
    if past.model != asked.request.model_id:
        others.insert(0, f"model {past.model} → {asked.request.model_id}")
    if others:
        changes.append((Cause.PARAMETERS, f"parameters changed: {', '.join(others)}"))
    if asked.take != past.take:
        verb = "raised" if asked.take > past.take else "lowered"
        changes.append((Cause.TAKE, f"take {verb} from {past.take} to {asked.take}"))
    return changes


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else str(value)


def _input_changes(asked: Asked, past: PastStage) -> list[_Change]:
    changes: list[_Change] = []
    named_now = [(i.source, i.sha256) for i in asked.inputs if not _is_carried(asked.brief, i.source)]
    named_before = [(s, h) for s, h in past.inputs if not _is_carried(asked.brief, s)]
    if [sha for _, sha in named_now] != [sha for _, sha in named_before]:
        changes.append((Cause.INPUT, _named_change(named_now, named_before)))
    carried_now = [i.sha256 for i in asked.inputs if _is_carried(asked.brief, i.source)]
    carried_before = [sha for source, sha in past.inputs if _is_carried(asked.brief, source)]
    # A stage that was left out before its upstream had ended has no carried pictures on record.
    if asked.waiting is None and past.made and carried_now != carried_before:
        changes.append((Cause.UPSTREAM, "upstream changed: other pictures come from the stage before"))
    return changes


def _is_carried(brief: str, source: str) -> bool:
    match = _CARRIED.fullmatch(source)
    return match is not None and match["brief"] == brief


def _named_change(now: Sequence[tuple[str, str]], before: Sequence[tuple[str, str]]) -> str:
    """Which inputs differ, by the names that the campaign gives them; a new name for the same bytes is no change."""
    kept = {sha for _, sha in now} & {sha for _, sha in before}
    names_before = {source for source, sha in before if sha not in kept}
    names_now = {source for source, sha in now if sha not in kept}
    changed = list(dict.fromkeys(s for s, sha in now if sha not in kept and s in names_before))
    added = list(dict.fromkeys(s for s, sha in now if sha not in kept and s not in names_before))
    gone = list(dict.fromkeys(s for s, sha in before if sha not in kept and s not in names_now))
    parts = list(changed)
    if len(added) == len(gone) == 1:
        parts.append(f"{added[0]} in place of {gone[0]}")
    else:
        parts += [f"{source} added" for source in added]
        parts += [f"{source} gone" for source in gone]
    if parts:
        return f"input bytes changed: {', '.join(parts)}"
    return "inputs changed: the same pictures in another order or number"


def stage_words(stages: Sequence[Stage]) -> str:
    """``edit``, ``edit and video``, ``edit, compose and video``."""
    names = [stage.value for stage in stages]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
