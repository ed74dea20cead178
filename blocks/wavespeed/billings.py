"""The account's billing record: paged, in batches of ids, lenient about what a line looks like."""

from collections.abc import Iterator, Mapping
from typing import Any

from blocks.errors import Unavailable
from blocks.wavespeed.amounts import amount_in_millionths
from blocks.wavespeed.answers import BillingEntry
from blocks.wavespeed.connection import Connection
from blocks.wavespeed.values import moment_of

_IDS_PER_SEARCH = 100
_PAGE_SIZE = 100
_MOST_PAGES = 1000


async def search_billings(
    connection: Connection,
    prediction_ids: tuple[str, ...],
    *,
    start: str | None,
    end: str | None,
    expected: Mapping[str, int],
) -> list[BillingEntry]:
    """Read deductions and refunds of predictions, each line once; anything else, such as top-ups, is left
    out.
    """
    search: dict[str, Any] = {}
    if start is not None:
        search["start_time"] = start
    if end is not None:
        search["end_time"] = end
    found: dict[object, BillingEntry] = {}
    for batch in _batches(prediction_ids):
        if batch:
            search["prediction_uuids"] = list(batch)
        await _read_pages(connection, search, found, wanted=set(batch), expected=expected)
    return list(found.values())


def _batches(ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    distinct = tuple(dict.fromkeys(ids))
    if not distinct:
        yield ()
    for first in range(0, len(distinct), _IDS_PER_SEARCH):
        yield distinct[first : first + _IDS_PER_SEARCH]


async def _read_pages(
    connection: Connection,
    search: Mapping[str, Any],
    found: dict[object, BillingEntry],
    *,
    wanted: set[str],
    expected: Mapping[str, int],
) -> None:
    seen: set[object] = set()
    for page in range(1, _MOST_PAGES + 1):
        data = await connection.ask(
            "billings", "POST", "billings/search", json={**search, "page": page, "page_size": _PAGE_SIZE}
        )
        items = data.get("items") if isinstance(data, dict) else data
        lines = (
            [line for line in items or () if isinstance(line, dict)]
            if isinstance(items, list | None)
            else None
        )
        if lines is None:
            raise Unavailable("The service's billing record has an unknown shape. Try again later.")
        # As in the history: only a page that brings nothing new is the last.
        fresh = [(identity, line) for line in lines if (identity := _identity(line)) not in seen]
        if not fresh:
            return
        for identity, line in fresh:
            seen.add(identity)
            entry = _entry(line, expected)
            if entry is not None and (not wanted or entry.prediction_id in wanted):
                found.setdefault(identity, entry)
    raise Unavailable(
        f"The billing record is longer than {_MOST_PAGES * _PAGE_SIZE} lines and was not read whole."
    )


def _prediction_part(line: Mapping[str, Any]) -> Mapping[str, Any]:
    part = line.get("prediction")
    return part if isinstance(part, Mapping) else {}


def _identity(line: Mapping[str, Any]) -> object:
    if line.get("uuid"):
        # A deduction and its refund may have the same.
        return str(line["uuid"]), str(line.get("billing_type"))
    prediction = _prediction_part(line).get("uuid")
    return (
        str(prediction),
        str(line.get("billing_type")),
        str(line.get("created_at")),
        str(line.get("price")),
    )


def _entry(line: Mapping[str, Any], expected: Mapping[str, int]) -> BillingEntry | None:
    prediction = _prediction_part(line)
    prediction_id, kind = prediction.get("uuid"), line.get("billing_type")
    if not isinstance(prediction_id, str) or kind not in ("deduct", "refund"):
        return None
    try:
        amount = amount_in_millionths(line.get("price"), expected.get(prediction_id))
    except ValueError as error:
        raise Unavailable(
            f"The bill of prediction {prediction_id} holds no amount. Try again later."
        ) from error
    return BillingEntry(
        prediction_id=prediction_id,
        kind=kind,
        amount=amount,
        created_at=moment_of(line.get("created_at")),
        id=str(line.get("uuid") or ""),
        model=str(prediction.get("model_uuid") or ""),
    )
