"""What a running campaign's progress counts, and what a pipe is told of it."""

import io

import pytest
from progress_support import CONTROL, USUAL, Clock

from tasks.record import Outcome
from tasks.watching.progress import PlainProgress, RunProgress, progress_for
from tasks.watching.progress_words import range_text


@pytest.fixture
def clock() -> Clock:
    return Clock()


# What it counts.


def test_it_counts_where_every_stage_is(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 7, "video": 2}, planned=4_000_000, cap=None, usual_seconds=USUAL)
    for name in "abcde":
        progress.stage_started(name, "edit")
        progress.stage_submitted(name, "edit", found=name == "b")
    clock.now += 30
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.stage_ended("b", "edit", Outcome.RESUMED, 28_000)
    progress.stage_ended("c", "edit", Outcome.FAILED, 0)
    progress.stage_ended("f", "edit", Outcome.CACHED, 0)
    progress.stage_ended("a", "video", Outcome.HELD, 0)
    progress.stage_ended("c", "video", Outcome.SKIPPED, 0)
    assert progress.stages["edit"].counts() == (2, 1, 2, 1, 1, 0)
    assert progress.stages["video"].counts() == (0, 0, 0, 0, 1, 1)
    assert progress.requests == 4, "what was found had been asked for before"
    assert progress.spent_so_far == 56_000
    assert progress.share_done() == pytest.approx(6 / 9)
    assert progress.summary() == (
        "edit 3/7, 1 cached, 2 in flight, 1 waiting, 1 failed; video 0/2, 1 failed, 1 held; "
        "spent $0.056 of $4 planned, no cap; 30 s elapsed, 1 to 2 min left"
    )


def test_what_the_ledger_says_is_spent_is_shown(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 2}, planned=56_000, cap=1_910_000)
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.spent(84_000)
    progress.stage_ended("b", "edit", Outcome.GENERATED, 28_000)
    assert progress.money() == "spent $0.084 of $0.056 planned, cap $1.91"


def test_what_is_reserved_is_at_risk_until_the_bill_is_known(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 1, "video": 2}, planned=2_000_000, cap=5_000_000)
    progress.stage_reserved("a", "video", 1_950_000)
    progress.stage_reserved("b", "video", 400_000)
    progress.stage_reserved("b", "video", 500_000)  # sent again: the first attempt holds nothing any more
    assert progress.at_risk == 2_450_000
    assert progress.money() == "spent $0 of $2 planned, $2.45 at risk, cap $5"
    progress.stage_settled("a", "video")
    progress.stage_ended("b", "video", Outcome.HELD, 0)
    progress.stage_settled("b", "video")
    assert progress.at_risk == 0


def test_what_goes_on_at_the_service_stays_at_risk_when_the_run_stops(clock: Clock) -> None:
    progress = RunProgress(clock)
    costs = dict.fromkeys([(name, "edit") for name in "abcdef"], 28_000)
    progress.start({"edit": 6}, planned=168_000, cap=None, costs=costs)
    for name in "abcdef":
        progress.stage_reserved(name, "edit", 30_000)
    for name in "abcde":
        progress.stage_submitted(name, "edit")
    progress.stage_settled("c", "edit")  # it failed at the service
    progress.stage_settled("d", "edit")  # likewise, and another attempt was about to be sent
    progress.stage_reserved("d", "edit", 30_000)
    progress.stage_ended("a", "edit", Outcome.HELD, 0)
    progress.stage_ended("b", "edit", Outcome.FAILED, 0)  # made, but it could not be collected now
    progress.stage_ended("c", "edit", Outcome.FAILED, 0)
    progress.stage_ended("d", "edit", Outcome.HELD, 0)
    progress.stage_ended("e", "edit", Outcome.GENERATED, 28_000)
    progress.stage_ended("f", "edit", Outcome.HELD, 0)  # never sent
    assert progress.at_risk == 60_000
    assert progress.projected == 28_000 + 56_000
    assert progress.summary().startswith(
        "edit 1/6, 2 failed, 3 held; spent $0.028 of $0.168 planned, $0.06 at risk"
    )
    progress.stage_settled("a", "edit")
    assert progress.at_risk == 30_000


def test_the_projected_total_is_what_was_spent_and_what_is_left(clock: Clock) -> None:
    progress = RunProgress(clock)
    costs = {("a", "edit"): 28_000, ("b", "edit"): 0, ("a", "video"): 1_900_000, ("b", "video"): 1_900_000}
    progress.start({"edit": 2, "video": 2}, planned=3_828_000, cap=None, costs=costs)
    assert progress.projected == 3_828_000
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.spent(31_000)  # dearer than planned
    progress.stage_ended("b", "edit", Outcome.FAILED, 0)
    progress.stage_ended("b", "video", Outcome.SKIPPED, 0)
    assert progress.projected == 31_000 + 1_900_000
    progress.cap = 1_000_000
    assert progress.projected == 1_000_000, "a cap is never passed"


def test_what_a_minute_costs_is_said_of_the_last_one(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 9}, planned=0, cap=None)
    progress.spent(28_000)
    clock.now += 9
    assert progress.spent_a_minute() is None
    clock.now += 21
    assert progress.spent_a_minute() == 56_000
    progress.spent(56_000)
    clock.now += 50
    assert progress.spent_a_minute() == 28_000, "the first picture was more than a minute ago"
    clock.now += 60
    assert progress.spent_a_minute() == 0


def test_time_left_is_not_guessed(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 1, "video": 1}, planned=0, cap=None, usual_seconds={"edit": (40.0, 60.0)})
    assert progress.time_left() is None
    progress.start({"edit": 1, "video": 1}, planned=0, cap=None, usual_seconds=USUAL)
    assert progress.time_left() == (240.0, 960.0)


def test_time_left_is_bound_by_the_longest_chain_where_all_run_together(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 3, "video": 3}, planned=0, cap=None, usual_seconds=USUAL, at_once=300)
    assert progress.time_left() == (240.0, 960.0)
    for name in "abc":
        progress.stage_submitted(name, "edit")
    clock.now += 30
    # What is with the service has 10 s left, or 30 s, and each clip all of its time.
    assert progress.time_left() == (210.0, 930.0)
    clock.now += 40
    assert progress.time_left() == (200.0, 900.0)


def test_time_left_is_bound_by_the_work_where_the_account_is_small(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 10}, planned=0, cap=None, usual_seconds=USUAL, at_once=2)
    assert progress.time_left() == (200.0, 300.0)
    progress.stage_ended("a", "edit", Outcome.CACHED, 0)
    assert progress.time_left() == (180.0, 270.0)


def test_it_learns_from_what_it_saw_whole(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 9}, planned=0, cap=None, usual_seconds=USUAL, at_once=9)

    def take(name: str, seconds: float, outcome: Outcome) -> None:
        progress.stage_started(name, "edit")
        clock.now += 100.0  # waits for its turn: not the service's time
        progress.stage_submitted(name, "edit")
        clock.now += seconds
        progress.stage_ended(name, "edit", outcome, 0)

    for name, seconds in (("a", 10.0), ("b", 11.0), ("c", 12.0), ("d", 13.0)):
        take(name, seconds, Outcome.GENERATED)
    take("e", 1.0, Outcome.RESUMED)
    take("f", 500.0, Outcome.FAILED)
    assert progress.time_left() == (40.0, 60.0), "four say less than all that was learnt before"
    take("g", 90.0, Outcome.GENERATED)
    assert progress.time_left() == (12.0, 90.0)


def test_a_request_without_an_answer_is_at_risk_until_it_certainly_came_to_nothing(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 2}, planned=56_000, cap=None)
    for name in "ab":
        progress.stage_started(name, "edit")
        progress.stage_reserved(name, "edit", 28_000)
        progress.stage_in_doubt(name, "edit")
    progress.stage_ended("a", "edit", Outcome.HELD, 0)
    assert progress.at_risk == 56_000
    progress.stage_reserved("b", "edit", 28_000)  # it never arrived, and is sent again
    progress.stage_ended("b", "edit", Outcome.FAILED, 0)
    assert progress.at_risk == 28_000


@pytest.mark.parametrize(
    ("likely", "late", "said"),
    [
        (0.0, 1.0, "about 5 s"),
        (12.0, 31.0, "15 to 35 s"),
        (31.0, 59.0, "35 to 60 s"),
        (31.0, 115.0, "35 to 115 s"),
        (31.0, 125.0, "1 to 3 min"),
        (61.0, 61.0, "about 2 min"),
        (130.0, 290.0, "3 to 5 min"),
        (3500.0, 4000.0, "59 to 67 min"),
        (3500.0, 7000.0, "1.0 to 2.0 h"),
        (7200.0, 7200.0, "about 2.0 h"),
    ],
)
def test_durations_are_said_as_roughly_as_they_are_known(likely: float, late: float, said: str) -> None:
    assert range_text(likely, late) == said
    assert len(said) <= 12, "as much as the view has room for"


# Plain lines.


def test_a_pipe_gets_a_plain_line_for_each_stage(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    progress = progress_for(stream)
    assert isinstance(progress, PlainProgress)
    progress = PlainProgress(stream, clock)
    progress.start({"edit": 2}, planned=56_000, cap=100_000, campaign="spring", simulated=True)
    progress.stage_started("mug", "edit")
    progress.stage_submitted("mug", "edit")
    clock.now += 45.25
    progress.stage_ended("mug", "edit", Outcome.GENERATED, 28_000)
    progress.note("mug: \x1b[31mred\x1b[0m\r\nand \u202eback")
    progress.stage_ended("lamp", "edit", Outcome.CACHED, 0)
    progress.finish("Report: runs/r/report.html")
    progress.finish("again")
    assert stream.getvalue().splitlines() == [
        "spring (simulated): 2 stages, simulated spent $0 of $0.056 planned, cap $0.1",
        "[1/2] mug edit generated in 45.2 s, $0.028; simulated spent $0.028 of $0.056 planned, cap $0.1",
        "mug: [U+001B][31mred[U+001B][0m and [U+202E]back",
        "[2/2] lamp edit cached, $0; simulated spent $0.028 of $0.056 planned, cap $0.1",
        "edit 2/2, 1 cached; simulated spent $0.028 of $0.056 planned, cap $0.1; 45 s elapsed",
        "Report: runs/r/report.html",
    ]
    assert not CONTROL.search(stream.getvalue())
    assert capsys.readouterr() == ("", "")


def test_a_large_run_gets_a_line_now_and_then(clock: Clock) -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, clock)
    progress.start({"edit": 1000}, planned=28_000_000, cap=None)
    for number in range(1000):
        clock.now += 0.1
        progress.stage_ended(f"b{number}", "edit", Outcome.GENERATED, 28_000)
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert 10 <= len(lines) <= 13
    assert lines[1].startswith("edit 100/1000, 900 waiting; spent $2.8 of $28 planned, no cap; 10 s elapsed")


def test_a_large_run_names_the_first_that_go_wrong(clock: Clock) -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, clock)
    progress.start({"edit": 1000}, planned=28_000_000, cap=None)
    for number in range(1000):
        progress.stage_ended(f"b{number}", "edit", Outcome.HELD if number % 2 else Outcome.FAILED, 0)
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1 + 20 + 1, "and not a thousand of them"
    assert lines[1] == "[1/1000] b0 edit failed, $0; spent $0 of $28 planned, no cap"
    assert lines[-1].startswith("edit 0/1000, 500 failed, 500 held")


def test_a_reader_who_left_does_not_stop_the_run(clock: Clock) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    progress = PlainProgress(Closed(), clock)
    progress.start({"edit": 1}, planned=0, cap=None)
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.finish()
    assert progress.spent_so_far == 28_000
