"""The account's history: which predictions a page of it holds, and how they are shown, as the switches say.

The switches of ``HistorySwitches`` make it show less than there is, or other than it was; without them it shows
everything as it is.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement

from simulator.bodies import Sort, oldest_first
from simulator.books import Books
from simulator.catalogue import MODELS
from simulator.envelope import Refusal
from simulator.history_echo import shown_inputs
from simulator.records import Output, Prediction
from simulator.service_time import NANOSECONDS, ServiceTime, now
from simulator.switches import Switches
from simulator.tables import predictions
from simulator.views import NEWER_STATUSES, Views

_HOUR = 3_600 * NANOSECONDS
_TEN_YEARS = 3_652 * 24 * _HOUR
_YEAR_ONE = "0001-01-01T00:00:00Z"
_PAGE_KEYS = {"items": "items", "list": "list", "records": "records", "unknown": "entries"}


class HistoryQuery(BaseModel):
    page: int = Field(default=1, ge=1)
    page_size: int = Field(default=100, ge=1, le=100)
    model: str | None = None
    status: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    include_inputs: bool | None = None
    sort: Sort | None = None


@dataclass(frozen=True)
class History:
    books: Books
    switches: Switches
    views: Views
    clock: ServiceTime

    def page(self, query: HistoryQuery) -> Any:
        """``data`` of the answer. Raises Refusal."""
        switches = self.switches
        if query.include_inputs is not None and switches.include_inputs == "refused":
            raise Refusal(400, "Invalid parameter: include_inputs: no such parameter")
        size = min(query.page_size, switches.history_largest_page)
        found: Sequence[Prediction] = ()
        if not switches.history_most_pages or query.page <= switches.history_most_pages:
            found = self._found(query, offset=(query.page - 1) * size, limit=size)
        made: dict[str, list[Output]] = {}
        for output in self.books.outputs([each.id for each in found]):
            made.setdefault(output.prediction_id, []).append(output)
        asked = query.include_inputs is True
        items = [self._item(each, made.get(each.id, []), asked=asked) for each in found]
        return self._shaped({"page": query.page, "page_size": size}, items)

    def _found(self, query: HistoryQuery, *, offset: int, limit: int) -> Sequence[Prediction]:
        switches = self.switches
        shuffled = query.sort is None and switches.history_order == "shuffled"
        reverse = switches.history_order == "oldest_first" if query.sort is None else oldest_first(query.sort)
        conditions = self._conditions(query)
        if not (shuffled or switches.history_hidden_share or switches.history_hides_prompt):
            return self.books.history(*conditions, oldest_first=reverse, offset=offset, limit=limit)
        # What these do to a page depends on the rows before it, which no database can be asked to count.
        every = self.books.history(*conditions, oldest_first=reverse, offset=0, limit=-1)
        shown = [each for each in every if not self._hidden(each)]
        if shuffled:
            shown.sort(key=lambda each: _chance("order", each.id))
        return shown[offset : offset + limit]

    def _conditions(self, query: HistoryQuery) -> list[ColumnElement[bool]]:
        switches, table = self.switches, predictions.c
        expiry = round(switches.expiry_seconds * NANOSECONDS)
        conditions = [table.created_at > now() - expiry, table.deleted.is_(query.status == "deleted")]
        if switches.history_lag_seconds:
            conditions.append(table.created_at <= now() - round(switches.history_lag_seconds * NANOSECONDS))
        if query.model is not None and switches.history_model_filter != "ignored":
            name = table.model
            if switches.history_model_filter == "other_spelling":
                conditions.append(name.in_([own for own in MODELS if _other_spelling(own) == query.model]))
            else:
                conditions.append(name == query.model)
        if query.status not in {None, "deleted"}:
            named = (
                {newer: own for own, newer in NEWER_STATUSES.items()} if switches.statuses == "newer" else {}
            )
            conditions.append(table.status == named.get(query.status, query.status))
        if switches.history_time_filter == "honoured":
            if query.created_after is not None:
                conditions.append(table.created_at >= self._moment(query.created_after))
            if query.created_before is not None:
                conditions.append(table.created_at <= self._moment(query.created_before))
        return conditions

    def _hidden(self, prediction: Prediction) -> bool:
        switches = self.switches
        if switches.history_hides_prompt and switches.history_hides_prompt in prediction.prompt:
            return True
        chance = _chance(f"hidden {switches.history_hidden_seed}", prediction.id)
        return chance < switches.history_hidden_share

    def _moment(self, shown: datetime) -> int:
        """The moment of the books that a filter means, by the history's clock and in its zone."""
        if self.switches.history_zone_hours:
            # Such a service reads the digits and overlooks the zone behind them.
            shown = shown.replace(tzinfo=UTC)
        return self.clock.of(shown) - self._ahead(zone=True)

    def _ahead(self, *, zone: bool) -> int:
        """How far the history's clock, and its zone, are ahead of the service's clock."""
        hours = self.switches.history_zone_hours if zone else 0.0
        return round(self.switches.history_clock_skew_seconds * NANOSECONDS) + round(hours * _HOUR)

    def _item(self, prediction: Prediction, outputs: list[Output], *, asked: bool) -> Any:
        switches = self.switches
        item = self.views.prediction(prediction, outputs) | self._created_at(prediction)
        if switches.history_created_at == "missing":
            del item["created_at"]
        if switches.history_models == "other_spelling":
            item["model"] = _other_spelling(prediction.model)
        match switches.history_input:
            case "on_request" if asked:
                item["input"] = shown_inputs(prediction, switches)
            case "input" | "inputs" as key:
                item[key] = shown_inputs(prediction, switches)
        if switches.history_id == "uuid":
            item = {"uuid": item.pop("id"), **item}
        if _chance("unreadable", prediction.id) < switches.history_unreadable_share:
            return self._unreadable(item)
        return item

    def _created_at(self, prediction: Prediction) -> dict[str, str]:
        at = prediction.created_at
        match self.switches.history_created_at:
            case "zoneless":
                return {"created_at": self.clock.text(at + self._ahead(zone=True)).removesuffix("Z")}
            case "zero":
                return {"created_at": _YEAR_ONE}
            case "far_off":
                at += _TEN_YEARS
        return {"created_at": self.clock.text(at + self._ahead(zone=False))}

    def _unreadable(self, item: dict[str, Any]) -> Any:
        match self.switches.history_unreadable:
            case "string":
                return f"prediction of {item.get('created_at')}"
            case "null":
                return None
            case "without_id":
                return {key: value for key, value in item.items() if key not in {"id", "uuid", "urls"}}
            case "without_model":
                return {key: value for key, value in item.items() if key != "model"}
        return item

    def _shaped(self, page: dict[str, Any], items: list[Any]) -> Any:
        shape = self.switches.history_page
        if items or self.switches.history_empty_page == "list":
            return items if shape == "bare" else {**page, _PAGE_KEYS[shape]: items}
        match self.switches.history_empty_page:
            case "null" if shape != "bare":
                return {**page, _PAGE_KEYS[shape]: None}
            case "total":
                return {**page, "total": 0}
        return None


def _chance(what: str, prediction_id: str) -> float:
    """From 0 to below 1, the same for the same prediction."""
    return random.Random(f"{what} {prediction_id}").random()  # noqa: S311 - repeatable on purpose, no secret


def _other_spelling(model: str) -> str:
    """A name that means the same model: ``kwaivgi/kling-image-v3-edit``."""
    vendor, _, rest = model.partition("/")
    return f"{vendor}/{rest.replace('/', '-')}"
