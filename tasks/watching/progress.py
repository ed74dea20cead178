"""What one sees of a run while it runs, on stderr, never on stdout.

A terminal gets one calm view that moves in place, a pipe gets plain lines, ``quiet`` gets nothing. Colours are left
out where ``NO_COLOR`` is set; a terminal that cannot draw in place (``TERM=dumb``) gets plain lines too.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from blocks.money import dollars_text
from tasks.record import Outcome
from tasks.watching.progress_stage import EndedStage
from tasks.watching.progress_state import RunProgress
from tasks.watching.progress_view import ProgressView

__all__ = ["LiveProgress", "PlainProgress", "RunProgress", "SilentProgress", "progress_for"]

REFRESHES_PER_SECOND = 2
# Up to so many stages a pipe gets a line for each; above, one line in so many seconds, and one for each of the first
# stages that went wrong.
LINES_UP_TO = 60
LINE_SECONDS = 10.0
WRONG_LINES = 20


class SilentProgress(RunProgress):
    """Keeps count and shows nothing."""


class PlainProgress(RunProgress):
    """Plain lines for a pipe or a log: no colour, no control codes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._stream: TextIO | None = stream
        self._last_line = clock()
        self._wrong = 0

    def opened(self) -> None:
        self.line(f"{self.title()}: {self.total} {'stage' if self.total == 1 else 'stages'}, {self.money()}")
        self._last_line = self.clock()

    def stage_line(self, ended: EndedStage) -> None:
        if self.total <= LINES_UP_TO or self._is_worth_a_line(ended):
            took = "" if ended.seconds is None else f" in {ended.seconds:.1f} s"
            self.line(
                f"[{self.total - self.unfinished}/{self.total}] {ended.brief} {ended.stage} "
                f"{ended.outcome.value}{took}, ${dollars_text(ended.charged)}; {self.money()}"
            )
        elif self.clock() - self._last_line >= LINE_SECONDS:
            self._last_line = self.clock()
            self.line(self.summary())

    def _is_worth_a_line(self, ended: EndedStage) -> bool:
        if ended.outcome not in {Outcome.FAILED, Outcome.HELD}:
            return False
        self._wrong += 1
        return self._wrong <= WRONG_LINES

    def line(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(" ".join(text.split()) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads it any more (`campaign run 2>&1 | head`): no reason to stop what is being paid for.
            self._stream = None

    def closed(self, text: str) -> None:
        if self.stages:
            self.line(self.summary())
        if text:
            self.line(text)


class LiveProgress(RunProgress):
    """One view on a terminal, drawn again in place at most four times a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = Console(file=stream, highlight=False)
        view = ProgressView(self)
        self._live = Live(
            console=self._console,
            get_renderable=lambda: view,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,  # stdout is data
            redirect_stderr=stream is sys.stderr,  # other messages appear above the view, not across it
        )

    def opened(self) -> None:
        self._live.start()

    def line(self, text: str) -> None:
        self._console.print(Text(text))

    def closed(self, text: str) -> None:
        self._live.stop()
        if text:
            self.line(text)


def progress_for(stream: TextIO, *, quiet: bool = False) -> RunProgress:
    """Choose the view that suits a stream: live on a terminal that can redraw, else plain lines."""
    if quiet:
        return SilentProgress()
    if stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}:
        return LiveProgress(stream)
    return PlainProgress(stream)
