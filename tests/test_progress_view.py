"""The live view of a running campaign, at fixed states, widths and terminals."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest
from progress_support import CODES, COLOURS, CONTROL, USUAL, Clock, Terminal
from rich.console import Console

from tasks.record import Outcome
from tasks.watching.progress import LiveProgress, PlainProgress, RunProgress, SilentProgress, progress_for
from tasks.watching.progress_view import ProgressView


@pytest.fixture
def clock() -> Clock:
    return Clock()


def half_way(clock: Clock) -> RunProgress:
    progress = RunProgress(clock)
    progress.start(
        {"edit": 8, "compose": 5, "video": 4},
        planned=12_400_000,
        cap=20_000_000,
        campaign="spring",
        simulated=True,
        usual_seconds={**USUAL, "compose": (45.0, 70.0)},
        costs={("a", "video"): 1_912_320, ("b", "video"): 1_912_320, ("g", "edit"): 28_000},
        at_once=300,
    )
    for name in "abcdefgh":
        progress.stage_reserved(name, "edit", 28_000)
        progress.stage_submitted(name, "edit")
    clock.now += 45
    for name in "abcd":
        progress.stage_ended(name, "edit", Outcome.GENERATED, 28_000)
    progress.stage_ended("e", "edit", Outcome.CACHED, 0)
    progress.stage_settled("f", "edit")
    progress.stage_ended("f", "edit", Outcome.FAILED, 0)
    progress.stage_reserved("a", "video", 1_950_000)
    progress.stage_submitted("a", "video")
    return progress


def drawn(progress: RunProgress, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, legacy_windows=False).print(ProgressView(progress))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


WIDE = """\
spring (simulated)
            made   cached   in flight   waiting   failed   held
edit           4        1           2         0        1      0
compose        0        0           0         5        0      0
video          0        0           1         3        0      0
spent           $0.112   planned        $12.400   cap            $20.000
at risk         $2.006   a minute        $0.149   projected       $3.965
requests             9   elapsed           45 s   left       5 to 17 min"""
NARROW = """\
spring (simulated)
edit      5/8, 1 failed, 2 in flight, 1…
compose   0/5
video     0/4, 1 in flight
spent           $0.112
at risk         $2.006
projected       $3.965
cap            $20.000
elapsed           45 s
left       5 to 17 min"""


WIDE_NAMES = r"\b(spring|[a-z]{4,}|in flight|at risk|a minute|cap|left)\b(?= |$)"


@pytest.mark.parametrize(("width", "golden"), [(120, WIDE), (72, WIDE), (40, NARROW)])
def test_the_view_suits_the_width(clock: Clock, width: int, golden: str) -> None:
    assert drawn(half_way(clock), width) == golden.splitlines()


@pytest.mark.parametrize("width", [20, 30, 40, 60, 72, 80, 200])
def test_the_view_never_moves_sideways_or_grows(clock: Clock, width: int) -> None:
    progress = half_way(clock)
    before = drawn(progress, width)
    progress.spent(11_987_654)
    for name in "gh":
        progress.stage_ended(name, "edit", Outcome.GENERATED, 28_000)
    progress.stage_ended("a", "video", Outcome.GENERATED, 1_912_320)
    clock.now += 4000
    after = drawn(progress, width)
    assert len(after) == len(before)
    assert max(map(len, [*before, *after])) <= width
    names = WIDE_NAMES if width >= 72 else r"^(\w+)"
    for one, other in zip(before, after, strict=True):
        # Every name stands where it stood.
        assert [(found[0], found.start()) for found in re.finditer(names, one)] == [
            (found[0], found.start()) for found in re.finditer(names, other)
        ]


def test_a_long_name_is_cut_but_not_that_it_is_simulated(clock: Clock) -> None:
    progress = RunProgress(clock)
    progress.start({"edit": 1}, planned=0, cap=None, campaign="an endless name " * 9, simulated=True)
    for width in (40, 100):
        first = drawn(progress, width)[0]
        assert first.endswith("… (simulated)")
        assert len(first) == width


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
            usual_seconds=USUAL,
        )
        progress.stage_submitted("b", "edit")
        progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
        progress.note("[red]a note[/red]")
        clock.now += 20
        sys.stdout.write("data\n")
        progress.stage_ended("c", "edit", Outcome.FAILED, 0)
    progress.finish("the end")
    shown = terminal.getvalue()
    last = CODES.sub("", shown.rpartition("made")[2])
    assert "(simulated)" in shown
    assert re.search(r"edit +1 +0 +1 +0 +1 +0", last)
    assert re.search(r"video +0 +0 +0 +1 +0 +0", last)
    assert re.search(r"spent +\$0.028 +planned +\$2.000 +cap +\$5.000", last)
    assert re.search(r"elapsed +20 s", last)
    assert "[red]a note[/red]" in shown
    assert not COLOURS.search(shown)
    assert capsys.readouterr().out == "data\n"


ON_A_TERMINAL = """
import sys
from tasks.watching.progress import progress_for
from tasks.record import Outcome
with progress_for(sys.stderr) as progress:
    progress.start({"edit": 2}, 56_000, None, campaign="spring")
    progress.stage_submitted("a", "edit")
    progress.stage_ended("a", "edit", Outcome.GENERATED, 28_000)
    progress.note("a note")
    progress.stage_ended("b", "edit", Outcome.FAILED, 0)
    progress.finish("the end")
"""


def on_a_terminal(columns: int, **environment: str) -> str:
    """What a real terminal of this width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {
        name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}
    }
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL],
        cwd=Path(__file__).parents[1],
        env=clean | {"TERM": "xterm-256color"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # its end, as Linux tells it
            break
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_a_real_terminal_gets_colours_unless_it_asks_for_none() -> None:
    coloured, plain, dumb = (
        on_a_terminal(100),
        on_a_terminal(40, NO_COLOR="1"),
        on_a_terminal(100, TERM="dumb"),
    )
    assert COLOURS.search(coloured)
    assert not COLOURS.search(plain)
    assert "\x1b[" in plain, "it is drawn in place all the same"
    assert max(map(len, CODES.sub("", plain).replace("\r", "\n").splitlines())) <= 40
    assert not CONTROL.search(dumb.replace("\r\n", "\n")), "plain lines"
    for shown in (coloured, plain, dumb):
        assert "a note" in shown
        assert shown.rstrip().endswith("the end")


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
    progress.start({"edit": 400}, planned=0, cap=None, usual_seconds={"edit": (1.0, 2.0)})

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
