"""The account's money as a witness: whether its credit and its bill know of a request whose answer was lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from blocks.errors import AccountRefused, NotFound, RequestRefused, ServiceError
from blocks.ledger import AttemptRow
from blocks.wavespeed import BillingEntry, Prediction, WaveSpeedClient
from tasks.paying.silence import Money

# A credit read so long ago is read again before the next request.
KEPT_SECONDS = 60.0
# How far a booking's moment may be from the clock of the service's answers.
_CLOSE = timedelta(seconds=5)
# A charge so long before a request is none for it.
_BEFORE = timedelta(minutes=1)
# Of so many predictions that were charged and are not shown, it is asked when they were made.
MOST_STRANGE = 10
# Shorter predictions do not tell a charge at their beginning from one at their end.
_LONG_ENOUGH_SECONDS = 1.0
MOST_ASKED = 20


@dataclass
class Credit:
    """What the account's credit was, for the requests about to leave; one question serves all of a minute."""

    client: WaveSpeedClient
    clock: Callable[[], float] = time.monotonic
    _read_at: float | None = None
    _latest: tuple[int, datetime] | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def latest(self) -> tuple[int, datetime] | None:
        """Credit in millionths, and a moment of the ledger's clock right before it was read.

        None where the service does not say: a request can do without this witness.
        """
        return self._latest

    async def refresh(self, now: Callable[[], Awaitable[datetime]]) -> None:
        """Read it again where that is due. ``now`` gives the ledger's moment."""
        async with self._reading:
            if self._read_at is not None and self.clock() - self._read_at <= KEPT_SECONDS:
                return
            self._read_at = self.clock()
            moment = await now()
            try:
                self._latest = await self.client.balance(), moment
            except ServiceError:
                self._latest = None


@dataclass(frozen=True)
class Books:
    """What was read for one decision: ``bill`` is None where the service shows none, ``balance`` likewise."""

    bill: Sequence[BillingEntry] | None
    balance: int | None
    booked_at_acceptance: bool | None

    def witness(
        self, attempt: AttemptRow, known: Mapping[str, AttemptRow], shown: Mapping[str, Prediction]
    ) -> Money:
        """What they say about an attempt of which the history, ``shown``, has no possible prediction.

        ``known`` are the ledger's predictions, by id.
        """
        return Money(
            unchanged=self._unchanged(attempt, known),
            billed=self.bill is not None,
            unexplained=self._unexplained(attempt, known, shown),
            booked_at_acceptance=self.booked_at_acceptance,
        )

    def strange(
        self, attempt: AttemptRow, known: Mapping[str, AttemptRow], shown: Mapping[str, Prediction]
    ) -> list[str]:
        """The predictions that were charged since the attempt's request, and that neither ledger nor history knows."""
        assert attempt.intent_at is not None  # a state without an id lies behind the intent
        earliest = attempt.intent_at + timedelta(seconds=attempt.skew_low or 0.0) - _BEFORE
        return sorted(
            {
                entry.prediction_id
                for entry in self.bill or ()
                if entry.kind == "deduct"
                and entry.prediction_id not in known
                and entry.prediction_id not in shown
                and (entry.created_at is None or entry.created_at >= earliest)
                # The bill may name models by numbers of its own.
                and not ("/" in entry.model and entry.model != attempt.model)
            }
        )

    def _unexplained(
        self, attempt: AttemptRow, known: Mapping[str, AttemptRow], shown: Mapping[str, Prediction]
    ) -> str | None:
        strange = self.strange(attempt, known, shown)
        if not strange:
            return None
        charged = ", ".join(strange[:3])
        return f"the account's bill has a charge since then for {charged}, which its history does not show"

    def _unchanged(self, attempt: AttemptRow, known: Mapping[str, AttemptRow]) -> bool:
        if self.balance is None or attempt.balance_before is None or attempt.balance_at is None:
            return False
        lost = attempt.balance_before - self.balance
        if not self.bill:
            return lost == 0
        earliest = attempt.balance_at + timedelta(seconds=attempt.skew_low or 0.0) - _CLOSE
        certain = attempt.balance_at + timedelta(seconds=attempt.skew_high or 0.0) + _CLOSE
        if any(entry.created_at is None for entry in self.bill):
            return False
        since = sorted((one for one in self.bill if _moment(one) >= earliest), key=_moment, reverse=True)
        if any(entry.prediction_id not in known for entry in since):
            return False
        total, possible = 0, set()
        for entry in since:
            if _moment(entry) <= certain:  # booked before the credit was read, or after it
                possible.add(total)
            total += entry.amount if entry.kind == "deduct" else -entry.amount
        return lost in {*possible, total}


def _moment(entry: BillingEntry) -> datetime:
    assert entry.created_at is not None  # callers have looked
    return entry.created_at


async def read_books(
    client: WaveSpeedClient, since: datetime, known: Mapping[str, AttemptRow], *, charged_at: str | None
) -> Books:
    """Read credit and bill. Raises Transient where they cannot be read now.

    ``charged_at`` is "acceptance" or "end" where that is set; else it is learnt from the bill of ``known``.
    """
    try:
        expected = {key: row.estimated for key, row in known.items()}
        bill: list[BillingEntry] | None = await client.billings(start=since, expected=expected)
    except (NotFound, RequestRefused, AccountRefused):
        bill = None
    try:
        balance: int | None = await client.balance()
    except (NotFound, RequestRefused, AccountRefused):
        balance = None
    booked = charged_at == "acceptance" if charged_at else booked_at_acceptance(known, bill or ())
    if booked is None and bill is not None:
        ended = [key for key, row in known.items() if _tells_when(row)][-MOST_ASKED:]
        if ended:
            more = await client.billings(ended, expected={key: expected[key] for key in ended})
            booked = booked_at_acceptance(known, more)
    return Books(bill, balance, booked)


def booked_at_acceptance(known: Mapping[str, AttemptRow], bill: Sequence[BillingEntry]) -> bool | None:
    """Whether predictions were charged nearer to their beginning than to their end; None where that is not clear."""
    said: set[bool] = set()
    for entry in bill:
        row = known.get(entry.prediction_id)
        if entry.kind != "deduct" or row is None or entry.created_at is None or not _tells_when(row):
            continue
        assert row.service_created_at is not None and row.inference_s is not None  # noqa: PT018 - it tells when
        after = (entry.created_at - row.service_created_at).total_seconds()
        if abs(after) < row.inference_s / 4:
            said.add(True)
        elif after > row.inference_s * 3 / 4:
            said.add(False)
        else:
            return None
    return said.pop() if len(said) == 1 else None


def _tells_when(row: AttemptRow) -> bool:
    return row.service_created_at is not None and (row.inference_s or 0.0) >= _LONG_ENOUGH_SECONDS


async def made_before(
    client: WaveSpeedClient, ids: Sequence[str], moment: datetime
) -> Mapping[str, Prediction]:
    """Those of the predictions that were made before the moment: an account may be charged at their end."""
    found: dict[str, Prediction] = {}
    for prediction_id in ids[:MOST_STRANGE]:
        try:
            prediction = await client.result(prediction_id)
        except (NotFound, RequestRefused, AccountRefused):
            continue
        if prediction.created_at is not None and prediction.created_at < moment:
            found[prediction_id] = prediction
    return found
