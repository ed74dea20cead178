"""What the account's own records show: its history of the last seven days, and its bill."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from blocks.errors import NotFound, RequestRefused, Transient
from blocks.ledger import Settlement
from blocks.wavespeed import BillingEntry, HistoryReading, Prediction, UnreadableItem, WaveSpeedClient
from tasks.paying.settlement import settled_by
from tasks.reconciling.account_total import AccountTotal, account_total


@dataclass(frozen=True)
class AccountRecords:
    """``history`` and ``bill`` by prediction id; ``since`` is the moment from which both were read."""

    since: datetime
    history: Mapping[str, Prediction]
    bill: Mapping[str, Settlement]
    # Billed, but not in the history: deleted from it, or older than it. What was sent and made is not known.
    only_billed: Mapping[str, Prediction]
    bill_problem: str | None
    total: AccountTotal | None = None
    unreadable: tuple[UnreadableItem, ...] = ()

    @property
    def reading(self) -> HistoryReading:
        return HistoryReading(tuple(self.history.values()), self.unreadable)

    @property
    def predictions(self) -> list[Prediction]:
        return [*self.history.values(), *self.only_billed.values()]

    def find(self, prediction_id: str) -> Prediction | None:
        return self.history.get(prediction_id) or self.only_billed.get(prediction_id)


async def read_account(
    client: WaveSpeedClient, since: datetime, expected: Mapping[str, int]
) -> AccountRecords:
    """Everything that the account shows from ``since`` on, and the bill of ``expected``, however old.

    ``expected`` has the ledger's prices in millionths by prediction id. Raises AccountRefused, and Transient where the
    history cannot be read whole; a bill that cannot be read is said in ``bill_problem``.
    """
    reading = await client.read_history(since)
    history = {
        item.id: item
        for item in reading.predictions
        if item.created_at is None or item.created_at >= since or item.id in expected
    }
    entries: list[BillingEntry] = []
    recent: list[BillingEntry] | None = None
    problem: str | None = None
    try:
        recent = await client.billings(start=since, expected=expected)
        entries = await _bill(client, recent, expected, history)
    except (Transient, NotFound, RequestRefused) as error:
        problem = str(error)
    by_id: dict[str, list[BillingEntry]] = defaultdict(list)
    for entry in entries:
        by_id[entry.prediction_id].append(entry)
    bill = {key: settled for key, mine in by_id.items() if (settled := settled_by(key, mine)) is not None}
    return AccountRecords(
        since=since,
        history=history,
        bill=bill,
        only_billed={
            key: _known_from(by_id[key]) for key in bill if key not in history and key not in expected
        },
        bill_problem=problem,
        unreadable=reading.unreadable,
        total=None if recent is None else await account_total(client, since, recent),
    )


async def _bill(
    client: WaveSpeedClient,
    recent: Sequence[BillingEntry],
    expected: Mapping[str, int],
    history: Iterable[str],
) -> list[BillingEntry]:
    whole = {entry.prediction_id for entry in recent if entry.kind == "deduct"}
    # The rest of an older prediction's bill lies before that time: it is asked for by its id.
    ids = {*expected, *history, *(entry.prediction_id for entry in recent)} - whole
    entries = [entry for entry in recent if entry.prediction_id in whole]
    if ids:
        entries += await client.billings(sorted(ids), expected=expected)
    return entries


def _known_from(entries: Sequence[BillingEntry]) -> Prediction:
    charged = next(entry for entry in entries if entry.kind == "deduct")
    # Its status is not known; one that has not ended is never adopted on its time alone.
    return Prediction(
        id=charged.prediction_id, model=charged.model, status="unknown", created_at=charged.created_at
    )
