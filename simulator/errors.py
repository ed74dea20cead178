"""What can go wrong with the simulator itself; what its service answers is in ``envelope``."""

from pathlib import Path


class SimulatorError(Exception):
    """Foreseeable: its text is for the person who started the simulator."""


class FaultsInvalid(SimulatorError):
    """The fault file does not say what it should; the text lists every problem, one a line."""


class HomeInUse(SimulatorError):
    """Another simulator keeps its books in this folder; ``url`` is where it answers, where that is known."""

    def __init__(self, home: Path, url: str | None) -> None:
        where = f" and answers at {url}" if url else ""
        super().__init__(
            f"another simulator keeps its books in {home}{where}: use it, stop it, or choose another folder"
        )
        self.home = home
        self.url = url


class BooksUnusable(SimulatorError):
    """The simulator's books cannot be opened, or were written by another version."""
