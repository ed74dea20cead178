"""Finds out what became of attempts whose POST got no answer, before anybody may send it again."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from blocks.errors import NeedsPerson, Transient, WitnessAwaited
from blocks.ledger import AttemptRow, AttemptState, Decision, Reply
from blocks.wavespeed import HistoryReading
from tasks.paying.accounts import sent_by_another
from tasks.paying.credit import made_before, read_books
from tasks.paying.evidence import earliest_of, gather_evidence
from tasks.paying.matching import CLOSE_SECONDS, FAR_SECONDS, Rules, decide
from tasks.paying.silence import AROUND, Evidence, Wait
from tasks.paying.workbench import Workbench

# The history is looked through from a little before the intent: clocks are learnt, but not believed to the second.
MARGIN = timedelta(seconds=CLOSE_SECONDS + FAR_SECONDS)
# What lasts longer is told of.
_TOLD_SECONDS = 30.0
_LONGEST_PAUSE = 10.0
# Several times as long as others wait before they try again.
_GIVES_WAY_SECONDS = 1.0
_WITHOUT_ID = frozenset({AttemptState.INTENT, AttemptState.UNKNOWN})


async def resolve(bench: Workbench, attempt: AttemptRow) -> AttemptRow:
    """The attempt in a state that says what to do: ``submitted`` (its prediction is known) or ``reserved`` (send it).

    Raises NeedsPerson where the account leaves it open: the attempt is held, or stays ``unknown`` where a later run
    may know more. Raises WitnessAwaited where others of the run are to go first, Stopped where the run ends before it
    is known.
    """
    began = time.monotonic()
    with bench.movement.standing_still():
        while True:
            await _decide_about_all(bench, attempt)
            current = await bench.ask(bench.ledger.attempt, attempt.id)
            if current.state is AttemptState.HELD:
                raise NeedsPerson(current.held_reason or "its fate is unknown")
            if current.state not in _WITHOUT_ID:
                return current
            waited = time.monotonic() - began
            _wait_or_give_up(bench, current, waited)
            # The longer it lasts, the less a second matters.
            await bench.stop.sleep(max(bench.settings.poll, min(_LONGEST_PAUSE, waited / 10)))


def _wait_or_give_up(bench: Workbench, attempt: AttemptRow, waited: float) -> None:
    wait = bench.lookout.wait_of(attempt) or Wait(attempt.id, "the account's history cannot be read")
    # Nobody of this run is about to send anything that could show in the history.
    still = bench.movement.still_for() > bench.settings.quiet
    alone = still and not wait.passes
    barred = still and wait.lacks_witness and bench.movement.barred > 0
    if barred and attempt.generation_key not in bench.gave_way:
        bench.gave_way.add(attempt.generation_key)
        raise WitnessAwaited(
            f"its reply was lost, and {wait.reason}: others go first, then it is looked at again",
            retry_after=_GIVES_WAY_SECONDS,
        )
    if alone or waited > bench.settings.patience_seconds:
        raise NeedsPerson(
            f"its reply was lost, and {wait.reason}. It is not sent again, since it may have been paid for. The next "
            "run looks again; or look in the account's history and bill yourself, then run `campaign reconcile`"
        )
    if waited > _TOLD_SECONDS:
        bench.note(
            f"the reply to a request of {attempt.model} was lost, and {wait.reason}; still waiting: Ctrl-C is safe, "
            "the next run goes on"
        )


async def _decide_about_all(bench: Workbench, attempt: AttemptRow) -> None:
    # One look at a time: the lock spares the service a history call for each of many lost replies.
    async with bench.lock(f"recovery {attempt.model}"):
        current = await bench.ask(bench.ledger.attempt, attempt.id)
        if current.state not in _WITHOUT_ID:
            return
        waiting = await bench.ask(bench.ledger.attempts_without_id, attempt.service, attempt.model)
        if not any(row.intent_at for row in waiting):
            return  # another process has just decided about it
        held = await bench.ask(bench.ledger.attempts, state=AttemptState.HELD)
        try:
            ours = await bench.account.ours([*waiting, *held])
            if current.account not in ours:
                raise NeedsPerson(sent_by_another(current))
            # What another account has sent is in that one's history.
            own = [row for row in waiting if row.account in ours]
            await Look(bench, attempt.service, attempt.model, ours).decide(own)
        except Transient:
            bench.history_silence.look(time.monotonic())
            # Asked again after the next pause; nothing is sent meanwhile.


class Look:
    """One look at the account, and what it decides about all attempts of a model without an id.

    ``ours`` are the ledger's names of the account that is asked.
    """

    def __init__(self, bench: Workbench, service: str, model: str, ours: Collection[str | None]) -> None:
        self._bench, self._service, self._model, self._ours = bench, service, model, ours
        # The attempts as they stood before the history was read.
        self._seen: set[tuple[int, AttemptState, datetime | None, Reply | None]] = set()

    async def decide(self, waiting: Sequence[AttemptRow]) -> None:
        bench = self._bench
        looked = time.monotonic()
        # Read before the history: what an old page does not show must not count as missing now.
        asked, now = datetime.now(UTC), await bench.ask(bench.ledger.now)
        told = datetime.now(UTC)
        skew = bench.client.clock.seen_from(now, asked=asked, told=told)
        since = earliest_of(waiting, skew.low)
        bench.history_silence.asked(time.monotonic())
        reading, evidence = await self._evidence(since - MARGIN, now)
        bench.history_silence.answered(time.monotonic())
        bench.lookout.shows_unended |= any(not item.ended for item in reading.predictions)
        evidence = replace(
            evidence,
            shows_unended=bench.lookout.shows_unended or bench.watch.history_shows_unended,
            watched=bench.lookout.with_this_look(waiting, looked),
            resent=await bench.ask(bench.ledger.resent, [row.generation_key for row in waiting]),
        )
        rules = Rules(
            quiet=bench.settings.quiet,
            deadline=bench.settings.deadline_seconds,
            skew=bench.client.clock.seen_from(now, asked=asked, told=told),
        )
        self._seen = {(row.id, row.state, row.intent_at, row.reply) for row in waiting}
        waits = await self._apply(reading, evidence, now, rules)
        poor = {wait.attempt_id for wait in waits if wait.needs_money}
        if poor:
            lacking = [row for row in waiting if row.id in poor]
            evidence = await self._with_money(evidence, lacking)
            waits = await self._apply(reading, evidence, now, rules)
        bench.lookout.looked(waiting, waits, looked)

    async def _evidence(self, since: datetime, now: datetime) -> tuple[HistoryReading, Evidence]:
        """Read the history back to ``since``, by its own clock, and say what of it is known."""
        reading = await self._bench.client.read_history(since)
        evidence = await self._gather(reading, since, now)
        dating = evidence.dating()
        if dating.low < -FAR_SECONDS:
            # Its clock shows earlier times than the service's answers do: what looked old enough was not.
            reading = await self._bench.client.read_history(since + timedelta(seconds=dating.low))
            evidence = await self._gather(reading, since, now)
        return reading, evidence

    async def _gather(self, reading: HistoryReading, since: datetime, now: datetime) -> Evidence:
        bench = self._bench
        evidence = await bench.ask(
            gather_evidence, bench.ledger, self._service, self._model, reading, since=since, now=now
        )
        ours = await bench.account.ours(evidence.known)
        return replace(evidence, known=[row for row in evidence.known if row.account in ours])

    async def _with_money(self, evidence: Evidence, attempts: Sequence[AttemptRow]) -> Evidence:
        bench = self._bench
        since = min(
            moment for row in attempts for moment in (row.intent_at, row.balance_at) if moment is not None
        )
        known = {row.prediction_id: row for row in evidence.known if row.prediction_id is not None}
        books = await read_books(bench.client, since - AROUND, known, charged_at=bench.settings.charges_at)
        billed = {entry.prediction_id for entry in books.bill or ()} - set(known)
        more = await bench.ask(bench.ledger.sent_and_known, self._service, billed, since, earliest=since)
        known |= {row.prediction_id: row for row in more if row.prediction_id is not None}
        strange = sorted({key for row in attempts for key in books.strange(row, known, evidence.shown)})
        shown = {**evidence.shown, **await made_before(bench.client, strange, since - MARGIN)}
        return replace(evidence, money={row.id: books.witness(row, known, shown) for row in attempts})

    async def _apply(
        self, reading: HistoryReading, evidence: Evidence, now: datetime, rules: Rules
    ) -> Sequence[Wait]:
        """Write what is certain into the ledger; return what is not."""
        bench, waits = self._bench, list[Wait]()

        def decision(attempts: list[AttemptRow], known: set[str]) -> list[Decision]:
            candidates = [
                item
                for item in reading.predictions
                if item.id not in known and evidence.may_be_of(self._model, item.model)
            ]
            # What waits for a person has no id either, and may be what the history shows.
            held = [
                row
                for row in bench.ledger.attempts(state=AttemptState.HELD)
                if (row.service, row.model) == (self._service, self._model)
                and row.account in self._ours
                and row.prediction_id is None
                and row.intent_at is not None
            ]
            # Another account's are in that one's history; and what was sent since the reading cannot be in it.
            own = [
                row
                if (row.id, row.state, row.intent_at, row.reply) in self._seen
                else replace(row, posting=True)
                for row in attempts
                if row.account in self._ours
            ]
            decided = decide([*own, *held], candidates, now, rules, evidence)
            waits.extend(one for one in decided if isinstance(one, Wait))
            return [one for one in decided if not isinstance(one, Wait)]

        await bench.ask(
            bench.ledger.decide,
            self._service,
            self._model,
            [item.id for item in reading.predictions],
            decision,
        )
        return waits
