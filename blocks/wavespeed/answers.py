"""What the service answers besides predictions.

Amounts are integers of a millionth of a dollar, moments are aware UTC datetimes.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True)
class Quote:
    """The service's own price for one request, in millionths; ``discounted_price`` is what one pays."""

    model_id: str
    price: int
    discounted_price: int
    discount_rate: Decimal | None = None
    currency: str = "USD"


@dataclass(frozen=True)
class BillingEntry:
    """One line of the account's bill. ``amount`` is never negative; ``kind`` says where the money went."""

    prediction_id: str
    kind: Literal["deduct", "refund"]
    amount: int
    created_at: datetime | None
    id: str = ""
    model: str = ""


@dataclass(frozen=True)
class Upload:
    """An input that the service holds. The URL is public and is not to be used after ``expires_at``."""

    url: str
    expires_at: datetime
