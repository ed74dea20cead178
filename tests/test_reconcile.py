"""The ledger held against the account: what is booked, adopted, released and left to a person."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from reconcile_support import PRICE, Desk, desk, line_of, verdicts
from simulator_support import KEY, eventually
from sqlalchemy import update

from blocks.errors import AccountRefused, InvalidInput
from blocks.ledger import AttemptState
from blocks.settings import load_settings
from flows.reconcile import ReconcileOptions, reconcile
from simulator.tables import charges, predictions
from tasks.reconciling.account_total import AccountTotal


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Desk]:
    """Its history does not say what was sent."""
    with desk(tmp_path, history_input="none") as made:
        yield made


@pytest.mark.parametrize("unit", ["dollars", "millionths"])
def test_amounts_are_corrected_by_the_bill_and_the_sums_are_the_service_s(tmp_path: Path, unit: str) -> None:
    failing = {"on": "submit", "prompt_contains": "bad", "do": "fail_prediction", "code": 5000}
    with desk(
        tmp_path, rules=(failing,), refund_after_seconds=0, discount_rate=0.1, billing_amounts=unit
    ) as made:
        right = made.stored("right", charged=25_200)
        wrong = made.stored("wrong", charged=PRICE)
        refunded = made.failed("bad", charged=25_200)
        made.leave()
        eventually(lambda: made.service.books.charges(charges.c.kind == "refund"))

        found = made.reconcile()

        assert verdicts(found) == {right.id: "matched", wrong.id: "differs", refunded.id: "differs"}
        assert found.status == 0
        assert found.charged - found.refunded == made.service.books.charged_total() == 50_400
        rows = [made.now(attempt) for attempt in (right, wrong, refunded)]
        assert [(row.charged, row.refunded) for row in rows] == [(25_200, 0), (25_200, 0), (25_200, 25_200)]
        assert {row.settled_run_id for row in rows} == {made.run}
        # Asked of the service, since its bill names what was paid only.
        assert [(row.list_price, row.discounted_price) for row in rows] == [(PRICE, 25_200)] * 3
        document = found.document()
        assert document["provider"] == "simulator"
        assert document["totals"]["net_usd"] == "0.0504"
        assert document["attempts"][0]["discount_usd"] == "0.0028"

        again = made.reconcile()
        assert set(verdicts(again).values()) == {"matched"}
        assert again.charged - again.refunded == 50_400
        total = again.account_total
        assert total is not None
        assert (total.deducted, total.refunded) == (75_600, 25_200)
        assert total.account == 50_000  # the service rounds to a thousandth of a dollar
        assert total.agrees
        assert "as the bill says: $0.0756 charged and $0.0252 refunded" in total.text()
        assert again.document()["account_total"]["agrees"] is True


def test_the_run_that_settled_first_stays_the_one_that_is_charged(quiet: Desk) -> None:
    attempt = quiet.stored("a", charged=1)
    first = quiet.run
    quiet.leave()
    quiet.new_run()

    quiet.reconcile()

    row = quiet.now(attempt)
    assert (row.settled_run_id, row.charged) == (first, PRICE)


def test_what_a_run_has_not_collected_yet_is_charged_in_the_run_that_does(quiet: Desk) -> None:
    attempt = quiet.submitted("a")
    quiet.leave()

    found = quiet.reconcile()

    line = line_of(found, attempt)
    assert (line.verdict, line.charged) == ("matched", PRICE)
    assert "collects it" in line.note
    assert quiet.now(attempt).charged is None


def test_predictions_of_others_are_listed_and_never_adopted(quiet: Desk) -> None:
    mine = quiet.stored("mine")
    theirs = quiet.post("theirs")
    deleted = quiet.post("theirs too")
    quiet.service.data("POST", "/api/v3/predictions/delete", json={"ids": [deleted]})
    quiet.leave()

    found = quiet.reconcile()

    assert verdicts(found) == {mine.id: "matched"}
    # The one that is gone from the history is in the bill still.
    assert {line.prediction.id for line in found.foreign} == {theirs, deleted}
    assert found.foreign_charged == 2 * PRICE
    assert found.charged + found.foreign_charged == quiet.service.books.charged_total()
    assert found.status == 0


def test_a_run_is_reconciled_alone(quiet: Desk) -> None:
    first = quiet.stored("first")
    before = quiet.run
    quiet.post("theirs, while the first run ran")
    quiet.ledger.end_run(before, exit_status=0, record_json=None)
    quiet.run = quiet.new_run()
    second = quiet.stored("second")
    quiet.leave()

    assert verdicts(quiet.reconcile(before)) == {first.id: "matched"}
    assert verdicts(quiet.reconcile("latest")) == {second.id: "matched"}
    assert verdicts(quiet.reconcile()) == {first.id: "matched", second.id: "matched"}


def test_what_the_account_does_not_show_is_missing_while_it_is_young(quiet: Desk) -> None:
    attempt = quiet.submitted("a", "f" * 32)
    quiet.leave()
    found = quiet.reconcile()
    assert verdicts(found) == {attempt.id: "missing"}
    assert found.status == 5


def test_what_is_older_than_the_history_is_not_called_missing(tmp_path: Path) -> None:
    with desk(tmp_path, age=timedelta(days=8)) as made:
        attempt = made.submitted("a", "f" * 32)
        made.leave()
        found = made.reconcile()
        assert verdicts(found) == {attempt.id: "expired"}
        assert found.status == 0


def test_a_late_refund_of_an_old_prediction_is_booked(tmp_path: Path) -> None:
    failing = {"on": "submit", "do": "fail_prediction", "code": 5000}
    with desk(tmp_path, rules=(failing,), refund_after_seconds=0) as made:
        attempt = made.failed("bad")
        made.leave()
        eventually(lambda: made.service.books.charges(charges.c.kind == "refund"))
        long_ago = time.time_ns() - 9 * 86_400 * 10**9
        with made.service.books._engine.begin() as connection:
            connection.execute(update(predictions).values(created_at=long_ago))
            connection.execute(update(charges).where(charges.c.kind == "deduct").values(at=long_ago))

        found = made.reconcile()

        assert verdicts(found) == {attempt.id: "differs"}
        row = made.now(attempt)
        assert (row.charged, row.refunded) == (PRICE, PRICE)


def test_a_prediction_that_was_never_billed_is_not_charged(tmp_path: Path) -> None:
    with desk(tmp_path, insufficient_credit="prediction_1407", starting_credit_usd="0.028") as made:
        paid = made.stored("paid")
        unpaid = made.failed("unpaid")
        made.leave()
        assert made.service.books.charged_total() == PRICE

        found = made.reconcile()

        assert verdicts(found) == {paid.id: "matched", unpaid.id: "differs"}
        assert made.now(unpaid).charged == 0


def test_without_a_bill_no_amount_is_touched(tmp_path: Path) -> None:
    no_bill = {"on": "billings", "do": "http_status", "status": 404}
    with desk(tmp_path, rules=(no_bill,)) as made:
        attempt = made.stored("a", charged=1)
        made.leave()
        found = made.reconcile()
        assert verdicts(found) == {attempt.id: "unbilled"}
        assert (found.status, made.now(attempt).charged) == (1, 1)
        assert found.bill_problem
        assert found.account_total is None


def test_a_service_that_sums_nothing_up_is_reconciled_all_the_same(tmp_path: Path) -> None:
    with desk(tmp_path, usage_stats="missing") as made:
        attempt = made.stored("a", charged=PRICE)
        made.leave()
        found = made.reconcile()
        assert (verdicts(found), found.status) == ({attempt.id: "matched"}, 0)
        assert found.account_total is None
        assert found.document()["account_total"] is None


def test_what_is_older_than_the_account_s_own_sums_reach_is_not_compared(tmp_path: Path) -> None:
    with desk(tmp_path, age=timedelta(days=40)) as made:
        made.held("x")
        made.leave()
        assert made.reconcile().account_total is None
        assert made.service.books.calls("/api/v3/user/usage_stats") == []


@pytest.mark.parametrize(
    ("account", "agrees"),
    [
        (50_400, True),
        (50_000, True),
        (75_600, True),  # a service that leaves refunds out
        (51_401, False),
        (78_400, False),
        (0, False),
    ],
)
def test_the_account_s_own_total_is_that_of_the_bill_or_not(account: int, agrees: bool) -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    total = AccountTotal(since, account, deducted=75_600, refunded=25_200)
    assert total.agrees is agrees
    assert ("ask the service which is right" in total.text()) is not agrees
    assert total.text().startswith("the account's own total since 2026-11-01 00:00 UTC is $")


def test_orphans_are_adopted_by_what_they_sent(quiet: Desk) -> None:
    first, second = quiet.unknown("first"), quiet.unknown("second")
    ids = quiet.post("second"), quiet.post("first")
    quiet.leave()

    found = quiet.reconcile()

    assert verdicts(found) == {first.id: "adopted", second.id: "adopted"}
    assert [quiet.now(a).prediction_id for a in (second, first)] == list(ids)
    assert quiet.now(first).state is AttemptState.SUBMITTED
    assert found.foreign == ()
    assert found.status == 0


def test_a_request_that_was_under_way_when_its_process_died_is_adopted(quiet: Desk) -> None:
    attempt = quiet.reserved("a")
    quiet.ledger.intend(attempt.id, body=quiet.body("a"), input_sha256s=[], request_timeout_s=600.0)
    prediction_id = quiet.post("a")
    assert verdicts(quiet.reconcile()) == {attempt.id: "at work"}
    quiet.leave()

    assert verdicts(quiet.reconcile()) == {attempt.id: "adopted"}
    assert quiet.now(attempt).prediction_id == prediction_id


def test_what_never_arrived_is_left_to_a_run_which_watches_or_to_a_person(quiet: Desk) -> None:
    attempt = quiet.unknown("a")
    quiet.leave()

    found = quiet.reconcile()

    assert verdicts(found) == {attempt.id: "waiting"}
    assert f"--release {attempt.id}" in found.attempts[0].note
    assert quiet.now(attempt).state is AttemptState.UNKNOWN
    assert verdicts(quiet.reconcile(release=(str(attempt.id),))) == {attempt.id: "released"}
    assert quiet.now(attempt).state is AttemptState.RESERVED


def test_a_history_that_does_not_reach_back_allows_no_second_request(tmp_path: Path) -> None:
    with desk(tmp_path, age=timedelta(days=8)) as made:
        attempt = made.unknown("a")
        made.leave()
        found = made.reconcile()
        assert verdicts(found) == {attempt.id: "held"}
        assert made.now(attempt).state is AttemptState.HELD
        assert found.status == 5


def test_what_is_in_the_bill_only_may_be_an_orphan_s_and_forbids_a_second_request(mute: Desk) -> None:
    attempt = mute.unknown("a")
    mute.service.data("POST", "/api/v3/predictions/delete", json={"ids": [mute.post("a")]})
    mute.leave()

    found = mute.reconcile()

    assert mute.now(attempt).state in {AttemptState.UNKNOWN, AttemptState.HELD}
    assert [line.possibly_of for line in found.foreign] == [(attempt.id,)]


def test_the_work_of_a_living_process_is_left_alone(quiet: Desk) -> None:
    rows = quiet.stored("stored", charged=1), quiet.unknown("unknown"), quiet.held("held")
    prediction_id = quiet.post("unknown")
    before = [quiet.now(row) for row in rows]

    found = quiet.reconcile()

    assert set(verdicts(found).values()) == {"at work"}
    assert [quiet.now(row) for row in rows] == before
    assert [line.possibly_of for line in found.foreign] == [(rows[1].id,)]
    with pytest.raises(InvalidInput, match="a run is at work"):
        quiet.reconcile(adopt=(f"{rows[2].id}={prediction_id}",))
    assert [quiet.now(row) for row in rows] == before


def test_what_cannot_be_reconciled_is_said(quiet: Desk, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no run nope"):
        quiet.reconcile("nope")
    elsewhere = load_settings(
        {"api_key": KEY, "base_url": "http://127.0.0.1:9", "home": quiet.settings.home}, env_file=None
    )
    with pytest.raises(InvalidInput, match="was made on"):
        asyncio.run(reconcile(elsewhere, ReconcileOptions("latest")))
    nowhere = load_settings(
        {"api_key": KEY, "base_url": quiet.service.url, "home": tmp_path / "x"}, env_file=None
    )
    with pytest.raises(InvalidInput, match="no ledger"):
        asyncio.run(reconcile(nowhere, ReconcileOptions()))
    assert not (tmp_path / "x").exists()
    wrong = load_settings(
        {"api_key": "not-the-key-012345", "base_url": quiet.service.url, "home": quiet.settings.home},
        env_file=None,
    )
    with pytest.raises(AccountRefused):
        asyncio.run(reconcile(wrong, ReconcileOptions()))
