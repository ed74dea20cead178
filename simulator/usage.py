"""What the account used in a time, by model and by day, as the service sums it up."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.catalogue import MODELS, Model
from simulator.records import Charge, Prediction
from simulator.service_time import NANOSECONDS

_THOUSANDTH = 1_000


class _Sum:
    def __init__(self) -> None:
        self.cost = 0
        self.count = 0
        self.last = ""

    def add(self, *, cost: int, count: int, day: str) -> None:
        self.cost += cost
        self.count += count
        self.last = max(self.last, day)


def usage_of(found: Sequence[Prediction], lines: Sequence[Charge]) -> dict[str, Any]:
    """``data`` of the answer: costs are deductions less refunds of that time, in dollars of three decimals."""
    by_model: defaultdict[str, _Sum] = defaultdict(_Sum)
    by_day: defaultdict[str, _Sum] = defaultdict(_Sum)
    by_both: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)

    def add(model: str, at: int, *, cost: int = 0, count: int = 0) -> None:
        day = datetime.fromtimestamp(at // NANOSECONDS, UTC).date().isoformat()
        for each in (by_model[model], by_day[day], by_both[day, model]):
            each.add(cost=cost, count=count, day=day)

    for prediction in found:
        add(prediction.model, prediction.created_at, count=1)
    for line in lines:
        add(line.model or "", line.at, cost=-line.amount if line.kind == "refund" else line.amount)
    return {
        "per_model_usage": [
            {
                "model_uuid": model,
                "model_type": Model.api_type[MODELS[model].kind],
                "unit_price": float(MODELS[model].base_price),
                "total_cost": _dollars(total.cost),
                "total_count": total.count,
                "last_used_date": total.last,
            }
            for model, total in sorted(by_model.items())
        ],
        "daily_usage": [
            {
                "date": day,
                "amount": _dollars(total.cost),
                "count": total.count,
                "models": [
                    {"model_uuid": model, "amount": _dollars(each.cost), "count": each.count}
                    for (its_day, model), each in sorted(by_both.items())
                    if its_day == day
                ],
            }
            for day, total in sorted(by_day.items())
        ],
        "summary": {
            "total_cost": _dollars(sum(total.cost for total in by_model.values())),
            "total_requests": len(found),
            "success_requests": sum(each.status == "completed" for each in found),
        },
    }


def _dollars(millionths: int) -> float:
    return round(millionths / _THOUSANDTH) / 1_000
