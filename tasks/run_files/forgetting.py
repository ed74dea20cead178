"""Drops chosen results: what was made is made and paid for again when it is next wanted. The books stay whole.

The ledger goes first and the bytes last. Whatever comes in between leaves bytes that nobody needs, and never a result
without its bytes.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import KeptResult, Ledger
from tasks.page.thumbnails import Thumbnails

# As few signs of a key as a person may give.
_SHORTEST_KEY = 8


@dataclass(frozen=True)
class Choice:
    """Which results; each that is given narrows it. ``run`` is the run that made them, ``key`` how their key begins."""

    run: str | None = None
    brief: str | None = None
    stage: str | None = None
    key: str | None = None
    older_than: timedelta | None = None


@dataclass(frozen=True)
class Place:
    """Where a past run used a result."""

    campaign: str
    brief: str


@dataclass(frozen=True)
class Candidate:
    result: KeptResult
    places: tuple[Place, ...]  # none where no run that used it came to its end

    @property
    def hindrance(self) -> str | None:
        """Why it is kept all the same."""
        stage = self.result.needed_by
        if stage is None:
            return None
        return (
            f"a {stage} stage that was given it is not at its end; run its campaign again, or see "
            "`campaign reconcile`"
        )


def candidates(ledger: Ledger, choice: Choice, now: datetime) -> list[Candidate]:
    """The results that the choice names, the oldest first. Changes nothing.

    Raises InvalidInput where the choice names nothing at all, or a run that there is not.
    """
    if choice == Choice():
        raise InvalidInput(
            "say which results: by --run, --brief, --stage, --key or --older; several narrow it further"
        )
    if choice.key is not None and len(choice.key) < _SHORTEST_KEY:
        raise InvalidInput(
            f"--key needs {_SHORTEST_KEY} signs at least of a generation key of `manifest.json`"
        )
    run = ledger.run(choice.run).id if choice.run is not None else None
    limit = now - choice.older_than if choice.older_than is not None else None
    fitting = [
        result
        for result in ledger.kept_results()
        if (run is None or result.generation.stored_by_run == run)
        and (choice.stage is None or result.generation.stage == choice.stage)
        and (choice.key is None or result.generation.key.startswith(choice.key.lower()))
        and (limit is None or result.generation.stored_at < limit)
    ]
    places = _places(ledger, {result.generation.key for result in fitting}, choice.brief)
    return [
        Candidate(result, tuple(sorted(found, key=lambda place: (place.campaign, place.brief))))
        for result in fitting
        if (found := places.get(result.generation.key, set())) or choice.brief is None
    ]


def forget(ledger: Ledger, store: AssetStore, thumbnails: Thumbnails, chosen: Sequence[Candidate]) -> int:
    """Drop those that nothing hinders; return how many bytes that freed.

    Raises InvalidInput while a run is under way, which may have counted on them; StoreUnusable where bytes cannot be
    deleted.
    """
    if ledger.is_anyone_at_work():
        raise InvalidInput("a run is under way, and may count on what would be dropped; wait for its end")
    keys = [candidate.result.generation.key for candidate in chosen if candidate.hindrance is None]
    freed = 0
    for sha256 in sorted(ledger.forget(keys)):
        thumbnails.remove(sha256)
        freed += store.remove(sha256)
    return freed


def _places(ledger: Ledger, keys: set[str], brief: str | None) -> dict[str, set[Place]]:
    """Where past runs used each key; of one brief only, where it is named."""
    places: dict[str, set[Place]] = defaultdict(set)
    for run in ledger.runs() if keys else ():
        text = ledger.run_record(run.id)
        # Looking for the name first spares reading most records.
        if text is None or (brief is not None and json.dumps(brief, ensure_ascii=False) not in text):
            continue
        for key, name in _uses(text):
            if key in keys and (brief is None or name == brief):
                places[key].add(Place(run.campaign, name))
    return places


def _uses(record_json: str) -> Iterator[tuple[str, str]]:
    # Not by way of RunRecord: that checks every field, ten times as slow, and refuses records of other versions.
    for brief in json.loads(record_json)["briefs"]:
        yield from (
            (stage["generation_key"], brief["brief"]) for stage in brief["stages"] if stage["generation_key"]
        )


def total_bytes(chosen: Iterable[Candidate]) -> int:
    """The bytes of the assets, each counted once however many results have it."""
    sizes = {
        asset.sha256: asset.bytes for candidate in chosen for asset in candidate.result.generation.assets
    }
    return sum(sizes.values())
