"""Tables for people: within their terminal's width, and one line a row in a pipe."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

# A pipe has no width: whoever reads it wants one line a row.
_PIPE = 10_000


def terminal() -> Console:
    """Standard output, as wide as it is; a pipe is as wide as need be."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE)


def fits(console: Console, table: Table) -> bool:
    """Whether the table can be drawn without breaking a word, such as a run's id, in two."""
    unbounded = console.options.update(width=_PIPE)
    return Measurement.get(console, unbounded, table).minimum <= console.width
