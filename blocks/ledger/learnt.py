"""What past attempts teach about the next ones: how long each step took, and what was billed for what."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from blocks.ledger.part import Part
from blocks.ledger.tables import attempts

_LEARNT_FROM = 200


@dataclass(frozen=True)
class StepSeconds:
    """The steps of one finished attempt in seconds, waiting for its turn aside; 0 where a step was not needed."""

    upload: float
    submit: float
    inference: float
    detect: float
    download: float


@dataclass(frozen=True)
class Bill:
    """What the account was billed for one prediction, refunds left out. Amounts in millionths of a dollar.

    ``quantity`` is pictures, or a clip's billed seconds before any rounding up.
    """

    resolution: str | None
    quantity: Decimal
    charged: int
    billed_at: datetime


class Learnt(Part):
    def bills(self, service: str, model: str) -> list[Bill]:
        """Read what the model's last 200 predictions were billed, the newest first.

        Only what was read from the account's bill counts, not what was booked at its price.
        """
        query = (
            sa.select(
                attempts.c.body,
                attempts.c.quantity,
                attempts.c.charged,
                attempts.c.billed_at,
            )
            .where(
                attempts.c.service == service,
                attempts.c.model == model,
                attempts.c.billed_at.is_not(None),
                attempts.c.charged > 0,
            )
            .order_by(attempts.c.billed_at.desc(), attempts.c.id.desc())
            .limit(_LEARNT_FROM)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = []
        for row in rows:
            (_, resolution), quantity = asked_for(model, row.body, row.quantity)
            if quantity is not None:
                found.append(Bill(resolution, quantity, row.charged, row.billed_at))
        return found

    def step_seconds(self, service: str, model: str) -> list[StepSeconds]:
        """Read how long the steps of the model's last 200 predictions took, the newest first.

        Only predictions count whose own time the service told, and whose submit was answered.
        """
        steps = (
            attempts.c.upload_s,
            attempts.c.submit_s,
            attempts.c.inference_s,
            attempts.c.detect_s,
            attempts.c.download_s,
        )
        query = (
            sa.select(*steps)
            .where(
                attempts.c.service == service,
                attempts.c.model == model,
                attempts.c.inference_s.is_not(None),
                attempts.c.submit_s.is_not(None),
            )
            .order_by(attempts.c.completed_at.desc(), attempts.c.id.desc())
            .limit(_LEARNT_FROM)
        )
        with self._database.read() as connection:
            return [StepSeconds(*(value or 0.0 for value in row)) for row in connection.execute(query)]


def asked_for(
    model: str, body: Mapping[str, Any] | None, quantity: Decimal | None
) -> tuple[tuple[str, str | None], Decimal | None]:
    """Give what a price goes by: the model with its resolution, and the quantity; None where it is not on record."""
    sent = body or {}
    if quantity is None and isinstance(sent.get("num_images"), int):
        quantity = Decimal(sent["num_images"])
    return (model, sent.get("resolution")), quantity
