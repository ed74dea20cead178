"""The account's history, read whole or not at all: what was not understood must never pass for what is not there."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blocks.errors import Unavailable
from blocks.wavespeed.prediction import Prediction
from blocks.wavespeed.values import moment_of, whole_number

_LISTS = ("items", "list", "records")


@dataclass(frozen=True)
class UnreadableItem:
    """An item without an id that can be used. ``model`` is empty and ``created_at`` None where they are unclear too."""

    model: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class HistoryPage:
    predictions: tuple[Prediction, ...] = ()
    unreadable: tuple[UnreadableItem, ...] = ()
    moments: tuple[datetime | None, ...] = ()  # of every item, in the page's order


@dataclass(frozen=True)
class HistoryReading:
    """Everything that the history shows from a moment on, of every model; each prediction once.

    It may hold older ones too: which are, only those can tell who know by which clock the history dates its items.
    """

    predictions: tuple[Prediction, ...] = ()
    unreadable: tuple[UnreadableItem, ...] = ()


def read_page(data: Any, prediction_of: Callable[[object], Prediction | None]) -> HistoryPage:
    """Read a page of any of the known shapes. Raises Unavailable for every other one.

    Only null, an empty list or a total of 0 is an empty page.
    """
    predictions: list[Prediction] = []
    unreadable: list[UnreadableItem] = []
    moments: list[datetime | None] = []
    for item in _items(data):
        prediction = prediction_of(item)
        if prediction is not None:
            predictions.append(prediction)
            moments.append(prediction.created_at)
        else:
            unreadable.append(_unreadable(item))
            moments.append(unreadable[-1].created_at)
    return HistoryPage(tuple(predictions), tuple(unreadable), tuple(moments))


async def read_whole(
    page_of: Callable[[int], Awaitable[HistoryPage]], since: datetime, *, most_pages: int
) -> HistoryReading:
    """Read pages, numbered from 1, up to the first one that is empty or whose items are all from before ``since``.

    Raises Unavailable where that page never comes: a part must not pass for the whole.
    """
    found: dict[str, Prediction] = {}
    unreadable: list[UnreadableItem] = []
    last: datetime | None = None
    newest_first = True
    before: HistoryPage | None = None
    for number in range(1, most_pages + 1):
        page = await page_of(number)
        if not page.moments:
            return HistoryReading(tuple(found.values()), tuple(unreadable))
        fresh = [item for item in page.predictions if item.id not in found]
        if page == before or (not fresh and not page.unreadable):
            # The same page again: this service does not turn pages, and what lies behind the first one is not known.
            raise Unavailable("The service shows the first page of its history only. Try again later.")
        before = page
        found.update((item.id, item) for item in fresh)
        unreadable += page.unreadable
        for moment in page.moments:
            newest_first &= moment is None or last is None or moment <= last
            last = moment or last
        if newest_first and all(moment is not None and moment < since for moment in page.moments):
            return HistoryReading(tuple(found.values()), tuple(unreadable))
    raise Unavailable(
        f"The account's history since {since:%Y-%m-%d %H:%M} UTC has more than {most_pages} pages and was not read "
        "whole."
    )


def _items(data: Any) -> Sequence[object]:
    if data is None:
        return []
    if isinstance(data, list):
        return data
    if isinstance(data, dict):
        total = whole_number(data.get("total"))
        for name in _LISTS:
            if name not in data:
                continue
            items = data[name]
            if isinstance(items, list):
                return items
            if items is None:
                return []
            break
        else:
            if total == 0:
                return []
    raise Unavailable("The service's history has an unknown shape. Try again later.")


def _unreadable(item: object) -> UnreadableItem:
    if not isinstance(item, dict):
        return UnreadableItem()
    model = item.get("model")
    return UnreadableItem(model if isinstance(model, str) else "", moment_of(item.get("created_at")))
