"""The points that the service's documentation leaves open, each a choice of this simulated service."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from simulator.history_switches import HistorySwitches
from simulator.ids import IdForm

RetryAfterForm = Literal["none", "seconds", "milliseconds", "http_date"]


class Switches(HistorySwitches):
    """Each open point of the API as a choice; the defaults are the readings that clients see most often."""

    id_form: IdForm = "hex"  # a colon, a slash, a JSON number, 160 letters
    statuses: Literal["classic", "newer"] = (
        "classic"  # "newer": queued and succeeded, for created and completed
    )
    nsfw_flags: Literal["list", "null"] = "list"  # has_nsfw_contents where nothing is flagged
    picture_inputs: Literal["documented", "any"] = (
        "documented"  # "any": webp and others, not jpg and png only
    )
    outputs: Literal["array", "string"] = "array"  # "string": one output is a bare URL, none is ""
    retry_after: RetryAfterForm = "none"  # on 429: Retry-After: 3, Retry-After-Ms: 2500, a date
    over_concurrency: Literal["queue", "429"] = "queue"
    fractional_seconds: Literal["exact", "rounded_up"] = "exact"  # billed seconds of a clip
    insufficient_credit: Literal["http_400", "http_402", "envelope_1407", "prediction_1407"] = "http_400"
    charged_at: Literal["acceptance", "end"] = "acceptance"  # "end": what fails is never charged
    moderation_refunded: bool = True  # whether predictions failed with code 1200 are refunded
    ticket_upload: bool = True  # False: POST /media/uploads answers 404 and only the older upload works
    video_usd_per_second: Decimal = Field(default=Decimal("0.36"), ge=0)  # 0.168 was seen elsewhere
    discount_rate: Decimal = Field(default=Decimal(0), ge=0, lt=1)  # 0.1: one pays a tenth less
    price_factor: Decimal = Field(default=Decimal(1), ge=0)  # of every price; 2: all is twice as dear
    bill_factor: Decimal = Field(default=Decimal(1), ge=0)  # what is billed, by what model/price quotes
    currency: str = "USD"  # that model/price names; empty: it names none
    # Until a charge is in the billing record; real time.
    billing_lag_seconds: float = Field(default=0.0, ge=0)
    private_addresses: Literal["refused", "allowed"] = "refused"  # as URLs of inputs; its own files apart
    error_field: Literal["message", "error"] = "message"
    billing_uuids: Literal["own", "shared"] = "own"  # "shared": a deduction and its refund have the same
    usage_stats: Literal["offered", "missing"] = "offered"  # "missing": POST /user/usage_stats answers 404
    billing_amounts: Literal["dollars", "millionths"] = "dollars"
    timestamp_digits: int = Field(default=3, ge=3, le=9)
    clock_skew_seconds: float = 0.0  # how far the service's own clock (Date, created_at) is ahead
    minute_seconds: float = Field(default=60.0, gt=0)  # the window of "per minute"; real time
    starting_credit_usd: Decimal = Field(default=Decimal(1000), ge=0)  # of a new account only
    refund_after_seconds: float = Field(default=10_800.0, ge=0)  # times the clock
    expiry_seconds: float = Field(default=604_800.0, gt=0)  # life of uploads, outputs and history; real time
    sync_mode_seconds: float = Field(default=120.0, gt=0)  # how long sync mode holds a submit; real time
