"""The cause that tables and pages name is the one that the message itself tells."""

from pathlib import Path

import pytest
from page_reader import page_of
from record_samples import brief, record, stage

from blocks.wavespeed.error_mapping import error_of_ending
from tasks.accounting.run_figures import figures_of
from tasks.page.causes import cause_of
from tasks.record import AttemptRecord, Outcome, RunRecord

REASONS = (
    "",
    "content moderation: not allowed",
    "Content flagged as potentially sensitive",
    "insufficient credits",
    "unknown parameter, see our budget",
    "upstream said HTTP 503",
    "a long story " * 40 + "that ends in content moderation",
)
CODES = (0, 1200, 1400, 1401, 1402, 1407, 5000, 5003, 5999, 1999)
# By the sentence that an error ends with.
TOLD = {
    "The service's moderation refused it": "moderation",
    "Top up the account": "account",
    "Correct the brief": "parameter not accepted",
    "could not read an input": "input not readable",
    "on the service's side": "failure inside the service",
    "refunds failed predictions": "failure inside the service",
}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("reason", REASONS)
def test_a_failure_is_named_as_its_message_tells(code: int, reason: str) -> None:
    message = str(error_of_ending("failed", code=code, reason=reason, prediction_id="p1"))
    (told,) = (name for sentence, name in TOLD.items() if sentence in message)
    assert cause_of(str(code or "failed"), message).name == told
    # An equal brief is told the same message, and has no attempt of its own.
    assert cause_of(None, message).name == told


def test_a_code_names_the_cause_where_the_message_does_not() -> None:
    names = {code: cause_of(code, "x").name for code in ("1200", "1400", "1402", "5000", "429", "timeout")}
    assert list(names.values()) == [
        "moderation",
        "parameter not accepted",
        "input not readable",
        "failure inside the service",
        "failure inside the service",
        "took too long for the service",
    ]
    assert cause_of("expired", "x").name == "outputs expired"
    assert cause_of("1234", None).name == "other"


def test_a_refused_request_is_not_taken_for_what_the_service_says_of_it() -> None:
    message = "The service does not accept the request (HTTP 400: “unknown key, case-sensitive”). Correct the brief it"
    assert cause_of(None, message).name == "parameter not accepted"


def failed_run(folder: Path, outcome: Outcome, error: str, *attempts: AttemptRecord) -> RunRecord:
    one = stage("mug", "edit", outcome, error=error, attempts=attempts)
    return record(folder, (brief("mug", (one,), "failed", error=error),))


def named(code: str | None, message: str | None) -> str:
    return cause_of(code, message).name


def attempt(code: int, message: str) -> AttemptRecord:
    return AttemptRecord(
        number=1,
        state="failed",
        prediction_id="p1",
        charged=28_000,
        refunded=0,
        error_code=str(code),
        error=message,
    )


def test_card_list_and_spent_on_failures_say_the_same(tmp_path: Path) -> None:
    error = error_of_ending("failed", code=1400, reason="content moderation: not allowed", prediction_id="p1")
    run = failed_run(tmp_path, Outcome.FAILED, str(error), attempt(1400, str(error)))
    assert figures_of(run, named).failures == {"moderation": 1}
    page = page_of(run)
    assert page.tables["wasted"][1][0] == "moderation"
    assert "change the prompt" in page.tables["wasted"][1][-1]


def test_a_stage_that_was_interrupted_after_a_failure_is_interrupted(tmp_path: Path) -> None:
    error = error_of_ending("failed", code=5003, reason="", prediction_id="p1")
    held = failed_run(
        tmp_path, Outcome.HELD, "interrupted; run the command again to continue", attempt(5003, str(error))
    )
    assert figures_of(held, named).failures == {"interrupted": 1}
