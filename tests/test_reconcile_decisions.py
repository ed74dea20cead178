"""Held attempts: what becomes certain by itself, and what a person says about the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_support import SERVICE, Worker, work_named
from reconcile_support import MODEL, Desk, desk, line_of, verdicts

from blocks.errors import InvalidInput
from blocks.ledger import AttemptState, IllegalTransition, Ledger
from tasks.reconciling.person_decisions import PersonDecisions

pytest_plugins = ("ledger_fixtures",)

OTHER_MODEL = "kwaivgi/kling-image-o3/edit"


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Desk]:
    """Its history does not say what was sent."""
    with desk(tmp_path, history_input="none") as made:
        yield made


def test_a_held_attempt_that_becomes_certain_is_adopted(mute: Desk) -> None:
    first, second = mute.held("first"), mute.held("second")
    ids = mute.post("first"), mute.post("second")
    mute.leave()

    found = mute.reconcile()

    assert verdicts(found) == {first.id: "held", second.id: "held"}
    assert found.status == 5
    line = line_of(found, first)
    assert {item.id for item in line.possible} == set(ids)
    assert f"--adopt {first.id}=" in line.note
    assert [len(item["outputs"]) for item in line.document()["possible"]] == [1, 1]

    decided = mute.reconcile(adopt=(f"{first.id}={ids[0]}",))

    # One attempt and one prediction are left.
    assert verdicts(decided) == {first.id: "adopted", second.id: "adopted"}
    assert [mute.now(a).prediction_id for a in (first, second)] == list(ids)
    assert decided.status == 0


def test_a_held_attempt_of_which_nothing_is_left_waits_for_a_person_s_word(mute: Desk) -> None:
    attempt = mute.held("a")
    mute.leave()
    found = mute.reconcile()
    assert verdicts(found) == {attempt.id: "held"}
    assert f"--release {attempt.id}" in line_of(found, attempt).note

    released = mute.reconcile(release=(str(attempt.id),))

    assert verdicts(released) == {attempt.id: "released"}
    assert (mute.now(attempt).state, released.status) == (AttemptState.RESERVED, 0)


def test_a_person_s_decision_is_checked_and_refused_whole(mute: Desk) -> None:
    held, stored, sending = mute.held("held"), mute.stored("stored"), mute.reserved("sending")
    mute.ledger.intend(sending.id, body=mute.body("sending"), input_sha256s=[], request_timeout_s=600)
    other = mute.reserved("other model", OTHER_MODEL)
    mute.ledger.intend(other.id, body=mute.body("other"), input_sha256s=[], request_timeout_s=0.0)
    mute.ledger.held(other.id, "its reply was lost")
    free, taken = mute.post("held"), stored.prediction_id
    mute.leave()
    refusals = [
        ((f"{held.id}={'e' * 32}",), (), "no prediction of this id"),
        ((f"{held.id}={taken}",), (), "another attempt has made it"),
        ((f"{other.id}={free}",), (), f"made with {MODEL}"),
        ((f"{stored.id}={free}",), (), "is stored, not held"),
        ((f"{sending.id}={free}",), (), "the next run looks for it"),
        (("9999=" + free,), (), "no attempt 9999"),
        ((), (str(stored.id),), "is stored, not held"),
        # One that could be carried out beside one that cannot.
        ((f"{held.id}={free}",), (str(stored.id),), "nothing was changed"),
    ]
    before = mute.ledger.attempts()
    for adopt, release, message in refusals:
        with pytest.raises(InvalidInput, match=message):
            mute.reconcile(adopt=adopt, release=release)
    assert mute.ledger.attempts() == before


@pytest.mark.parametrize(
    ("adopt", "release", "message"),
    [
        (("12",), (), "ATTEMPT=PREDICTION"),
        (("x=abc",), (), "ATTEMPT=PREDICTION"),
        (("12=",), (), "ATTEMPT=PREDICTION"),
        ((), ("1.5",), "an attempt's number"),
        (("12=a",), ("12",), "decided about twice"),
        (("12=a", "13=a"), (), "prediction a is decided about twice"),
    ],
)
def test_decisions_that_make_no_sense_are_refused(
    adopt: tuple[str, ...], release: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        PersonDecisions.parse(adopt, release)


def test_the_ledger_knows_what_living_owners_are_busy_with(ledger: Ledger, ledger_url: str) -> None:
    worker = Worker.of(ledger)
    left = worker.bring(work_named("left"), AttemptState.SUBMITTED)
    ledger.leave(worker.owner)
    with Ledger.open(ledger_url) as elsewhere:
        other = Worker.of(elsewhere)
        mine = other.bring(work_named("mine"), AttemptState.STORED)
        assert ledger.at_work(SERVICE) == {mine.id}
        other.claim(work_named("left"))
        assert ledger.at_work(SERVICE) == {left.id, mine.id}
        assert ledger.at_work("simulator") == set()
        elsewhere.leave(other.owner)
        assert ledger.at_work(SERVICE) == set()


def test_only_what_has_no_prediction_is_sent_again(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    held = worker.bring(work_named("held"), AttemptState.HELD)
    made = worker.bring(work_named("made"), AttemptState.SUBMITTED)
    ledger.held(made.id, "look at it")
    unknown = worker.bring(work_named("unknown"), AttemptState.UNKNOWN)
    sending = worker.bring(work_named("sending"), AttemptState.INTENT)
    for attempt in (held, unknown):
        assert ledger.send_again(attempt.id).state is AttemptState.RESERVED
    for attempt in (made, sending, held):
        with pytest.raises(IllegalTransition):
            ledger.send_again(attempt.id)
