"""Attempts without a prediction id, those held for a person included, decided about by the account's records."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from blocks.errors import NeedsPerson
from blocks.ledger import (
    Adopt,
    AttemptRow,
    AttemptState,
    Decision,
    IllegalTransition,
    Ledger,
)
from blocks.wavespeed import Prediction
from tasks.paying.evidence import gather_evidence
from tasks.paying.likeness import Likeness, likeness
from tasks.paying.matching import FAR_SECONDS, Rules, decide
from tasks.paying.silence import Wait
from tasks.reconciling.account_records import AccountRecords

WITHOUT_ID = (AttemptState.INTENT, AttemptState.UNKNOWN, AttemptState.HELD)


@dataclass(frozen=True)
class Orphans:
    """Decides for one service. ``now`` is the ledger's, from before the records were read.

    ``ours`` are the accounts whose records these are; what another one has sent is decided by that one's.
    """

    ledger: Ledger
    service: str
    records: AccountRecords
    rules: Rules
    now: datetime
    ours: frozenset[str | None]

    def decide_all(self, attempts: Sequence[AttemptRow]) -> None:
        """Writes into the ledger what is certain; what stays open stays as it is, or is held for a person."""
        for model in sorted({a.model for a in attempts if a.state in WITHOUT_ID and a.prediction_id is None}):
            self._decide_model(model)

    def _decide_model(self, model: str) -> None:
        for_held: list[Adopt] = []
        # What nothing but silence speaks for takes a while of watching: a run does that.
        evidence = gather_evidence(
            self.ledger, self.service, model, self.records.reading, since=self.records.since, now=self.now
        )
        candidates = [item for item in self.records.predictions if evidence.may_be_of(model, item.model)]

        def decision(listed: list[AttemptRow], known: set[str]) -> list[Decision]:
            held = {
                attempt.id: attempt
                for attempt in self.ledger.attempts(state=AttemptState.HELD)
                if attempt.service == self.service
                and attempt.model == model
                and attempt.account in self.ours
                and attempt.prediction_id is None
                and attempt.intent_at is not None
            }
            busy = self.ledger.at_work(self.service)
            # A held attempt may have made a prediction as well as any other; so all are decided about together.
            everyone = {attempt.id: attempt for attempt in listed if attempt.account in self.ours} | {
                key: replace(attempt, state=AttemptState.UNKNOWN) for key, attempt in held.items()
            }
            # One that a living process is busy with is a possible maker, and that process decides about it.
            makers = [replace(a, posting=a.posting or a.id in busy) for a in everyone.values()]
            decisions = decide(
                makers, [c for c in candidates if c.id not in known], self.now, self.rules, evidence
            )
            for_held.extend(one for one in decisions if isinstance(one, Adopt) and one.attempt_id in held)
            return [one for one in decisions if not isinstance(one, Wait) and one.attempt_id not in held]

        try:
            self.ledger.decide(self.service, model, [item.id for item in candidates], decision)
            for one in for_held:
                self.ledger.adopt(
                    one.attempt_id,
                    prediction_id=one.prediction_id,
                    service_created_at=one.service_created_at,
                )
        except (NeedsPerson, IllegalTransition):
            # Somebody else decided at the same moment; what is open still is seen as such.
            return

    def possible(self, attempt: AttemptRow, unclaimed: Sequence[Prediction]) -> tuple[Prediction, ...]:
        """Those of the predictions without an attempt that a person should look at for this one, oldest first."""
        if attempt.intent_at is None or attempt.account not in self.ours:
            return ()
        skew = self.rules.skew
        late = (attempt.request_timeout_s or 0.0) + self.rules.quiet + FAR_SECONDS
        earliest = attempt.intent_at + timedelta(seconds=skew.low - FAR_SECONDS)
        latest = attempt.intent_at + timedelta(seconds=skew.high + late)
        found = [
            item
            for item in unclaimed
            if item.model in {"", attempt.model}
            and (item.created_at is None or earliest <= item.created_at <= latest)
            and likeness(attempt.body, item.input) is not Likeness.OTHER
        ]
        return tuple(
            sorted(found, key=lambda item: (item.created_at.timestamp() if item.created_at else 0.0, item.id))
        )
