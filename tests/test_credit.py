"""The account's money as a witness: what its credit and bill say of a request whose answer was lost."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from bench_support import ScriptedAccount
from matching_support import MODEL, NOON, lost, seconds, seen, sent

from blocks.errors import AccountRefused, NotFound, Unavailable
from blocks.ledger import AttemptRow
from blocks.wavespeed import BillingEntry, Prediction
from tasks.paying.credit import KEPT_SECONDS, Books, Credit, booked_at_acceptance, made_before, read_books

PRICE = 28_000
BEFORE = 1_000_000
LOST = dataclasses.replace(lost(at=10), balance_before=BEFORE, balance_at=NOON, skew_low=-1.0, skew_high=1.0)


def charge(name: str, at: float, *, kind: Any = "deduct", model: str = MODEL) -> BillingEntry:
    return BillingEntry(name, kind, PRICE, NOON + seconds(at), f"{kind} {name}", model)


def ours(*names: str) -> dict[str, AttemptRow]:
    return {name: sent(name, at=20) for name in names}


@pytest.mark.parametrize(
    ("spent", "bill", "known", "unchanged"),
    [
        (0, [], (), True),
        (PRICE, [], (), False),
        (PRICE, [charge("p", 30)], ("p",), True),
        (2 * PRICE, [charge("p", 30)], ("p",), False),
        (PRICE, [charge("p", 30)], (), False),  # somebody else's
        (0, [charge("p", 30), charge("p", 40, kind="refund")], ("p",), True),
        # Booked at the very moment at which the credit was read: before it, or after.
        (0, [charge("p", 1)], ("p",), True),
        (PRICE, [charge("p", 1)], ("p",), True),
        # Long before that.
        (0, [charge("old", -600)], (), True),
    ],
)
def test_what_the_credit_has_lost_must_be_what_known_predictions_cost(
    spent: int, bill: list[BillingEntry], known: tuple[str, ...], unchanged: bool
) -> None:
    books = Books(bill, BEFORE - spent, booked_at_acceptance=True)
    assert books.witness(LOST, ours(*known), {}).unchanged is unchanged


def test_a_credit_that_was_never_read_says_nothing() -> None:
    assert not Books([], None, booked_at_acceptance=None).witness(LOST, {}, {}).unchanged
    assert not Books([], BEFORE, booked_at_acceptance=None).witness(lost(), {}, {}).unchanged


@pytest.mark.parametrize(
    ("entry", "strange"),
    [
        (charge("p", 30), True),
        (charge("p", 30, model=""), True),
        (charge("p", 30, model="0123abcd"), True),  # a number of the bill's own
        (charge("p", 30, model="kwaivgi/other"), False),
        (charge("p", 30, kind="refund"), False),
        (charge("p", -300), False),
    ],
)
def test_a_charge_that_neither_ledger_nor_history_knows_is_unexplained(
    entry: BillingEntry, strange: bool
) -> None:
    books = Books([entry], BEFORE, booked_at_acceptance=True)
    assert (books.witness(LOST, {}, {}).unexplained is not None) is strange
    assert books.witness(LOST, ours("p"), {}).unexplained is None
    assert books.witness(LOST, {}, {"p": seen("p", at=0)}).unexplained is None


async def test_who_may_not_read_bill_or_credit_has_no_such_witness() -> None:
    class Shut(ScriptedAccount):
        async def billings(self, *_: Any, **__: Any) -> list[BillingEntry]:
            raise AccountRefused("may not", status=403)

    account: Any = Shut(balances=[AccountRefused("may not", status=403)])
    books = await read_books(account, NOON, {}, charged_at=None)
    assert (books.bill, books.balance, books.booked_at_acceptance) == (None, None, None)
    assert not books.witness(LOST, {}, {}).billed


def ended(name: str, *, charged_after: float) -> tuple[AttemptRow, BillingEntry]:
    row = dataclasses.replace(sent(name, at=0), service_created_at=NOON, inference_s=40.0)
    return row, charge(name, charged_after)


@pytest.mark.parametrize(
    ("after", "said"),
    [((0.5, 1.0), True), ((40.0, 41.0), False), ((0.5, 40.0), None), ((20.0,), None), ((), None)],
)
def test_when_an_account_is_charged_is_learnt_from_its_bill(
    after: tuple[float, ...], said: bool | None
) -> None:
    pairs = [ended(f"p{number}", charged_after=seconds_after) for number, seconds_after in enumerate(after)]
    known = {row.prediction_id or "": row for row, _ in pairs}
    assert booked_at_acceptance(known, [entry for _, entry in pairs]) is said


async def test_the_credit_is_read_once_a_minute_and_a_failure_is_remembered_as_long() -> None:
    now = [0.0]
    account: Any = ScriptedAccount(balances=[Unavailable("down"), 5])
    credit = Credit(account, clock=lambda: now[0])

    async def moment() -> Any:
        return NOON

    for _ in range(3):
        await credit.refresh(moment)
        assert credit.latest is None
    assert len(account.balances) == 1
    now[0] += KEPT_SECONDS + 1
    await credit.refresh(moment)
    assert credit.latest == (5, NOON)


async def test_what_was_made_before_explains_a_charge_at_its_end() -> None:
    early = Prediction(id="early", created_at=NOON - timedelta(minutes=5))
    account: Any = ScriptedAccount(results=[early, NotFound("no such"), seen("late", at=30)])
    assert await made_before(account, ["early", "gone", "late"], NOON) == {"early": early}
