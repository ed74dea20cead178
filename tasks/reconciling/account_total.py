"""A control total: what the account itself says it used in a time, beside the sum of the bill that was read of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from blocks.errors import ServiceError
from blocks.money import dollars_text
from blocks.wavespeed import LONGEST_USAGE, ROUNDED_TO, BillingEntry, WaveSpeedClient

# The service's clock may be ahead of this machine's.
_MARGIN = timedelta(hours=1)


@dataclass(frozen=True)
class AccountTotal:
    """``account`` is the account's own sum of the time from ``since`` on, the others what the bill's lines come to."""

    since: datetime
    account: int
    deducted: int
    refunded: int

    @property
    def agrees(self) -> bool:
        """Whether the two are the same sum, rounded; whether refunds are taken off it is not documented."""
        sums = (self.deducted - self.refunded, self.deducted)
        return any(abs(self.account - each) <= ROUNDED_TO for each in sums)

    def text(self) -> str:
        """One line for a person."""
        own = (
            f"the account's own total since {self.since:%Y-%m-%d %H:%M} UTC is ${dollars_text(self.account)}"
        )
        read = f"${dollars_text(self.deducted)} charged and ${dollars_text(self.refunded)} refunded"
        if self.agrees:
            return f"{own}, as the bill says: {read}"
        return (
            f"{own}, but the bill that was read of that time says {read}. Other work of the account may have been "
            "booked meanwhile: run the same command again. If they go on differing, ask the service which is right."
        )

    def document(self) -> dict[str, Any]:
        return {
            "since": self.since.isoformat(timespec="seconds"),
            "account_usd": dollars_text(self.account),
            "deducted_usd": dollars_text(self.deducted),
            "refunded_usd": dollars_text(self.refunded),
            "agrees": self.agrees,
        }


async def account_total(
    client: WaveSpeedClient, since: datetime, lines: Sequence[BillingEntry]
) -> AccountTotal | None:
    """None where the service does not sum it up, or not that far back: nothing but this comparison needs it."""
    until = datetime.now(since.tzinfo) + _MARGIN
    if until - since > LONGEST_USAGE:
        return None
    try:
        usage = await client.usage(since, until)
    except ServiceError:
        return None
    sums = {kind: sum(line.amount for line in lines if line.kind == kind) for kind in ("deduct", "refund")}
    return AccountTotal(since, usage.cost, deducted=sums["deduct"], refunded=sums["refund"])
