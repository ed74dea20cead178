"""Finds out what became of attempts whose POST got no answer, before anybody may send it again."""

from datetime import timedelta

from blocks.errors import NeedsPerson, Transient
from blocks.ledger import AttemptRow, AttemptState, Decision
from tasks.matching import Rules, decide
from tasks.workbench import Workbench

# History pages are looked through from a little before the intent: clocks are learnt, but not believed to the second.
MARGIN = timedelta(seconds=60)


async def resolve(bench: Workbench, attempt: AttemptRow) -> AttemptRow:
    """The attempt in a state that says what to do: ``submitted`` (its prediction is known) or ``reserved`` (send it).

    Raises NeedsPerson where the history leaves it open, Stopped where the run ends before it is known.
    """
    while True:
        await _decide_about_all(bench, attempt)
        current = await bench.ask(bench.ledger.attempt, attempt.id)
        if current.state is AttemptState.HELD:
            raise NeedsPerson(current.held_reason or "its fate is unknown")
        if current.state not in {AttemptState.INTENT, AttemptState.UNKNOWN}:
            return current
        await bench.stop.sleep(bench.settings.poll)


async def _decide_about_all(bench: Workbench, attempt: AttemptRow) -> None:
    # One look at a time: the lock spares the service a history call for each of many lost replies.
    async with bench.lock(f"recovery {attempt.model}"):
        current = await bench.ask(bench.ledger.attempt, attempt.id)
        if current.state not in {AttemptState.INTENT, AttemptState.UNKNOWN}:
            return
        waiting = await bench.ask(bench.ledger.attempts_without_id, attempt.service, attempt.model)
        since = min(row.intent_at for row in waiting if row.intent_at is not None)
        skew = bench.client.clock
        try:
            history = await bench.client.history_since(
                since + timedelta(seconds=skew.low) - MARGIN, model=attempt.model
            )
        except Transient:
            return  # asked again after the next pause; nothing is sent meanwhile
        rules = Rules(quiet=bench.settings.quiet, skew=bench.client.clock)
        # The ledger's own clock: with PostgreSQL it may be another machine's.
        now = await bench.ask(bench.ledger.now)

        def decision(attempts: list[AttemptRow], known: set[str]) -> list[Decision]:
            candidates = [
                item for item in history if item.id not in known and item.model in {"", attempt.model}
            ]
            return decide(attempts, candidates, now, rules)

        await bench.ask(
            bench.ledger.decide, attempt.service, attempt.model, [item.id for item in history], decision
        )
