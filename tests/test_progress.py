"""The view of a running campaign: what it counts, and what it writes where."""

import io
import re
import sys
import threading

import pytest

from tasks.progress import LiveProgress, PlainProgress, RunProgress, SilentProgress, progress_for
from tasks.record import Outcome

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_counts_where_every_stage_is(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 6, "video": 2}, planned=4_000_000, cap=None)
    for name in "abcde":
        progress.stage_started(name, "edit")
        progress.stage_submitted(name, "edit")
    clock.now += 30
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.stage_ended("b", "edit", Outcome.RESUMED, 28_000)
    progress.stage_ended("c", "edit", Outcome.FAILED, 0)
    progress.stage_ended("a", "video", Outcome.HELD, 0)
    progress.stage_ended("c", "video", Outcome.SKIPPED, 0)
    assert progress.stages["edit"].counts() == (2, 2, 1, 1, 0)
    assert progress.stages["video"].counts() == (0, 0, 0, 1, 1)
    assert progress.spent_so_far == 56_000
    assert progress.summary() == (
        "edit 2/6, 2 in flight, 1 waiting, 1 failed; video 0/2, 1 failed, 1 held; "
        "spent $0.056 of $4 planned, no cap; 30 s elapsed, about 30 s left"
    )


def test_what_the_ledger_says_is_spent_is_shown(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 2}, planned=56_000, cap=1_910_000)
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.spent(84_000)
    progress.stage_ended("b", "edit", Outcome.GENERATED, 28_000)
    assert progress.money() == "spent $0.084 of $0.056 planned, cap $1.91"


def test_time_left_is_not_guessed(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 1, "video": 1}, planned=0, cap=None, usual_seconds={"edit": 40.0})
    assert progress.time_left() is None
    progress.start({"edit": 1, "video": 1}, planned=0, cap=None, usual_seconds={"edit": 40.0, "video": 200.0})
    assert progress.time_left() == 240.0


def test_time_left_is_bound_by_the_longest_chain_where_all_run_together(clock: Clock) -> None:
    progress = RunProgress(clock)
    usual = {"edit": 40.0, "video": 200.0}
    progress.start({"edit": 3, "video": 3}, planned=0, cap=None, usual_seconds=usual, at_once=300)
    assert progress.time_left() == 240.0
    for name in "abc":
        progress.stage_submitted(name, "edit")
    clock.now += 30
    # What is with the service has 10 s left, and each clip its 200 s.
    assert progress.time_left() == 210.0
    clock.now += 30
    assert progress.time_left() == 200.0


def test_time_left_is_bound_by_the_work_where_the_account_is_small(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 10}, planned=0, cap=None, usual_seconds={"edit": 40.0}, at_once=2)
    assert progress.time_left() == 200.0
    progress.stage_ended("a", "edit", Outcome.CACHED, 0)
    assert progress.time_left() == 180.0


def test_it_learns_from_what_it_saw_whole(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 5}, planned=0, cap=None, usual_seconds={"edit": 40.0}, at_once=9)
    for name, seconds, outcome in (
        ("a", 10.0, Outcome.GENERATED),
        ("b", 1.0, Outcome.RESUMED),
        ("c", 12.0, Outcome.GENERATED),
        ("d", 500.0, Outcome.FAILED),
    ):
        progress.stage_started(name, "edit")
        clock.now += 100.0  # waits for its turn: not the service's time
        progress.stage_submitted(name, "edit")
        clock.now += seconds
        progress.stage_ended(name, "edit", outcome, 0)
    assert progress.time_left() == 11.0


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
        "edit 2/2; simulated spent $0.028 of $0.056 planned, cap $0.1; 45 s elapsed",
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


def test_a_reader_who_left_does_not_stop_the_run(clock: Clock) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    progress = PlainProgress(Closed(), clock)
    progress.start({"edit": 1}, planned=0, cap=None)
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.finish()
    assert progress.spent_so_far == 28_000


@pytest.mark.parametrize(
    ("term", "kind"), [("xterm-256color", LiveProgress), ("dumb", PlainProgress), ("unknown", PlainProgress)]
)
def test_the_view_suits_the_terminal(monkeypatch: pytest.MonkeyPatch, term: str, kind: type) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(progress_for(Terminal())) is kind
    assert type(progress_for(io.StringIO())) is PlainProgress
    assert type(progress_for(Terminal(), quiet=True)) is SilentProgress


def test_the_live_view_shows_all_of_it_and_leaves_stdout_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    progress = LiveProgress(terminal, clock)
    with progress:
        progress.start(
            {"edit": 3, "video": 1},
            planned=2_000_000,
            cap=5_000_000,
            campaign="spring",
            simulated=True,
            usual_seconds={"edit": 40.0, "video": 200.0},
        )
        progress.stage_submitted("b", "edit")
        progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
        progress.note("[red]a note[/red]")
        clock.now += 20
        sys.stdout.write("data\n")
        progress.stage_ended("c", "edit", Outcome.FAILED, 0)
    progress.finish("the end")
    shown = terminal.getvalue()
    last = CODES.sub("", shown.rpartition("done")[2])
    assert "spring (simulated)" in shown
    assert re.search(r"edit +1 +1 +0 +1 +0", last)
    assert re.search(r"video +0 +0 +1 +0 +0", last)
    assert "simulated spent $0.028 of $2 planned, cap $5" in last
    assert "20 s elapsed" in last
    assert "[red]a note[/red]" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)  # no colour
    assert capsys.readouterr().out == "data\n"


def test_a_view_that_shows_nothing_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with SilentProgress() as progress:
        progress.start({"edit": 1}, planned=0, cap=None)
        progress.stage_ended("a", "edit", Outcome.GENERATED, 1)
        progress.note("x")
    assert capsys.readouterr() == ("", "")
    assert progress.spent_so_far == 1


def test_threads_may_tell_while_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    progress = LiveProgress(terminal)
    progress.start({"edit": 400}, planned=0, cap=None, usual_seconds={"edit": 1.0})

    def tell(first: int) -> None:
        for number in range(first, first + 100):
            progress.stage_started(f"b{number}", "edit")
            progress.stage_submitted(f"b{number}", "edit")
            progress.note(f"b{number}")
            progress.stage_ended(f"b{number}", "edit", Outcome.GENERATED, 1)

    threads = [threading.Thread(target=tell, args=(first,), daemon=True) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    progress.finish()
    assert progress.stages["edit"].done == 400
    assert progress.spent_so_far == 400
