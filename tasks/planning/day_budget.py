"""The cap a day, as a plan meets it: what is left of today, and whether the plan costs more."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from blocks.ledger import Ledger
from blocks.money import dollars_text
from tasks.planning.plan import Plan
from tasks.planning.plan_reasons import Cause

# Spent already, on the day on which it was sent: collecting it costs nothing more.
_PAID_BEFORE = frozenset({Cause.UNDER_WAY})


@dataclass(frozen=True)
class DayBudget:
    """Amounts in millionths of a dollar. ``taken`` is charged and reserved since midnight UTC; ``until``: the next one.

    ``wanted`` is what the plan would spend beside it.
    """

    cap: int
    taken: int
    wanted: int
    until: datetime

    @property
    def left(self) -> int:
        return max(0, self.cap - self.taken)

    @property
    def covers_the_plan(self) -> bool:
        return self.wanted <= self.left

    def sentence(self) -> str:
        """What is wrong, and what would be right."""
        begins = f"{self.until:%Y-%m-%d %H:%M} UTC"
        left = (
            f"the plan costs ${dollars_text(self.wanted)}, and of the ${dollars_text(self.cap)} a day "
            f"(CAMPAIGN_BUDGET_PER_DAY) ${dollars_text(self.left)} are left until {begins}"
        )
        if self.wanted > self.cap:
            return f"{left}; it costs more than a day's cap: raise that, or add --partial and run it again day by day"
        return f"{left}; run it again from then on, raise the cap, or add --partial to make what is left for"


def day_budget(
    plan: Plan, service: str, cap: int | None, ledger: Ledger | None, now: datetime
) -> DayBudget | None:
    """None where there is no cap. ``now`` counts where there is no ledger, and so nothing was spent."""
    if cap is None:
        return None
    new = [stage for stage in plan.to_pay if not _PAID_BEFORE.intersection(stage.causes)]
    wanted = sum(stage.cost for stage in new)
    if ledger is None:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return DayBudget(cap, 0, wanted, midnight + timedelta(days=1))
    money, until = ledger.day_money(service, apart_from=[stage.key for stage in new if stage.key is not None])
    return DayBudget(cap, money.charged + money.reserved, wanted, until)
