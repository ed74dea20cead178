"""Paid for, and the account says that it does not know it: believed only in the end, and asked for by every run."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quiet_scene import QuietScene
from simulator_support import KEY

from blocks.ledger import AttemptRow, AttemptState
from blocks.settings import load_settings
from flows.reconcile import ReconcileOptions, reconcile
from flows.talk import say
from tasks.paying import waiting_silence
from tasks.reconciling.reconciliation import Reconciliation
from tasks.watching.progress import RunProgress

NEVER_DOWNLOADED = {"on": "download", "do": "http_status", "status": 403}
NOT_KNOWN = {"on": "result", "do": "http_status", "status": 404}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[QuietScene]:
    """A run has ended with what it paid for still at the service: none of its downloads came."""
    scene = QuietScene(tmp_path, {"rules": [NEVER_DOWNLOADED]})
    try:
        scene.briefs("a")
        assert scene.run() == 1, scene.said
        assert "it is paid for; run the command again" in scene.said
        assert the_attempt(scene).state is AttemptState.COMPLETED
        yield scene
    finally:
        scene.close()


def the_attempt(scene: QuietScene) -> AttemptRow:
    with scene.ledger() as ledger:
        [attempt] = ledger.attempts()
    return attempt


def has_now(scene: QuietScene, *rules: dict[str, Any]) -> None:
    scene.service.stop()
    scene.service.start({"rules": list(rules)})


def reconciled(scene: QuietScene) -> Reconciliation:
    settings = load_settings(
        {"api_key": KEY, "base_url": scene.service.url, "home": scene.home}, env_file=None
    )
    return asyncio.run(reconcile(settings, ReconcileOptions()))


def check_collected(scene: QuietScene) -> None:
    assert scene.billed == ["a"]
    assert scene.service.books.charged_total() == 28_000
    assert len(scene.assets()) == 1
    attempt = the_attempt(scene)
    assert (attempt.state, attempt.number, attempt.charged) == (AttemptState.STORED, 1, 28_000)


@pytest.mark.parametrize("times", [1, 4])
def test_a_passing_word_is_not_believed(scene: QuietScene, times: int) -> None:
    has_now(scene, NOT_KNOWN | {"times": times})
    assert scene.run() == 0, scene.said
    check_collected(scene)


def test_a_passing_word_after_a_failed_download_is_not_believed(scene: QuietScene) -> None:
    has_now(scene, NEVER_DOWNLOADED | {"times": 3}, NOT_KNOWN | {"nth": [2]})
    assert scene.run() == 0, scene.said
    assert len(scene.service.books.calls("/api/v3/predictions")) > 3
    check_collected(scene)


def test_what_is_held_for_it_is_asked_for_again_by_every_run(scene: QuietScene) -> None:
    has_now(scene, NOT_KNOWN)
    for _ in range(2):
        assert scene.run() == 5, scene.said
        attempt = the_attempt(scene)
        assert attempt.state is AttemptState.HELD
        assert "Check that WAVESPEED_API_KEY is the key of the account that made it" in scene.said
        assert "run the same command again, or `campaign reconcile`" in scene.said
        assert scene.billed == ["a"], "nothing was sent for it"
    has_now(scene)
    assert scene.run() == 0, scene.said
    check_collected(scene)


def test_equal_briefs_are_told_the_same_without_more_questions(scene: QuietScene) -> None:
    has_now(scene, NOT_KNOWN)
    scene.rows([{"brief": name, "edit_prompt": "a", "edit_image": scene.image} for name in ("a", "b", "c")])
    before = len(scene.service.books.calls("/api/v3/predictions"))
    assert scene.run() == 5, scene.said
    assert {brief.status for brief in scene.last().briefs} == {"held"}
    assert len(scene.service.books.calls("/api/v3/predictions")) - before == 5


def test_reconciling_lets_it_go_on_once_the_account_shows_it(scene: QuietScene) -> None:
    has_now(scene, NOT_KNOWN, {"on": "history", "do": "http_status", "status": 404})
    assert scene.run() == 5, scene.said
    has_now(scene)
    found = reconciled(scene)
    assert [line.verdict.value for line in found.attempts] == ["adopted"]
    assert found.status == 0
    assert the_attempt(scene).state is AttemptState.COMPLETED
    assert scene.run() == 0, scene.said
    check_collected(scene)


def test_what_the_account_never_shows_stays_held(scene: QuietScene) -> None:
    books = scene.service.books
    books.delete([prediction.id for prediction in books.predictions()])
    assert scene.run() == 5, scene.said
    found = reconciled(scene)
    [line] = found.attempts
    assert (line.verdict.value, found.status) == ("held", 5)
    assert "WAVESPEED_API_KEY" in line.note
    assert scene.run() == 5, scene.said
    assert scene.billed == ["a"]


def test_after_seven_days_it_is_made_again_as_anything_else(scene: QuietScene) -> None:
    books = scene.service.books
    books.delete([prediction.id for prediction in books.predictions()])
    assert scene.run() == 5, scene.said
    with scene.ledger() as ledger, ledger._database.write() as connection:
        for column in ("submitted_at", "service_created_at", "completed_at", "reserved_at", "intent_at"):
            connection.exec_driver_sql(f"UPDATE attempts SET {column} = datetime({column}, '-8 days')")
    has_now(scene)
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a", "a"]


def test_a_service_that_goes_away_is_told_of_on_the_terminal(scene: QuietScene) -> None:
    has_now(scene, {"on": "result", "do": "http_status", "status": 503, "times": 20})
    scene.briefs("b")
    assert scene.run(first="test_unknown_to_the_account:tell_soon") == 0, scene.said
    said = scene.said
    assert said.count("still waiting: Ctrl-C is safe, the next run goes on") == 1
    assert said.count("the service answers again") == 1


def tell_soon() -> None:
    """In the forked process, whose progress is shown to nobody else."""
    waiting_silence.QUIET_SECONDS = 0.1

    def line(_progress: RunProgress, text: str) -> None:
        say(text)

    RunProgress.line = line  # type: ignore[method-assign,assignment] # in the forked process only


def test_a_service_that_goes_on_asking_for_a_pause_is_told_what_to_do_about(scene: QuietScene) -> None:
    has_now(scene, {"on": "submit", "do": "http_status", "status": 429, "retry_after": 60})
    scene.briefs("b")
    assert scene.run(CAMPAIGN_PATIENCE_SECONDS="1") == 1, scene.said
    assert "run the same command again later" in scene.said
    assert "CAMPAIGN_PATIENCE_SECONDS" in scene.said
    assert scene.billed == ["a"]
