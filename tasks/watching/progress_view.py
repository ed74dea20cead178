"""The live view of a run as lines of text: always as many of them, and none wider than the terminal.

Figures stand in columns of their own, so that nothing moves sideways when one of them grows.
"""

from decimal import ROUND_HALF_UP, Decimal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from blocks.money import to_dollars
from tasks.exports import duration_text
from tasks.watching.progress_stage import COLUMNS
from tasks.watching.progress_state import RunProgress

# Below, a terminal gets the lines of a narrow one.
WIDE = 72
_STYLES = ("green", "cyan", "", "", "red", "yellow")  # of COLUMNS
_STAGE_WIDTH = 9  # the longest of what else begins a line
_FIGURE_WIDTH = 12  # $999,999.999; 59 to 67 min
_GAP = 3
_CENT_OF_A_CENT = Decimal("0.001")  # the cheapest picture costs $0.028


class ProgressView:
    """Draws a run's progress as it is at the moment of drawing, for the width that there is."""

    def __init__(self, progress: RunProgress) -> None:
        self._progress = progress

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        with self._progress.lock:
            if options.max_width >= WIDE:
                yield self._title(options.max_width)
                yield self._stages()
                yield self._figures(across=3)
            else:
                yield self._title(options.max_width)
                yield self._lines()
                yield self._figures(across=1)

    def _stages(self) -> Table:
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(width=_STAGE_WIDTH, no_wrap=True)
        for name in COLUMNS:
            table.add_column(justify="right", min_width=len(name), no_wrap=True)
        table.add_row("", *(Text(name, style="dim") for name in COLUMNS))
        for name, stage in self._progress.stages.items():
            cells = zip(stage.counts(), _STYLES, strict=True)
            table.add_row(
                Text(name),
                *(Text(str(count), style=style if count else "dim") for count, style in cells),
            )
        return table

    def _title(self, width: int) -> Text:
        """The campaign; that it is simulated is never what is cut off."""
        mark = " (simulated)" if self._progress.simulated else ""
        name = Text(self._progress.campaign, style="bold", no_wrap=True)
        name.truncate(max(1, width - len(mark)), overflow="ellipsis")
        return name.append(mark)

    def _lines(self) -> Table:
        table = Table.grid()
        table.add_column(no_wrap=True, overflow="ellipsis")
        for name, stage in self._progress.stages.items():
            # What needs somebody comes first: the end of a line may be cut off.
            counts = dict(zip(COLUMNS, stage.counts(), strict=True))
            said = ((counts[what], what) for what in ("failed", "held", "in flight", "cached"))
            rest = "".join(f", {count} {what}" for count, what in said if count)
            table.add_row(Text(f"{name:{_STAGE_WIDTH + 1}}{stage.done}/{stage.total}{rest}"))
        return table

    def _figures(self, *, across: int) -> Table:
        progress = self._progress
        rate = progress.spent_a_minute()
        spent = ("spent", _dollars(progress.spent_so_far))
        planned = ("planned", _dollars(progress.planned))
        cap = ("cap", "none" if progress.cap is None else _dollars(progress.cap))
        risk = ("at risk", _dollars(progress.at_risk))
        each_minute = ("a minute", "" if rate is None else _dollars(rate))
        projected = ("projected", _dollars(progress.projected))
        requests = ("requests", str(progress.requests))
        elapsed = ("elapsed", duration_text(progress.elapsed))
        left = ("left", progress.left_text() or "")
        figures = (
            [spent, planned, cap, risk, each_minute, projected, requests, elapsed, left]
            if across > 1
            else [spent, risk, projected, cap, elapsed, left]
        )
        table = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(across):
            table.add_column(style="dim", min_width=_STAGE_WIDTH, no_wrap=True)
            table.add_column(justify="right", min_width=_FIGURE_WIDTH, no_wrap=True)
            table.add_column(min_width=1)
        for first in range(0, len(figures), across):
            table.add_row(
                *(Text(text) for figure in figures[first : first + across] for text in (*figure, ""))
            )
        return table


def _dollars(millionths: int) -> str:
    """To a tenth of a cent, always with as many places: a figure that only grows in front does not jump."""
    return f"${to_dollars(millionths).quantize(_CENT_OF_A_CENT, rounding=ROUND_HALF_UP):,f}"
