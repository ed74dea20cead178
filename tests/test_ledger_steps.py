"""The steps of an attempt: which are allowed, what they leave behind, and that they outlive the process."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from ledger_support import MODEL, SERVICE, Worker, asset_named, python, sha256_of, work_named

from blocks.errors import NeedsPerson
from blocks.ledger import (
    AlreadyStored,
    AttemptState,
    IllegalTransition,
    LeaseLost,
    Ledger,
    SendAgain,
    Settlement,
    StoredAsset,
)

pytest_plugins = ("ledger_fixtures",)

RESERVED = AttemptState.RESERVED
INTENT = AttemptState.INTENT
UNKNOWN = AttemptState.UNKNOWN
SUBMITTED = AttemptState.SUBMITTED
COMPLETED = AttemptState.COMPLETED
STORED = AttemptState.STORED
FAILED = AttemptState.FAILED
HELD = AttemptState.HELD
WITHDRAWN = AttemptState.WITHDRAWN

Step = Callable[[Worker, int], object]

STEPS: dict[str, Step] = {
    "intend": lambda w, n: w.ledger.intend(n, body={}, input_sha256s=[], request_timeout_s=1.0),
    "submitted": lambda w, n: w.ledger.submitted(n, f"new-{n}"),
    "not_sent": lambda w, n: w.ledger.not_sent(n),
    "unknown": lambda w, n: w.ledger.unknown(n, "no reply"),
    "completed": lambda w, n: w.ledger.completed(n, outputs=["https://cdn.example.org/1.png"]),
    "stored": lambda w, n: w.ledger.stored(n, [asset_named(f"asset {n}")], run_id=w.run_id),
    "failed": lambda w, n: w.ledger.failed(n, code="1403", message="no", run_id=w.run_id),
    "held": lambda w, n: w.ledger.held(n, "look"),
    "withdrawn": lambda w, n: w.ledger.withdrawn(n, "not wanted"),
    "adopt": lambda w, n: w.ledger.adopt(n, prediction_id=f"adopted-{n}"),
}

# Written out a second time on purpose: the allowed steps and where they lead; all others are mistakes.
ALLOWED: dict[AttemptState, dict[str, AttemptState]] = {
    RESERVED: {"intend": INTENT, "withdrawn": WITHDRAWN},
    INTENT: {
        "submitted": SUBMITTED,
        "not_sent": RESERVED,
        "unknown": UNKNOWN,
        "failed": FAILED,
        "held": HELD,
        "withdrawn": WITHDRAWN,
    },
    UNKNOWN: {
        "submitted": SUBMITTED,
        "not_sent": RESERVED,
        "unknown": UNKNOWN,
        "held": HELD,
        "adopt": SUBMITTED,
    },
    SUBMITTED: {"completed": COMPLETED, "failed": FAILED, "held": HELD},
    COMPLETED: {"stored": STORED, "failed": FAILED, "held": HELD},
    # A late reply may still tell what became of it.
    HELD: {
        "submitted": SUBMITTED,
        "completed": COMPLETED,
        "not_sent": RESERVED,
        "failed": FAILED,
        "adopt": SUBMITTED,
    },
    STORED: {},
    FAILED: {},
    WITHDRAWN: {},
}


@pytest.mark.parametrize("state", list(AttemptState))
def test_every_step_from_every_state(ledger: Ledger, state: AttemptState) -> None:
    worker = Worker.of(ledger)
    for name, step in STEPS.items():
        work = work_named(f"{state} {name}")
        before = worker.bring(work, state)
        if state is STORED:
            # Storing gives the lease back; a mistake is to be told from a lost lease.
            with pytest.raises(LeaseLost if name != "adopt" else IllegalTransition):
                step(worker, before.id)
            assert ledger.attempt(before.id) == before
        elif name in ALLOWED[state]:
            step(worker, before.id)
            assert ledger.attempt(before.id).state is ALLOWED[state][name], name
        else:
            with pytest.raises(IllegalTransition):
                step(worker, before.id)
            assert ledger.attempt(before.id) == before, name


def test_an_attempt_that_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(LookupError):
        ledger.attempt(7)
    with pytest.raises(LookupError):
        ledger.unknown(7, "no reply")


def test_what_the_straight_road_leaves_behind(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    work = work_named("a mug")
    worker.claim(work)
    attempt = worker.reserve(work, worst_case=56_000)
    assert (attempt.number, attempt.state, attempt.reserved, attempt.estimated) == (
        1,
        RESERVED,
        56_000,
        28_000,
    )
    assert (attempt.service, attempt.model, attempt.charged) == (SERVICE, MODEL, None)
    body = {"prompt": "a mug — in “red”", "images": ["https://up.example.org/1"], "keep": True, "n": 3}
    ledger.intend(
        attempt.id,
        body=body,
        input_sha256s=[sha256_of("a")],
        request_timeout_s=30.0,
        queue_s=0.25,
        upload_s=1.5,
    )
    created = datetime(2026, 11, 21, 5, 15, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    ledger.submitted(attempt.id, "f" * 32, service_created_at=created, submit_s=0.3)
    detected = datetime(2026, 11, 21, 3, 16, tzinfo=UTC)
    ledger.completed(
        attempt.id,
        outputs=["https://cdn.example.org/1.mp4"],
        nsfw=[True],
        inference_s=44.5,
        detect_s=1.25,
        detected_at=detected,
        polls=9,
    )
    clip = StoredAsset(
        sha256=sha256_of("clip"),
        media_type="video/mp4",
        bytes=3_000_000_000,
        width=1280,
        height=720,
        duration_seconds=Decimal("5.041666666666666666667"),
        frames_per_second=Decimal("23.976"),
        has_sound=True,
        flagged_nsfw=True,
    )
    ledger.stored(attempt.id, [clip], run_id=worker.run_id, download_s=2.5, settlement=Settlement(28_000))
    row = ledger.attempt(attempt.id)
    assert row.state is STORED
    assert (row.body, row.input_sha256s) == (body, (sha256_of("a"),))
    assert (row.outputs, row.nsfw) == (("https://cdn.example.org/1.mp4",), (True,))
    assert row.prediction_id == "f" * 32
    assert row.service_created_at == datetime(2026, 11, 21, 3, 15, 0, 123456, tzinfo=UTC)
    assert row.service_created_at.tzinfo == UTC
    assert row.detected_at == detected
    assert (row.queue_s, row.upload_s, row.submit_s) == (0.25, 1.5, 0.3)
    assert (row.inference_s, row.detect_s, row.download_s, row.polls) == (44.5, 1.25, 2.5, 9)
    assert (row.charged, row.refunded, row.settled_run_id) == (28_000, 0, worker.run_id)
    moments = [row.reserved_at, row.intent_at, row.submitted_at, row.completed_at, row.stored_at]
    assert moments == sorted(moment for moment in moments if moment is not None)
    stored = ledger.find_stored([work.key, sha256_of("something else")])
    assert list(stored) == [work.key]
    assert stored[work.key].assets == (clip,)
    assert stored[work.key].stored_by_run == worker.run_id
    assert stored[work.key].prediction_id == "f" * 32


def test_a_generation_keeps_its_assets_in_order_and_shares_equal_ones(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    names = ["c", "a", "b", "a"]
    for name in ("first", "second"):
        attempt = worker.bring(work_named(name), COMPLETED)
        ledger.stored(attempt.id, [asset_named(n) for n in names], run_id=worker.run_id)
    found = ledger.find_stored([work_named("first").key, work_named("second").key])
    assert [[asset.sha256 for asset in one.assets] for one in found.values()] == [
        [sha256_of(n) for n in names]
    ] * 2


def test_many_keys_are_found_at_once(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    worker.bring(work_named("kept"), STORED)
    keys = [sha256_of(str(number)) for number in range(2_000)]
    assert list(ledger.find_stored([*keys, work_named("kept").key, *keys])) == [work_named("kept").key]


def test_a_failed_attempt_is_followed_by_another(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    work = work_named("twice")
    first = worker.bring(work, FAILED)
    assert (first.error_code, first.error, first.charged) == ("1403", "failed", None)
    second = worker.reserve(work)
    assert second.number == 2
    with pytest.raises(IllegalTransition):
        worker.reserve(work)


def test_what_failed_before_there_was_a_prediction_costs_nothing(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    attempt = worker.bring(work_named("refused"), INTENT)
    row = ledger.failed(attempt.id, code="1400", message="bad \0 parameter \ud800", run_id=worker.run_id)
    assert (row.charged, row.settled_run_id) == (0, worker.run_id)
    assert row.error == "bad � parameter ?"


def test_the_same_id_twice_is_fine_and_for_two_attempts_is_not(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    first = worker.bring(work_named("one"), INTENT)
    second = worker.bring(work_named("two"), INTENT)
    told = ledger.submitted(first.id, "id")
    assert ledger.submitted(first.id, "id") == told
    with pytest.raises(NeedsPerson, match="id"):
        ledger.submitted(second.id, "id")
    assert ledger.attempt(second.id).state is INTENT
    other = worker.bring(work_named("elsewhere", service="simulator"), INTENT)
    assert ledger.submitted(other.id, "id").prediction_id == "id"


def test_lost_bytes_are_collected_again_by_the_same_attempt(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    work = work_named("lost")
    attempt = worker.bring(work, STORED)
    ledger.settle(attempt.id, charged=28_000, run_id=worker.run_id)
    ledger.reopen(work.key)
    ledger.reopen(work.key)
    assert ledger.find_stored([work.key]) == {}
    later = Worker.of(ledger)
    granted = later.claim(work)
    assert granted.attempt is not None
    assert (granted.attempt.id, granted.attempt.state) == (attempt.id, COMPLETED)
    resumed = later.resume(granted.attempt)
    # It was charged in the first run and is not charged to the second.
    assert (resumed.run_id, resumed.settled_run_id) == (worker.run_id, worker.run_id)
    ledger.stored(attempt.id, [asset_named("again")], run_id=later.run_id)
    claim = ledger.claim(work, owner=later.owner, run_id=later.run_id)
    assert isinstance(claim, AlreadyStored)
    assert claim.generation.assets == (asset_named("again"),)
    assert ledger.run_money(later.run_id).charged == 0


def test_settling_is_booked_in_the_first_run_and_corrected_later(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    attempt = worker.bring(work_named("settled"), SUBMITTED)
    assert [row.id for row in ledger.unsettled(worker.run_id)] == [attempt.id]
    ledger.settle(
        attempt.id, charged=30_000, list_price=35_000, discounted_price=30_000, run_id=worker.run_id
    )
    later = Worker.of(ledger)
    row = ledger.settle(attempt.id, charged=30_000, refunded=30_000, run_id=later.run_id)
    assert (row.charged, row.refunded, row.list_price, row.discounted_price) == (
        30_000,
        30_000,
        35_000,
        30_000,
    )
    assert row.settled_run_id == worker.run_id
    assert ledger.unsettled() == []
    assert [a.id for a in ledger.attempts(settled_run_id=worker.run_id)] == [attempt.id]
    assert ledger.attempts(settled_run_id=later.run_id) == []
    unsent = worker.bring(work_named("unsent"), RESERVED)
    with pytest.raises(IllegalTransition):
        ledger.settle(unsent.id, charged=1, run_id=worker.run_id)
    with pytest.raises(ValueError):
        ledger.settle(attempt.id, charged=-1, run_id=worker.run_id)


def test_attempts_are_listed_by_what_is_asked_for(ledger: Ledger) -> None:
    one, two = Worker.of(ledger), Worker.of(ledger)
    first = one.bring(work_named("first"), UNKNOWN)
    second = two.bring(work_named("second"), HELD)
    third = two.bring(work_named("third"), UNKNOWN)
    assert [row.id for row in ledger.attempts()] == [first.id, second.id, third.id]
    assert [row.id for row in ledger.attempts(run_id=two.run_id)] == [second.id, third.id]
    assert [row.id for row in ledger.attempts(state=UNKNOWN)] == [first.id, third.id]
    assert [row.id for row in ledger.attempts(key=work_named("third").key, state=UNKNOWN)] == [third.id]
    assert {
        key: row.id for key, row in ledger.find_held([work_named(n).key for n in ("first", "second")]).items()
    } == {work_named("second").key: second.id}


def test_a_resent_attempt_does_not_hear_the_first_reply(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    attempt = worker.bring(work_named("late"), UNKNOWN)
    ledger.decide(SERVICE, MODEL, [], lambda rows, _: [SendAgain(row.id) for row in rows])
    assert ledger.attempt(attempt.id).state is RESERVED
    with pytest.raises(IllegalTransition):
        ledger.submitted(attempt.id, "late")


INTEND_AND_DIE = """
import os, signal
from blocks.ledger import Ledger
from ledger_support import Worker, work_named
worker = Worker.of(Ledger.open(sys.argv[1]))
work = work_named("durable")
worker.claim(work)
attempt = worker.reserve(work)
worker.intend(attempt)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_committed_outlives_the_process(ledger_url: str) -> None:
    process = python(INTEND_AND_DIE, ledger_url)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    with Ledger.open(ledger_url) as ledger:
        (attempt,) = ledger.attempts()
        assert attempt.state is INTENT
        assert attempt.body == {"prompt": "p"}


def test_outputs_are_kept_for_seven_days_from_the_service_s_own_moment(ledger: Ledger) -> None:
    worker, created = Worker.of(ledger), datetime(2026, 11, 21, 3, 15, tzinfo=UTC)
    intended = worker.bring(work_named("a"), INTENT)
    assert intended.kept_until is None
    sent = worker.ledger.submitted(intended.id, "e" * 32)
    assert sent.submitted_at is not None
    assert sent.kept_until == sent.submitted_at + timedelta(days=7)
    shown = worker.bring(work_named("b"), INTENT)
    shown = worker.ledger.submitted(shown.id, "f" * 32, service_created_at=created)
    assert shown.kept_until == created + timedelta(days=7)
