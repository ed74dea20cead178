"""What one sees of a run while it runs, on stderr, never on stdout.

A terminal gets one calm view that moves in place, a pipe gets plain lines, ``quiet`` gets nothing.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blocks.money import dollars_text
from tasks.progress_state import COLUMNS, EndedStage, RunProgress

__all__ = ["LiveProgress", "PlainProgress", "RunProgress", "SilentProgress", "progress_for"]

REFRESHES_PER_SECOND = 4
# Up to so many stages a pipe gets a line for each; above, one line in so many seconds.
LINES_UP_TO = 60
LINE_SECONDS = 10.0

_STYLES = ("green", "cyan", "", "red", "yellow")  # of COLUMNS


class SilentProgress(RunProgress):
    """Keeps count and shows nothing."""


class PlainProgress(RunProgress):
    """Plain lines for a pipe or a log: no colour, no control codes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._stream: TextIO | None = stream
        self._last_line = clock()

    def opened(self) -> None:
        self.line(f"{self.title()}: {self.total} stages, {self.money()}")
        self._last_line = self.clock()

    def stage_line(self, ended: EndedStage) -> None:
        if self.total <= LINES_UP_TO:
            took = "" if ended.seconds is None else f" in {ended.seconds:.1f} s"
            self.line(
                f"[{self.total - self.unfinished}/{self.total}] {ended.brief} {ended.stage} "
                f"{ended.outcome.value}{took}, ${dollars_text(ended.charged)}; {self.money()}"
            )
        elif self.clock() - self._last_line >= LINE_SECONDS:
            self._last_line = self.clock()
            self.line(self.summary())

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
        self._live = Live(
            console=self._console,
            get_renderable=self._view,
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

    def _view(self) -> Table:
        with self.lock:
            table = Table.grid(padding=(0, 3))
            table.add_column()
            for _ in COLUMNS:
                table.add_column(justify="right")
            table.add_row(Text(self.title(), style="bold"), *(Text(name, style="dim") for name in COLUMNS))
            for name, stage in self.stages.items():
                cells = zip(stage.counts(), _STYLES, strict=True)
                counts = (Text(str(count), style=style if count else "dim") for count, style in cells)
                table.add_row(Text(name), *counts)
            view = Table.grid()
            view.add_row(table)
            view.add_row(Text(self.money()))
            view.add_row(Text(self.times(), style="dim"))
            return view


def progress_for(stream: TextIO, *, quiet: bool = False) -> RunProgress:
    """Choose the view that suits a stream: live on a terminal that can redraw, else plain lines."""
    if quiet:
        return SilentProgress()
    if stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}:
        return LiveProgress(stream)
    return PlainProgress(stream)
