"""Whatever the answer to the paid request says: by the service's books, one piece of work is paid for once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quiet_scene import QuietScene
from simulator_support import KEY
from starlette.responses import JSONResponse, Response

from blocks.ledger import AttemptRow, AttemptState, Reply
from blocks.settings import load_settings
from flows.reconcile import ReconcileOptions, reconcile
from simulator import mischief
from simulator.books import Books

PRICE = 28_000
LOST = {"on": "submit", "do": "lose_reply_as_5xx", "times": 1}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[QuietScene]:
    scene = QuietScene(tmp_path)
    try:
        scene.briefs("a")
        yield scene
    finally:
        scene.close()


def the_attempt(scene: QuietScene) -> AttemptRow:
    with scene.ledger() as ledger:
        [attempt] = ledger.attempts()
    return attempt


def answers_now(
    scene: QuietScene, monkeypatch: pytest.MonkeyPatch, status: int, body: Any, *, switches: Any = None
) -> None:
    """The next request is accepted and billed, and answered so: as a gateway does that sent it twice."""

    def answer(*_: object) -> Response:
        return JSONResponse(body, status, headers={"Retry-After": "0.1"} if status == 429 else None)

    monkeypatch.setattr(mischief, "_error", answer)
    scene.service.stop()
    scene.service.start({"rules": [LOST], "switches": switches or {}})


def refusal(code: int, message: str = "no") -> dict[str, Any]:
    return {"code": code, "message": message}


ACCEPTED: dict[str, tuple[int, Any]] = {
    "a 429": (429, refusal(429)),
    "a bad parameter": (400, refusal(400)),
    "no credit": (402, refusal(402)),
    "moderation": (400, refusal(1200)),
    "an input": (400, refusal(1402)),
    "a 429 in the envelope": (200, refusal(429)),
    "no id": (200, {"code": 200, "message": "success", "data": {}}),
    "nothing": (200, {"code": 200, "message": "success", "data": None}),
    "an id that is a step": (200, {"code": 200, "message": "success", "data": {"id": ".."}}),
    "only a status": (200, {"status": "created"}),
    "a status and a 500": (500, {"code": 500, "message": "no", "data": {"status": "created"}}),
}


@pytest.mark.parametrize("history", ["input", "none"])
@pytest.mark.parametrize("answer", ACCEPTED.values(), ids=ACCEPTED)
def test_what_was_accepted_all_the_same_is_paid_for_once(
    scene: QuietScene, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, Any], history: str
) -> None:
    answers_now(scene, monkeypatch, *answer, switches={"history_input": history})
    assert scene.run() in {0, 4}, scene.said
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]
    assert scene.service.books.charged_total() == PRICE
    attempt = the_attempt(scene)
    assert (attempt.state, attempt.number, attempt.charged) == (AttemptState.STORED, 1, PRICE)
    assert len(scene.service.books.calls("/api/v3/kwaivgi/")) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_after_the_request_was_accepted(
    scene: QuietScene, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    answers_now(scene, monkeypatch, status, refusal(status))
    assert scene.run() == 4, scene.said
    attempt = the_attempt(scene)
    assert (attempt.state, attempt.reply, attempt.reserved) == (AttemptState.UNKNOWN, Reply.REFUSED, PRICE)
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]
    assert the_attempt(scene).state is AttemptState.STORED


def test_a_key_that_is_refused_before_anything_was_accepted_is_no_loss(scene: QuietScene) -> None:
    scene.service.stop()
    scene.service.start({"rules": [{"on": "submit", "do": "http_status", "status": 401, "times": 1}]})
    assert scene.run() == 4, scene.said
    assert scene.billed == []
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]
    assert the_attempt(scene).resent == 0


@pytest.mark.parametrize("form", ["colon", "slash", "number", "long"])
def test_whatever_it_is_named_by_it_is_collected(scene: QuietScene, form: str) -> None:
    scene.service.stop()
    scene.service.start({"switches": {"id_form": form}})
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]
    assert the_attempt(scene).prediction_id
    assert list(scene.assets()) == ["a/edit-1.png"]


def test_completed_without_outputs_is_held_and_collected_once_they_are_there(
    scene: QuietScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hidden:
        hidden.setattr(Books, "outputs", lambda *_: [])
        for _ in range(2):
            assert scene.run() == 5, scene.said
            attempt = the_attempt(scene)
            assert (attempt.state, attempt.charged) == (AttemptState.HELD, None)
            assert "has completed, but the account shows it as completed, with 0 outputs" in scene.said
            assert scene.billed == ["a"], "nothing was sent for it"
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]
    attempt = the_attempt(scene)
    assert (attempt.state, attempt.number, attempt.charged) == (AttemptState.STORED, 1, PRICE)
    assert len(scene.assets()) == 1


def test_reconciling_asks_for_outputs_that_did_not_come(
    scene: QuietScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdicts() -> list[str]:
        settings = load_settings(
            {"api_key": KEY, "base_url": scene.service.url, "home": scene.home}, env_file=None
        )
        found = asyncio.run(reconcile(settings, ReconcileOptions()))
        return [line.verdict.value for line in found.attempts]

    with monkeypatch.context() as hidden:
        hidden.setattr(Books, "outputs", lambda *_: [])
        assert scene.run() == 5, scene.said
        assert verdicts() == ["held"]
    assert verdicts() == ["adopted"]
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]


def test_outputs_that_come_a_little_later_are_waited_for(
    scene: QuietScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, asked = Books.outputs, []

    def late(self: Books, ids: list[str]) -> list[Any]:
        asked.append(ids)
        return shown(self, ids) if len(asked) > 5 else []

    monkeypatch.setattr(Books, "outputs", late)
    assert scene.run() == 0, scene.said
    assert len(asked) > 5
    assert scene.billed == ["a"]
