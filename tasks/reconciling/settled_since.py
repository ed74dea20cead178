"""A past run's record with what the account has said of its attempts since: refunds, and amounts that it corrected."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from blocks.ledger import AttemptRow, Ledger
from tasks.record import AttemptRecord, Outcome, RunRecord, StageRecord

_Place = tuple[str, str]  # brief and stage
_Attempt = tuple[str, int]  # of which piece of work, and its number


def settled_record(ledger: Ledger, run_id: str) -> RunRecord | None:
    """Read a run's record with what was settled since; None where the run left none.

    Raises ValidationError where the record is of another version.
    """
    text = ledger.run_record(run_id)
    if text is None:
        return None
    attempts = ledger.attempts(settled_run_id=ledger.run(run_id).id)
    return with_what_was_settled_since(RunRecord.model_validate_json(text), attempts)


def with_what_was_settled_since(record: RunRecord, attempts: Iterable[AttemptRow]) -> RunRecord:
    """Return the record as it would be written today. ``attempts`` are those that the ledger has settled in this run.

    What the run did stays as it was; what its attempts cost is what the ledger knows by now, with those attempts whose
    cost was not known when the run ended.
    """
    known = {(attempt.generation_key, attempt.number): attempt for attempt in attempts}
    if not known:
        return record
    later = _booked_later(record, known)
    briefs = tuple(
        brief.model_copy(
            update={
                "stages": tuple(
                    _stage(stage, known, later.get((stage.brief, stage.stage), ())) for stage in brief.stages
                )
            }
        )
        for brief in record.briefs
    )
    return record.model_copy(update={"briefs": briefs})


def attempt_record(attempt: AttemptRow) -> AttemptRecord:
    return AttemptRecord(
        number=attempt.number,
        state=attempt.state.value,
        prediction_id=attempt.prediction_id,
        charged=attempt.charged or 0,
        refunded=attempt.refunded,
        error_code=attempt.error_code,
        error=attempt.error,
        submitted_at=attempt.submitted_at,
        ended_at=attempt.completed_at or attempt.failed_at,
        settled_at=attempt.settled_at,
    )


def _booked_later(
    record: RunRecord, known: Mapping[_Attempt, AttemptRow]
) -> Mapping[_Place, tuple[AttemptRow, ...]]:
    """The attempts that the record lacks, each in one row: of several with equal work, in one that did it itself."""
    recorded = {(stage.generation_key, one.number) for stage in record.stages for one in stage.attempts}
    by_key: dict[str, list[AttemptRow]] = defaultdict(list)
    for place, attempt in known.items():
        if place not in recorded and attempt.charged is not None:
            by_key[attempt.generation_key].append(attempt)
    stages = sorted(record.stages, key=lambda stage: stage.outcome is Outcome.CACHED)
    return {
        (stage.brief, stage.stage): tuple(by_key.pop(stage.generation_key))
        for stage in stages
        if stage.generation_key in by_key
    }


def _stage(
    stage: StageRecord, known: Mapping[_Attempt, AttemptRow], later: tuple[AttemptRow, ...]
) -> StageRecord:
    key = stage.generation_key
    if key is None or not (stage.attempts or later):
        return stage
    attempts = (
        *(_attempt(attempt, known.get((key, attempt.number))) for attempt in stage.attempts),
        *map(attempt_record, later),
    )
    refunded = sum(attempt.refunded for attempt in attempts)
    charged = sum(attempt.charged for attempt in attempts) - refunded
    in_order = tuple(sorted(attempts, key=lambda attempt: attempt.number))
    return stage.model_copy(update={"attempts": in_order, "refunded": refunded, "charged": charged})


def _attempt(then: AttemptRecord, now: AttemptRow | None) -> AttemptRecord:
    if now is None or now.charged is None:
        return then
    return then.model_copy(
        update={"charged": now.charged, "refunded": now.refunded, "settled_at": now.settled_at}
    )
