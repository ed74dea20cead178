"""A past run's record with what the account has said of its attempts since: refunds, and amounts that it corrected."""

from collections.abc import Iterable

from blocks.ledger import AttemptRow
from tasks.record import AttemptRecord, RunRecord, StageRecord


def with_what_was_settled_since(record: RunRecord, attempts: Iterable[AttemptRow]) -> RunRecord:
    """Return the record as it would be written today. ``attempts`` are those that the ledger has settled in this run.

    What the run did stays as it was; what its attempts cost is what the ledger knows by now.
    """
    known = {(attempt.generation_key, attempt.number): attempt for attempt in attempts}
    if not known:
        return record
    briefs = tuple(
        brief.model_copy(update={"stages": tuple(_stage(stage, known) for stage in brief.stages)})
        for brief in record.briefs
    )
    return record.model_copy(update={"briefs": briefs})


def _stage(stage: StageRecord, known: dict[tuple[str, int], AttemptRow]) -> StageRecord:
    key = stage.generation_key
    if key is None or not stage.attempts:
        return stage
    attempts = tuple(_attempt(attempt, known.get((key, attempt.number))) for attempt in stage.attempts)
    refunded = sum(attempt.refunded for attempt in attempts)
    charged = sum(attempt.charged for attempt in attempts) - refunded
    return stage.model_copy(update={"attempts": attempts, "refunded": refunded, "charged": charged})


def _attempt(then: AttemptRecord, now: AttemptRow | None) -> AttemptRecord:
    if now is None or now.charged is None:
        return then
    return then.model_copy(
        update={"charged": now.charged, "refunded": now.refunded, "settled_at": now.settled_at}
    )
