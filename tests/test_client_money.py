"""Balance, prices and the bill: exact, whatever unit the service uses."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from scripted_service import Account, Script, envelope

from blocks.errors import Unavailable
from blocks.wavespeed import BillingEntry, Quote, amount_in_millionths

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "cost"),
    [
        ({"summary": {"total_cost": 1.83, "total_requests": 3}}, 1_830_000),
        ({"summary": {"total_cost": "0"}}, 0),
    ],
)
async def test_the_account_s_own_sum_of_its_usage(data: dict[str, Any], cost: int) -> None:
    script = Script(envelope(data))
    start = datetime(2026, 11, 1, tzinfo=UTC)
    async with script.client() as client:
        assert (await client.usage(start, start + timedelta(days=31))).cost == cost
    assert script.requests[0].url.path == "/api/v3/user/usage_stats"
    assert script.requests[0].content == (
        b'{"start_time":"2026-11-01T00:00:00.000Z","end_time":"2026-12-02T00:00:00.000Z"}'
    )


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"summary": []}, {"summary": {"total_cost": True}}, {"summary": {"total_cost": "much"}}],
)
async def test_a_sum_that_cannot_be_read_is_none(data: Any) -> None:
    async with Script(envelope(data)).client() as client:
        with pytest.raises(Unavailable):
            await client.usage(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


async def test_money_is_read_exactly() -> None:
    async with Script(
        httpx.Response(200, text='{"code":200,"data":{"balance":12.3000001}}')
    ).client() as client:
        assert await client.balance() == 12_300_000
    quote = (
        '{"code":200,"data":{"price":0.028,"discounted_price":0.0224,"discount_rate":0.8,"currency":"USD"}}'
    )
    async with Script(httpx.Response(200, text=quote)).client() as client:
        assert await client.price("m/edit", {"prompt": "a"}) == Quote(
            "m/edit", 28_000, 22_400, Decimal("0.8"), "USD"
        )
    async with Script(envelope({"price": "1.8"})).client() as client:
        assert await client.price("m/edit", {}) == Quote("m/edit", 1_800_000, 1_800_000)
    for odd in ({"price": None}, {"price": [1]}, {}, None, {"price": "NaN"}, {"price": True}):
        async with Script(envelope(odd)).client() as client:
            with pytest.raises(Unavailable):
                await client.price("m/edit", {})


@pytest.mark.parametrize(
    ("value", "expected", "millionths"),
    [
        (Decimal("0.028"), None, 28_000),
        ("0.028", 28_000, 28_000),
        (28_000, None, 28_000),
        (28_000, 28_000, 28_000),
        ("28000", None, 28_000),
        (Decimal("28000.0"), 28_000, 28_000),
        (-28_000, 28_000, 28_000),
        (Decimal("-1.80"), 1_800_000, 1_800_000),
        (Decimal("1.91232"), 1_912_320, 1_912_320),
        (1_912_320, 1_912_320, 1_912_320),
        (1_912_320, None, 1_912_320),
        (3, 3_000_000, 3_000_000),
        (3, None, 3_000_000),
        (3, 4, 3),
        (Decimal("0.0224"), 28_000, 22_400),
        (22_400, 28_000, 22_400),
        (1, 28_000, 1_000_000),
        (Decimal("1000.5"), 1000, 1001),
        (0, 28_000, 0),
        (Decimal("0.00"), None, 0),
        (2, 0, 2_000_000),
    ],
)
def test_dollars_and_millionths_are_told_apart(value: object, expected: int | None, millionths: int) -> None:
    assert amount_in_millionths(value, expected) == millionths


@pytest.mark.parametrize("value", [None, "much", [], True, Decimal("NaN"), Decimal("1e999999"), "Infinity"])
def test_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        amount_in_millionths(value)


def bill_line(number: int, kind: str = "deduct", price: object = "0.028") -> dict[str, Any]:
    return {
        "uuid": f"line-{kind}-{number}",
        "billing_type": kind,
        "price": price,
        "created_at": "2026-11-06T08:49:37Z",
        "order": {},
        "prediction": {"uuid": f"{number:032x}", "model_uuid": "m/edit", "status": "completed"},
    }


async def test_a_deduction_and_a_refund_of_one_uuid_are_two_lines_and_a_line_seen_twice_is_one() -> None:
    lines = [bill_line(1), bill_line(1, "refund"), bill_line(2), bill_line(2)]
    for line in lines:
        line["uuid"] = f"order-of-{line['prediction']['uuid']}"
    async with Script(Account(lines)).client() as client:
        entries = await client.billings()
    assert [(int(entry.prediction_id, 16), entry.kind) for entry in entries] == [
        (1, "deduct"),
        (1, "refund"),
        (2, "deduct"),
    ]


async def test_the_currency_of_a_price_is_read() -> None:
    for named, currency in (({"currency": "eur"}, "EUR"), ({}, "USD"), ({"currency": None}, "USD")):
        async with Script(envelope({"price": "1.8"} | named)).client() as client:
            assert (await client.price("m/edit", {})).currency == currency


@pytest.mark.parametrize("filters", [True, False])
async def test_billings_in_batches_and_pages(filters: bool) -> None:
    lines = [bill_line(number) for number in range(300)] + [bill_line(7, "refund", 28_000)]
    lines.insert(
        3, {"uuid": "top-up", "billing_type": "recharge", "price": "50", "prediction": {"uuid": None}}
    )
    account = Account(lines, filters=filters)
    ids = [f"{number:032x}" for number in range(250)]
    async with Script(account).client() as client:
        entries = await client.billings([*ids, ids[0]])
    assert all(len(search["prediction_uuids"]) <= 100 for search in account.asked)
    assert sorted(entry.prediction_id for entry in entries) == sorted([*ids, ids[7]])
    assert {entry.amount for entry in entries} == {28_000}
    (refund,) = [entry for entry in entries if entry.kind == "refund"]
    assert refund == BillingEntry(
        ids[7], "refund", 28_000, datetime(2026, 11, 6, 8, 49, 37, tzinfo=UTC), "line-refund-7", "m/edit"
    )


async def test_billings_of_a_time_in_a_unit_told_by_the_expected_price() -> None:
    account = Account([bill_line(1, price=2), bill_line(2, price=2)], filters=False)
    async with Script(account).client() as client:
        entries = await client.billings(
            start=SINCE, end=SINCE, expected={f"{1:032x}": 3, f"{2:032x}": 3_000_000}
        )
    assert [entry.amount for entry in entries] == [2, 2_000_000]
    assert account.asked[0] == {
        "start_time": "2026-11-01T00:00:00.000Z",
        "end_time": "2026-11-01T00:00:00.000Z",
        "page": 1,
        "page_size": 100,
    }
    async with Script(envelope({"items": [bill_line(1, price="dear")]})).client() as client:
        with pytest.raises(Unavailable, match="no amount"):
            await client.billings()
