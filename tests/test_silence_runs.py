"""Runs whose answers are lost, at services whose history cannot be believed: judged by what the service billed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from quiet_scene import QuietScene

from blocks.ledger import AttemptState

ACCEPTED = {"on": "submit", "do": "lose_reply", "times": 1}
NEVER_ACCEPTED = {"on": "submit", "do": "reset", "times": 1}
# Ways in which a history shows too little, or not what was sent.
UNBELIEVABLE: dict[str, dict[str, Any]] = {
    "late": {"history_lag_seconds": 3.0},
    "very late": {"history_lag_seconds": 90.0},
    "another account's": {"history_hidden_share": 1.0},
    "prompts cut": {"history_prompts": "cut", "history_prompt_characters": 3},
    "prompts masked": {"history_prompts": "masked"},
    "prompts escaped": {"history_prompts": "html_escaped"},
    "prompts requoted": {"history_prompts": "requoted"},
    "prompts enhanced": {"history_prompts": "enhanced"},
    "sizes for ratios": {"history_aspect_ratio": "pixels"},
    "fewer inputs": {"history_inputs_shown": "prompt"},
    "models spelt otherwise": {"history_models": "other_spelling"},
    "models filtered otherwise": {"history_model_filter": "other_spelling"},
    "another zone": {"history_zone_hours": 9.0},
    "a clock behind": {"history_clock_skew_seconds": -7200.0},
    "no zone": {"history_created_at": "zoneless"},
    "the year 1": {"history_created_at": "zero"},
    "oldest first": {"history_order": "oldest_first", "history_largest_page": 1},
    "another shape": {"history_page": "records", "history_id": "uuid"},
    "an unknown shape": {"history_page": "unknown"},
    "unreadable entries": {"history_unreadable": "null"},
    "entries without an id": {"history_unreadable": "without_id"},
}
QUICK = {"CAMPAIGN_QUIET_SECONDS": "0.3", "CAMPAIGN_REQUEST_SECONDS": "1", "CAMPAIGN_PATIENCE_SECONDS": "2"}

Open = Callable[..., QuietScene]


@pytest.fixture
def open_scene(tmp_path: Path) -> Iterator[Open]:
    opened: list[QuietScene] = []

    def scene_of(rule: dict[str, Any], *names: str, **switches: Any) -> QuietScene:
        scene = QuietScene(tmp_path, {"switches": switches, "rules": [rule]})
        opened.append(scene)
        scene.workplace.environment.update(QUICK)
        scene.briefs(*(names or ("a", "b", "c")))
        return scene

    yield scene_of
    for scene in opened:
        scene.close()


@pytest.mark.parametrize("way", UNBELIEVABLE)
def test_what_was_accepted_is_paid_for_once_whatever_the_history_shows(open_scene: Open, way: str) -> None:
    """Before, some of these paid for a second prediction with each run."""
    scene = open_scene(ACCEPTED, **UNBELIEVABLE[way])
    for _ in range(3):
        if scene.run() == 0:
            break
    assert len(set(scene.billed)) == len(scene.billed), scene.said
    assert set(scene.billed) == {"a", "b", "c"}, scene.said


@pytest.mark.parametrize("way", ["prompts escaped", "another zone", "a clock behind", "another shape"])
def test_where_it_can_be_found_nobody_is_asked(open_scene: Open, way: str) -> None:
    scene = open_scene(ACCEPTED, **UNBELIEVABLE[way])
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a", "b", "c"]


@pytest.mark.parametrize("history_input", ["on_request", "none"])
@pytest.mark.parametrize("charged_at", ["acceptance", "end"])
def test_what_never_arrived_is_sent_again_once_others_show(
    open_scene: Open, history_input: str, charged_at: str
) -> None:
    """The first of several: where the history shows no inputs, it gives way to others, which then are its witness."""
    scene = open_scene(NEVER_ACCEPTED, history_input=history_input, charged_at=charged_at)
    assert scene.run(CAMPAIGN_CHARGED_AT=charged_at) == 0, scene.said
    assert scene.billed == ["a", "b", "c"]


def test_a_single_brief_is_sent_again_where_the_credit_did_not_change(open_scene: Open) -> None:
    scene = open_scene(NEVER_ACCEPTED, "a")
    assert scene.run(CAMPAIGN_CHARGED_AT="acceptance") == 0, scene.said
    assert scene.billed == ["a"]


def test_a_single_brief_of_an_account_that_is_charged_late_waits_for_a_person(open_scene: Open) -> None:
    scene = open_scene(NEVER_ACCEPTED, "a", charged_at="end")
    for _ in range(2):
        assert scene.run(CAMPAIGN_CHARGED_AT="end") == 5, scene.said
        assert "shows no later prediction of yours" in scene.said
        assert "campaign reconcile" in scene.said
    with scene.ledger() as ledger:
        [attempt] = ledger.attempts()
        assert attempt.state is AttemptState.UNKNOWN
        ledger.send_again(attempt.id)
    assert scene.run(CAMPAIGN_CHARGED_AT="end") == 0, scene.said
    assert scene.billed == ["a"]


def test_the_next_run_s_work_is_the_witness_that_was_missing(open_scene: Open) -> None:
    scene = open_scene(NEVER_ACCEPTED, "a", charged_at="end")
    assert scene.run(CAMPAIGN_CHARGED_AT="end") == 5, scene.said
    scene.briefs("a", "b")
    assert scene.run(CAMPAIGN_CHARGED_AT="end") == 0, scene.said
    assert scene.billed == ["a", "b"]


def test_requests_that_are_lost_again_and_again_are_not_sent_for_ever(open_scene: Open) -> None:
    scene = open_scene({"on": "submit", "prompt_contains": "a", "do": "reset"}, "a", "b")
    for _ in range(6):
        scene.run(CAMPAIGN_CHARGED_AT="acceptance")
    assert sum(1 for call in scene.service.books.calls() if call.fault) <= 4
    assert scene.billed == ["b"]
    assert "lost again" in scene.said
