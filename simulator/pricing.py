"""What a request costs, by the list and by what the account really pays."""

import asyncio
import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from simulator.catalogue import (
    LONGEST_BILLED_SECONDS,
    SHORTEST_BILLED_SECONDS,
    Model,
    image_price,
)
from simulator.envelope import to_millionths
from simulator.switches import Switches
from simulator.worker import clip_seconds


@dataclass(frozen=True)
class Price:
    """Millionths of a dollar; ``billed_seconds`` is None for pictures.

    ``paid`` is what is quoted, ``billed`` what is really taken.
    """

    listed: int
    paid: int
    billed: int
    billed_seconds: Fraction | None = None


async def price_of(model: Model, parameters: dict[str, Any], clip: Path | None, switches: Switches) -> Price:
    """The price of valid parameters; a clip is measured in a thread. Raises MediaRejected if it cannot be."""
    if model.kind == "image":
        return _price(image_price(parameters), switches)
    seconds = Fraction(0) if clip is None else await asyncio.to_thread(clip_seconds, clip)
    billed = billed_seconds(seconds, switches)
    return _price(billed * Fraction(switches.video_usd_per_second), switches, billed)


def billed_seconds(seconds: Fraction, switches: Switches) -> Fraction:
    """A clip's seconds as they are billed: exact or rounded up, never under 3 nor over 10."""
    counted = Fraction(math.ceil(seconds)) if switches.fractional_seconds == "rounded_up" else seconds
    return min(max(counted, Fraction(SHORTEST_BILLED_SECONDS)), Fraction(LONGEST_BILLED_SECONDS))


def _price(listed: Decimal | Fraction, switches: Switches, billed: Fraction | None = None) -> Price:
    before = Fraction(listed) * Fraction(switches.price_factor)
    paid = before * (1 - Fraction(switches.discount_rate))
    taken = paid * Fraction(switches.bill_factor)
    return Price(to_millionths(before), to_millionths(paid), to_millionths(taken), billed)
