"""What one whole reading of the account's history shows of our own work: by this its silence is believed or not."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from blocks.ledger import AttemptRow, Ledger
from blocks.wavespeed import HistoryReading
from tasks.paying.likeness import Likeness, likeness
from tasks.paying.silence import AROUND, HISTORY_LASTS, Evidence
from tasks.paying.spelling import ModelNames, Spelling


def gather_evidence(
    ledger: Ledger, service: str, model: str, reading: HistoryReading, *, since: datetime, now: datetime
) -> Evidence:
    """Compare the reading with what the ledger knows of it.

    ``since`` is the moment from which on attempts matter, ``now`` the ledger's.
    """
    shown = {item.id: item for item in reading.predictions}
    known = ledger.sent_and_known(
        service, list(shown), since - AROUND, earliest=now - HISTORY_LASTS + timedelta(days=1)
    )
    own = [
        (row.model, row.body, shown[row.prediction_id].input)
        for row in known
        if row.body is not None and row.prediction_id in shown
    ]
    named = [(row.model, shown[row.prediction_id].model) for row in known if row.prediction_id in shown]
    return Evidence(
        names=ModelNames.learn(model, named),
        known=known,
        shown=shown,
        unreadable=reading.unreadable,
        spelling=Spelling.learn((body, seen) for of_model, body, seen in own if of_model == model),
        shows_inputs=bool(own) and all(likeness(body, seen) >= Likeness.FILES for _, body, seen in own),
    )


def earliest_of(attempts: Sequence[AttemptRow], skew_low: float) -> datetime:
    """The earliest moment, by the service's clock, at which any of the attempts' predictions can have been made."""
    return min(
        row.intent_at + timedelta(seconds=skew_low if row.skew_low is None else row.skew_low)
        for row in attempts
        if row.intent_at is not None
    )
