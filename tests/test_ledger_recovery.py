"""Attempts without an id, held against a history: decisions over the whole set, all or nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from ledger_support import MODEL, SERVICE, Worker, work_named

from blocks.errors import NeedsPerson
from blocks.ledger import (
    Adopt,
    AttemptRow,
    AttemptState,
    Decision,
    Hold,
    IllegalTransition,
    Ledger,
    SendAgain,
)

pytest_plugins = ("ledger_fixtures",)

CREATED = datetime(2026, 11, 21, 3, 15, tzinfo=UTC)


def says(*decisions: Decision) -> Callable[[list[AttemptRow], set[str]], list[Decision]]:
    return lambda _attempts, _known_ids: list(decisions)


@pytest.fixture
def worker(ledger: Ledger) -> Worker:
    return Worker.of(ledger)


@pytest.fixture
def other(worker: Worker, ledger_url: str) -> Iterator[Worker]:
    with Ledger.open(ledger_url) as ledger:
        yield Worker.of(ledger)


def test_the_set_is_every_process_s_attempts_without_an_id(worker: Worker, other: Worker) -> None:
    unknown = worker.bring(work_named("unknown"), AttemptState.UNKNOWN)
    posting = other.bring(work_named("posting"), AttemptState.INTENT)
    for state in ("reserved", "submitted", "completed", "stored", "failed", "held", "withdrawn"):
        worker.bring(work_named(state), AttemptState(state))
    worker.bring(work_named("other model", model="kwaivgi/kling-image-o3/edit"), AttemptState.UNKNOWN)
    worker.bring(work_named("other service", service="simulator"), AttemptState.UNKNOWN)
    rows = worker.ledger.attempts_without_id(SERVICE, MODEL)
    assert [(row.id, row.posting) for row in rows] == [(unknown.id, False), (posting.id, True)]
    other.ledger.leave(other.owner)
    rows = worker.ledger.attempts_without_id(SERVICE, MODEL)
    assert [(row.id, row.posting) for row in rows] == [(unknown.id, False), (posting.id, False)]


def test_ids_that_no_attempt_has(worker: Worker) -> None:
    work = work_named("known")
    worker.bring(work, AttemptState.SUBMITTED)
    known = f"prediction-of-{work.key}"
    assert worker.ledger.unknown_ids(SERVICE, [known, "new"]) == {"new"}
    assert worker.ledger.unknown_ids("simulator", [known, "new"]) == {known, "new"}


def test_each_kind_of_decision(worker: Worker) -> None:
    rows = [worker.bring(work_named(name), AttemptState.UNKNOWN) for name in "abcd"]
    known_work = work_named("known")
    worker.bring(known_work, AttemptState.SUBMITTED)
    known = f"prediction-of-{known_work.key}"
    asked: list[object] = []

    def decide(attempts: list[AttemptRow], known_ids: set[str]) -> list[Decision]:
        asked.extend([[row.id for row in attempts], known_ids])
        return [Adopt(rows[0].id, "new", CREATED), Hold(rows[1].id, "two candidates"), SendAgain(rows[2].id)]

    decided = worker.ledger.decide(SERVICE, MODEL, [known, "new"], decide)
    assert asked == [[row.id for row in rows], {known}]
    assert [row.state for row in decided] == ["submitted", "held", "reserved"]
    adopted, held, again, undecided = (worker.ledger.attempt(row.id) for row in rows)
    assert (adopted.prediction_id, adopted.service_created_at, adopted.error) == ("new", CREATED, None)
    assert held.held_reason == "two candidates"
    assert (again.state, again.intent_lease) == (AttemptState.RESERVED, None)
    assert undecided == rows[3]


def test_decisions_are_applied_all_or_none(worker: Worker) -> None:
    first, second = (worker.bring(work_named(name), AttemptState.UNKNOWN) for name in "ab")
    known_work = work_named("known")
    worker.bring(known_work, AttemptState.SUBMITTED)
    wrong: list[tuple[type[Exception], Decision]] = [
        (IllegalTransition, SendAgain(10_000)),
        (NeedsPerson, Adopt(second.id, f"prediction-of-{known_work.key}", None)),
        (NeedsPerson, Adopt(second.id, "new", None)),
    ]
    for error, decision in wrong:
        with pytest.raises(error):
            worker.ledger.decide(SERVICE, MODEL, [], says(Adopt(first.id, "new", None), decision))
        assert worker.ledger.attempt(first.id) == first
        assert worker.ledger.attempt(second.id) == second


def test_nothing_is_decided_about_a_request_that_is_under_way(worker: Worker, other: Worker) -> None:
    posting = other.bring(work_named("posting"), AttemptState.INTENT)
    for decision in (Adopt(posting.id, "new", None), Hold(posting.id, "?"), SendAgain(posting.id)):
        for decider in (worker, other):  # not by another task of the same process either
            with pytest.raises(IllegalTransition):
                decider.ledger.decide(SERVICE, MODEL, [], says(decision))
    assert worker.ledger.attempt(posting.id) == posting
    other.ledger.leave(other.owner)
    worker.ledger.decide(SERVICE, MODEL, [], says(Adopt(posting.id, "new", None)))
    assert worker.ledger.attempt(posting.id).prediction_id == "new"


def test_the_reply_that_comes_after_its_id_was_adopted(worker: Worker) -> None:
    attempt = worker.bring(work_named("late"), AttemptState.UNKNOWN)
    worker.ledger.decide(SERVICE, MODEL, ["id"], says(Adopt(attempt.id, "id", None)))
    assert worker.ledger.submitted(attempt.id, "id").state is AttemptState.SUBMITTED


def test_a_person_gives_a_held_attempt_its_prediction(worker: Worker) -> None:
    attempt = worker.bring(work_named("held"), AttemptState.HELD)
    worker.ledger.leave(worker.owner)  # needs no lease
    adopted = worker.ledger.adopt(attempt.id, prediction_id="found", service_created_at=CREATED)
    assert (adopted.state, adopted.prediction_id) == (AttemptState.SUBMITTED, "found")
    second = Worker.of(worker.ledger)
    another = second.bring(work_named("another"), AttemptState.HELD)
    with pytest.raises(NeedsPerson):
        worker.ledger.adopt(another.id, prediction_id="found")
    assert worker.ledger.attempt(another.id) == another
