"""What the ledger takes and gives: plain frozen records, no database in sight.

Money is whole millionths of a dollar, moments are aware and UTC, durations are seconds.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from blocks.errors import BudgetRefused, CampaignError
from blocks.money import dollars_text

# How long the service keeps a prediction's outputs, from the day on which it was made.
KEPT_BY_SERVICE = timedelta(days=7)


class AttemptState(StrEnum):
    """``reserved → intent → submitted → completed → stored``, and what lies beside that road."""

    RESERVED = "reserved"  # the budget holds its worst-case price; nothing was sent
    INTENT = "intent"  # on disk; the POST may be under way
    SUBMITTED = "submitted"  # the prediction's id is known
    COMPLETED = "completed"  # the outputs' addresses are known
    STORED = "stored"  # verified bytes are in the asset store
    UNKNOWN = "unknown"  # the POST may or may not have been accepted
    FAILED = "failed"  # the prediction, or the request for it, ended without outputs
    HELD = "held"  # a person must look
    WITHDRAWN = "withdrawn"  # nothing was sent; the reservation is released


class Reply(StrEnum):
    """What came of an attempt's newest request, where that was not a prediction's id."""

    LOST = "lost"  # nothing that says whether it was accepted
    REFUSED = "refused"  # a clear refusal, which is believed after one look at the account's history
    ACCEPTED = "accepted"  # taken on, but without an id that can be used: it is never sent again


class IllegalTransition(RuntimeError):
    """A step that an attempt in its state cannot take: a mistake in the program."""


class LeaseLost(CampaignError):
    """Another process has taken the work over. Claim it again, and wait for the other's result."""


class CapReached(BudgetRefused):
    """The cap does not cover the worst case. All amounts in millionths of a dollar.

    ``in_flight`` is what of ``reserved`` living processes work on: some of it may become free when that is settled.
    ``until``: the next day's first moment, where the cap is a day's.
    """

    def __init__(
        self,
        *,
        cap: int,
        charged: int,
        reserved: int,
        wanted: int,
        in_flight: int = 0,
        until: datetime | None = None,
    ) -> None:
        self.cap = cap
        self.charged = charged
        self.reserved = reserved
        self.wanted = wanted
        self.in_flight = in_flight
        self.until = until
        name = "the budget of this run" if until is None else "the cap a day"
        since = "" if until is None else " since 00:00 UTC"
        lack = (
            f"leaves too little for ${dollars_text(wanted)} more" if wanted else "is more than that already"
        )
        held = f"${dollars_text(charged)} charged"
        if reserved:
            held += f" and ${dollars_text(reserved)} reserved"
        advice = "raise --budget" + (", or wait until what is reserved is settled" if reserved else "")
        if until is not None:
            advice = (
                f"it goes on from {until:%Y-%m-%d %H:%M} UTC: run the same command again then, or raise "
                "CAMPAIGN_BUDGET_PER_DAY"
            )
        super().__init__(f"{name} is ${dollars_text(cap)}: {held}{since} {lack}; {advice}")

    @property
    def per_day(self) -> bool:
        return self.until is not None

    @property
    def may_pass(self) -> bool:
        """Whether what is in flight, should it turn out to cost nothing, would leave enough."""
        return self.in_flight > 0 and self.charged + self.reserved - self.in_flight + self.wanted <= self.cap


class AnotherUnderWay(CampaignError):
    """Another request of this model is under way, or its fate is being looked for; ask again in a moment."""


@dataclass(frozen=True)
class WorkInput:
    """One picture or clip that goes in: as ``image``, ``images`` or ``video``, and its bytes' hash."""

    role: str
    sha256: str


@dataclass(frozen=True)
class GenerationWork:
    """One piece of work, as its key stands for it."""

    key: str
    service: str
    provider: str
    model: str
    stage: str
    request: dict[str, Any]  # every parameter as sent, inputs aside
    inputs: tuple[WorkInput, ...]
    take: int
    prompt: str


@dataclass(frozen=True)
class StoredAsset:
    sha256: str
    media_type: str
    bytes: int
    width: int
    height: int
    duration_seconds: Decimal | None = None
    frames_per_second: Decimal | None = None
    has_sound: bool | None = None
    flagged_nsfw: bool = False


@dataclass(frozen=True)
class StoredGeneration:
    """Paid for and kept. ``assets`` are in the service's order."""

    key: str
    model: str
    stage: str
    assets: tuple[StoredAsset, ...]
    stored_at: datetime
    stored_by_run: str
    prediction_id: str | None


@dataclass(frozen=True)
class AttemptRow:
    id: int
    generation_key: str
    number: int  # from 1 within its generation
    state: AttemptState
    run_id: str
    settled_run_id: str | None
    service: str
    model: str
    prediction_id: str | None
    estimated: int
    reserved: int
    charged: int | None
    refunded: int
    list_price: int | None
    discounted_price: int | None
    error_code: str | None
    error: str | None
    held_reason: str | None
    owner: str
    lease: str
    intent_lease: str | None
    body: dict[str, Any] | None
    input_sha256s: tuple[str, ...]
    outputs: tuple[str, ...]
    nsfw: tuple[bool, ...]
    account: str | None
    balance_before: int | None
    balance_at: datetime | None
    skew_low: float | None
    skew_high: float | None
    reply: Reply | None
    resent: int
    reserved_at: datetime
    intent_at: datetime | None
    submitted_at: datetime | None
    completed_at: datetime | None
    stored_at: datetime | None
    failed_at: datetime | None
    held_at: datetime | None
    unknown_at: datetime | None
    withdrawn_at: datetime | None
    settled_at: datetime | None
    service_created_at: datetime | None
    detected_at: datetime | None
    request_timeout_s: float | None
    queue_s: float | None
    upload_s: float | None
    submit_s: float | None
    inference_s: float | None
    detect_s: float | None
    download_s: float | None
    polls: int
    # Only where attempts without an id are listed: its owner is alive and may be in the POST at this moment.
    # Such an attempt counts among the possible makers of a prediction, but nothing may be decided about it.
    posting: bool = False
    # Pictures, or the clip's billed seconds before any rounding up; None in ledgers from before it was kept.
    quantity: Decimal | None = None
    # When the account's bill showed its cost; None where it was booked at its price, or is not settled yet.
    billed_at: datetime | None = None

    @property
    def kept_until(self) -> datetime | None:
        """The moment up to which the service keeps its outputs; None where it is not known to have been sent."""
        made = self.service_created_at or self.submitted_at
        return None if made is None else made + KEPT_BY_SERVICE


@dataclass(frozen=True)
class PaidResult:
    """What came of paid work, and the attempt that made it: to be collected again where its bytes are gone."""

    assets: tuple[StoredAsset, ...]
    attempt: AttemptRow


@dataclass(frozen=True)
class AlreadyStored:
    generation: StoredGeneration


@dataclass(frozen=True)
class Busy:
    """Someone works on it; ask again. The lease runs out at ``until`` unless its owner's heart beats on."""

    owner: str
    run_id: str
    until: datetime


@dataclass(frozen=True)
class Granted:
    """The lease is taken. An ``attempt`` is to be resumed (``Ledger.resume``); None: reserve a new one."""

    attempt: AttemptRow | None


@dataclass(frozen=True)
class HeldForPerson:
    attempt: AttemptRow


Claim = AlreadyStored | Busy | Granted | HeldForPerson


@dataclass(frozen=True)
class Settlement:
    """What an attempt cost by the service's books (``billed``), or by its price, until the books are read."""

    charged: int
    refunded: int = 0
    list_price: int | None = None
    discounted_price: int | None = None
    # An amount is the same, wherever it was read.
    billed: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Adopt:
    """The attempt made this prediction."""

    attempt_id: int
    prediction_id: str
    service_created_at: datetime | None


@dataclass(frozen=True)
class Hold:
    attempt_id: int
    reason: str


@dataclass(frozen=True)
class SendAgain:
    """The attempt's POST was not accepted: no prediction of it showed for the quiet period.

    ``counts`` where nothing but silence says so, which is believed a few times only.
    """

    attempt_id: int
    counts: bool = True


Decision = Adopt | Hold | SendAgain


@dataclass(frozen=True)
class RunRow:
    id: str
    campaign: str
    csv_path: str
    csv_sha256: str
    service: str
    provider: str
    out: str
    budget: int | None
    started_at: datetime
    ended_at: datetime | None
    exit_status: int | None
    flow_run_id: str | None


@dataclass(frozen=True)
class SettledSums:
    """What is charged in a run by now: how many attempts, their charges, and what of these was refunded."""

    attempts: int = 0
    charged: int = 0
    refunded: int = 0


@dataclass(frozen=True)
class RunMoney:
    """What the attempts at home in a run have cost (refunds taken off) and still hold."""

    charged: int
    reserved: int


@dataclass(frozen=True)
class Upload:
    origin: str
    sha256: str
    url: str
    uploaded_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class UsualSeconds:
    """How long a model's last predictions took."""

    count: int
    p10: float
    p50: float
    p90: float
