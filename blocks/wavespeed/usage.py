"""What the account says it used in a time: a sum of its own, beside the lines of its bill."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from blocks.errors import Unavailable
from blocks.money import to_millionths
from blocks.wavespeed.connection import Connection

LONGEST_USAGE = timedelta(days=31)
# The service gives its sums with three decimals of a dollar.
ROUNDED_TO = 1_000


@dataclass(frozen=True)
class Usage:
    """``cost`` in millionths of a dollar, rounded by the service to ``ROUNDED_TO``."""

    cost: int


async def read_usage(connection: Connection, *, start: str, end: str) -> Usage:
    """The account's usage between two moments, ``LONGEST_USAGE`` apart at most.

    Raises ServiceErrors: NotFound or RequestRefused where the service does not sum it up, Unavailable where its sum
    cannot be read.
    """
    data = await connection.ask(
        "usage", "POST", "user/usage_stats", json={"start_time": start, "end_time": end}
    )
    summary = data.get("summary") if isinstance(data, dict) else None
    cost = summary.get("total_cost") if isinstance(summary, dict) else None
    unusable = Unavailable("The service's usage has an unknown shape. Try again later.")
    if isinstance(cost, bool) or not isinstance(cost, Decimal | int | str):
        raise unusable
    try:
        return Usage(to_millionths(cost))
    except ValueError as error:
        raise unusable from error
