"""What a notification says of a run, which endings it is for, and which settings ask for it."""

from pathlib import Path

import pytest
from record_samples import Assets, brief, every_outcome, record, stage

from blocks.errors import AccountRefused, BudgetRefused, InvalidInput, Problem
from blocks.settings import load_settings
from flows.closing import ClosedRun, sentence_of
from flows.notifications import message_of_refusal, message_of_run
from tasks.endings import ExitStatus
from tasks.record import Outcome, RunRecord

CANARY = "canary-3f9a"


def closed(run: RunRecord, folder: Path, status: ExitStatus = ExitStatus.DONE) -> ClosedRun:
    return ClosedRun(run, folder, status, sentence_of(run))


def test_a_message_has_the_totals_the_trouble_and_the_pages_place(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    message = message_of_run(closed(run, tmp_path / "runs" / run.run, ExitStatus.PERSON))
    assert message.subject == "spring: 2 of 4 briefs done"
    first, second, chair, vase, page = message.body.splitlines()
    assert (first, second) == (sentence_of(run), f"run: {run.run}")
    assert "4 briefs: 2 done, 1 failed, 1 held; $2.02432 charged" in first
    assert chair == f"chair: failed: {run.briefs[2].error}"
    assert vase == f"vase: held: {run.briefs[3].error}"
    assert page == f"page: {tmp_path / 'runs' / run.run / 'report.html'}"
    assert message.on == {"end", "failure", "hold"}


def test_a_simulated_run_says_so_first(tmp_path: Path) -> None:
    run = record(tmp_path, (brief("a", (stage("a", "edit", Outcome.GENERATED),)),), provider="simulator")
    message = message_of_run(closed(run, tmp_path))
    assert message.subject == "[simulated] spring: 1 of 1 brief done"
    assert message.body.startswith("simulated, nothing was really paid: 1 brief: 1 done; $0.028 charged")
    assert message.on == {"end"}
    refused = message_of_refusal("spring", InvalidInput("x"), simulated=True)
    assert refused.subject == "[simulated] spring: not run"


def test_long_and_hostile_texts_stay_short_and_visible(tmp_path: Path) -> None:
    error = "two\nlines \u202e" + "x" * 400
    members = tuple(brief(f"b{number}", (), "failed", error=error) for number in range(12))
    lines = message_of_run(closed(record(tmp_path, members), tmp_path)).body.splitlines()
    assert lines[2].startswith("b0: failed: two lines [U+202E]xxx")
    assert lines[2].endswith("x…")
    assert lines[-2] == "and 2 more"
    assert len(lines) == 2 + 10 + 2


@pytest.mark.parametrize(
    ("status", "members", "on"),
    [
        (ExitStatus.DONE, ("done",), {"end"}),
        (ExitStatus.FAILED, ("done", "failed"), {"end", "failure"}),
        (ExitStatus.BUDGET, ("held",), {"end", "hold"}),
        (ExitStatus.PERSON, ("held", "failed"), {"end", "hold", "failure"}),
        (ExitStatus.ACCOUNT, ("held",), {"end", "hold", "failure"}),
        (ExitStatus.INTERRUPTED, ("held",), {"end"}),
    ],
)
def test_each_ending_is_of_its_kinds(
    tmp_path: Path, status: ExitStatus, members: tuple[str, ...], on: set[str]
) -> None:
    run = record(tmp_path, tuple(brief(f"b{n}", (), state) for n, state in enumerate(members)))
    assert message_of_run(closed(run, tmp_path, status)).on == on


def test_a_refusal_is_a_failure_or_a_hold() -> None:
    for error, kind in (
        (InvalidInput("x"), "failure"),
        (AccountRefused("x"), "failure"),
        (RuntimeError(CANARY), "failure"),
        (BudgetRefused("x"), "hold"),
    ):
        message = message_of_refusal("spring", error, simulated=False)
        assert message.on == {"end", kind}
        assert CANARY not in message.body
    problems = tuple(Problem("c.csv", line, "take", "is wrong") for line in range(2, 22))
    lines = message_of_refusal("spring", InvalidInput("", problems), simulated=False).body.splitlines()
    assert lines[1] == "c.csv:3: take: is wrong"
    assert lines[-1] == "and 10 more lines"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"notify": "team"}, "CAMPAIGN_NOTIFY: team is not a block such as slack-webhook/team"),
        ({"notify_on": "end,never"}, "CAMPAIGN_NOTIFY_ON: is not one or several of end, failure, hold"),
        ({"notify_on": ","}, "CAMPAIGN_NOTIFY_ON: is not one or several of end, failure, hold"),
    ],
)
def test_settings_that_cannot_be_used_are_told(values: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_settings(values, env_file=None)
