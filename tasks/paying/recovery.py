"""Finds out what became of attempts whose POST got no answer, before anybody may send it again."""

import time
from datetime import UTC, datetime, timedelta

from blocks.errors import NeedsPerson, Transient
from blocks.ledger import AttemptRow, AttemptState, Decision
from tasks.paying.accounts import sent_by_another
from tasks.paying.matching import CLOSE_SECONDS, FAR_SECONDS, Rules, decide
from tasks.paying.workbench import Workbench

# History pages are looked through from a little before the intent: clocks are learnt, but not believed to the second.
MARGIN = timedelta(seconds=CLOSE_SECONDS + FAR_SECONDS)


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
        if not any(row.intent_at for row in waiting):
            return  # another process has just decided about it
        held = await bench.ask(bench.ledger.attempts, state=AttemptState.HELD)
        try:
            ours = await bench.account.ours([*waiting, *held])
        except Transient:
            return  # asked again after the next pause; nothing is sent meanwhile
        if current.account not in ours:
            raise NeedsPerson(sent_by_another(current))
        intents = [row.intent_at for row in waiting if row.account in ours and row.intent_at is not None]
        # Read before the history: what an old page does not show must not count as missing now.
        asked, now = datetime.now(UTC), await bench.ask(bench.ledger.now)
        told = datetime.now(UTC)
        skew = bench.client.clock.seen_from(now, asked=asked, told=told)
        bench.history_silence.asked(time.monotonic())
        try:
            history = await bench.client.history_since(
                min(intents) + timedelta(seconds=skew.low) - MARGIN, model=attempt.model
            )
        except Transient:
            bench.history_silence.look(time.monotonic())
            return  # asked again after the next pause; nothing is sent meanwhile
        bench.history_silence.answered(time.monotonic())
        rules = Rules(
            quiet=bench.settings.quiet,
            deadline=bench.settings.deadline_seconds,
            skew=bench.client.clock.seen_from(now, asked=asked, told=told),
        )

        def decision(attempts: list[AttemptRow], known: set[str]) -> list[Decision]:
            candidates = [
                item for item in history if item.id not in known and item.model in {"", attempt.model}
            ]
            # What waits for a person has no id either, and may be what the history shows.
            held = [
                row
                for row in bench.ledger.attempts(state=AttemptState.HELD)
                if (row.service, row.model) == (attempt.service, attempt.model)
                and row.account in ours
                and row.prediction_id is None
                and row.intent_at is not None
            ]
            # What another account has sent is in that one's history.
            own = [row for row in attempts if row.account in ours]
            return decide([*own, *held], candidates, now, rules)

        await bench.ask(
            bench.ledger.decide, attempt.service, attempt.model, [item.id for item in history], decision
        )
