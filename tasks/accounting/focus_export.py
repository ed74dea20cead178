"""``focus.csv``: what was charged, in the columns of FOCUS, which tools for the cost of cloud services read.

FOCUS is the FinOps Open Cost and Usage Specification, https://focus.finops.org. The file follows version 1.3: the one
that has the names of 1.2 (ProviderName, PublisherName) and those that took their place for good in 1.4
(ServiceProviderName, HostProviderName), so that readers of all three find what is mandatory for them.

A row is a charge, not a stage: what cost nothing has no row, and a stage that was paid for twice has two.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from blocks.money import to_dollars, to_millionths
from tasks.accounting.tables import plain_quantity
from tasks.exports import Cell, csv_bytes
from tasks.record import RunRecord, StageRecord

VERSION = "1.3"
# Those of FOCUS in its own, alphabetical order; then ours, marked with x_ as it asks.
COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "Tags",
    "x_Simulated",
)
PROVIDER = "WaveSpeedAI"
PUBLISHER = "Kling AI"
# Stands wherever a provider is named: nobody is to book it as spent.
SIMULATOR = "WaveSpeed simulator (nothing was paid)"

_SERVICE = "Kling models on WaveSpeedAI"
_UNITS = {"image": "Images", "second": "Seconds"}
_METERS = {"edit": "Edited images", "compose": "Composed images", "video": "Edited video"}


@dataclass(frozen=True)
class _Charge:
    """What one prediction was charged, and what of it came back; both in millionths of a dollar."""

    prediction_id: str | None
    charged: int
    refunded: int
    start: datetime
    end: datetime
    settled: datetime


def focus_csv(record: RunRecord) -> bytes:
    """Write a row for each charge and each refund; for each stage they add up to its ``charged_usd``."""
    rows = []
    for stage in record.stages:
        for charge in _charges(record, stage):
            rows.append(_usage(record, stage, charge))
            if charge.refunded:
                rows.append(_refund(record, stage, charge))
    return csv_bytes(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


def _charges(record: RunRecord, stage: StageRecord) -> Iterator[_Charge]:
    started = stage.started_at or record.started_at
    ended = stage.ended_at or record.ended_at
    for attempt in stage.attempts:
        if attempt.charged or attempt.refunded:
            yield _Charge(
                attempt.prediction_id,
                attempt.charged,
                attempt.refunded,
                attempt.submitted_at or started,
                attempt.ended_at or ended,
                attempt.settled_at or record.ended_at,
            )
    if not stage.attempts and (stage.charged or stage.refunded):
        # Records of earlier versions do not tell attempts apart.
        gross = stage.charged + stage.refunded
        yield _Charge(stage.prediction_id, gross, stage.refunded, started, ended, record.ended_at)


def _usage(record: RunRecord, stage: StageRecord, charge: _Charge) -> dict[str, Cell]:
    row = _row(record, stage, charge, charge.charged, "")
    return row | _billing_period(charge.start) | _quantities(stage, plain_quantity(stage.quantity))


def _refund(record: RunRecord, stage: StageRecord, charge: _Charge) -> dict[str, Cell]:
    """A full refund reverses the usage; a part of it is, to FOCUS, a reduction after the fact, which is a credit."""
    row = _row(record, stage, charge, -charge.refunded, "Refund: ")
    if charge.refunded == charge.charged:
        row |= _quantities(stage, -plain_quantity(stage.quantity))
    else:
        row |= {"ChargeCategory": "Credit", "ListCost": row["BilledCost"]}
    # It is a correction in the sense of FOCUS only where the charge's own month is over.
    row |= _billing_period(charge.settled)
    if row["BillingPeriodStart"] != _billing_period(charge.start)["BillingPeriodStart"]:
        row["ChargeClass"] = "Correction"
    return row


def _row(record: RunRecord, stage: StageRecord, charge: _Charge, amount: int, what: str) -> dict[str, Cell]:
    provider = SIMULATOR if record.simulated else PROVIDER
    resolution = stage.request.get("resolution")
    start = charge.start.astimezone(UTC).replace(microsecond=0)
    # The end is the first second that no longer belongs to it.
    end = max(charge.end.astimezone(UTC), start).replace(microsecond=0) + timedelta(seconds=1)
    cost = to_dollars(amount)
    described = f"{what}{_METERS[stage.stage]} for brief {stage.brief} by {stage.model}"
    return dict.fromkeys(COLUMNS) | {
        "BilledCost": cost,
        "BillingAccountId": record.service,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeDescription": f"SIMULATED, nothing was paid. {described}" if record.simulated else described,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _moment(end),
        "ChargePeriodStart": _moment(start),
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "HostProviderName": provider,
        "InvoiceIssuerName": provider,
        "ProviderName": provider,
        "PublisherName": SIMULATOR if record.simulated else PUBLISHER,
        "ResourceId": charge.prediction_id,
        "ResourceType": "Prediction" if charge.prediction_id else None,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": SIMULATOR if record.simulated else _SERVICE,
        "ServiceProviderName": provider,
        "ServiceSubcategory": "Generative AI",
        "SkuId": stage.model,
        "SkuMeter": _METERS[stage.stage],
        "SkuPriceDetails": _json({"x_Resolution": str(resolution)}) if resolution else None,
        "SkuPriceId": f"{stage.model}:{resolution}" if resolution else stage.model,
        "Tags": _tags(record, stage),
        "x_Simulated": "true" if record.simulated else "false",
    }


def _quantities(stage: StageRecord, quantity: Decimal) -> dict[str, Cell]:
    unit = _UNITS[stage.unit]
    return {
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ListCost": to_dollars(to_millionths(quantity * to_dollars(stage.unit_price))),
        "ListUnitPrice": to_dollars(stage.unit_price),
        "PricingQuantity": quantity,
        "PricingUnit": unit,
    }


def _billing_period(moment: datetime) -> dict[str, Cell]:
    """The calendar month: the account is prepaid, and no other period is known of it."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=31)).replace(day=1)
    return {"BillingPeriodStart": _moment(start), "BillingPeriodEnd": _moment(end)}


def _tags(record: RunRecord, stage: StageRecord) -> str:
    tags: dict[str, str | bool] = {
        "campaign": record.campaign,
        "brief": stage.brief,
        "stage": stage.stage,
        "run": record.run,
    }
    return _json(tags | {"simulated": True} if record.simulated else tags)


def _json(tags: dict[str, str | bool]) -> str:
    return json.dumps(tags, ensure_ascii=False, separators=(",", ":"))


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
