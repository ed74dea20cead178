"""What the ledger remembers of a campaign's past runs, as far as a plan wants to know why something is new."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from blocks.ledger import Ledger
from tasks.record import BriefRecord, Outcome, RunRecord, StageRecord

# A record is as large as its campaign: where a brief is in none of so many runs, it counts as new.
_MOST_RUNS = 50
_BRIEF_NAMES = re.compile(r'"brief":"([^"\\]+)"')
_MADE = {Outcome.GENERATED, Outcome.CACHED, Outcome.RESUMED}

Place = tuple[str, str]  # brief and stage


@dataclass(frozen=True)
class PastStage:
    """One stage of one brief as a run left it; ``inputs`` are (source, sha256) in the order sent."""

    run: str
    outcome: str
    model: str
    request: dict[str, Any]
    inputs: tuple[tuple[str, str], ...]
    take: int

    @property
    def made(self) -> bool:
        return self.outcome in _MADE


def latest_stages(
    ledger: Ledger, *, campaign: str, csv_path: str, service: str, wanted: Iterable[Place]
) -> dict[Place, PastStage]:
    """For each wanted stage, the newest ended run of this campaign (its name, or its file) that had it.

    Reads one record after the other, newest first, until all are found; nothing is read where nothing is wanted.
    """
    missing = set(wanted)
    found: dict[Place, PastStage] = {}
    if not missing:
        return found
    runs = (
        run.id
        for run in ledger.runs()
        if run.ended_at is not None
        and run.service == service
        and (run.campaign == campaign or run.csv_path == csv_path)
    )
    for _, run_id in zip(range(_MOST_RUNS), runs, strict=False):
        if not missing:
            break
        names = {brief for brief, _ in missing}
        for place, stage in _stages_of(ledger.run_record(run_id), names):
            if place in missing:
                found[place] = stage
                missing.discard(place)
    return found


def _stages_of(record_json: str | None, names: set[str]) -> Iterator[tuple[Place, PastStage]]:
    # Looking for the names first is fifty times as quick as reading a record in which none of them stands.
    if record_json is None or names.isdisjoint(_BRIEF_NAMES.findall(record_json)):
        return
    try:
        record = RunRecord.model_validate_json(record_json)
    except ValidationError:
        return  # of another version: a reason is worth less than a plan
    for brief in record.briefs:
        if brief.brief in names:
            for stage in brief.stages:
                yield (brief.brief, stage.stage), _past_stage(record.run, brief, stage)


def _past_stage(run: str, brief: BriefRecord, stage: StageRecord) -> PastStage:
    take = brief.row.get("take", "").strip()
    return PastStage(
        run=run,
        outcome=stage.outcome,
        model=stage.model,
        request=dict(stage.request),
        inputs=tuple((item.source, item.sha256) for item in stage.inputs),
        take=int(take) if take.isdecimal() else 1,
    )
