"""Says that the service has gone quiet while a run waits for it, and that it is back: one line each, however long."""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.exports import duration_text

# What passes by itself sooner is nobody's business.
QUIET_SECONDS = 30.0


@dataclass
class Silence:
    """Moments are of the monotonic clock. A refusal, or being asked for a pause, is an answer too."""

    note: Callable[[str], None]
    who: str = "the service"
    # Why that holds the run up, where it does not go without saying.
    because: str = ""
    _since: float | None = None
    _told: bool = False

    def asked(self, now: float) -> None:
        """A question goes out; from the first one without an answer on, the service is silent."""
        if self._since is None:
            self._since = now

    def answered(self, now: float) -> None:
        if self._told and self._since is not None:
            self.note(f"{self.who} answers again, after {duration_text(now - self._since)}; the run goes on")
        self.forget()

    def forget(self) -> None:
        """Nobody waits any more, and so nobody asks: what was not answered says nothing."""
        self._since, self._told = None, False

    def look(self, now: float) -> float | None:
        """Tell of it where it is time to; return the moment at which it will be, None where there is none."""
        if self._since is None or self._told:
            return None
        due = self._since + QUIET_SECONDS
        if now < due:
            return due
        self._told = True
        self.note(
            f"{self.who} has not answered for {duration_text(now - self._since)}{self.because}; still waiting: "
            "Ctrl-C is safe, the next run goes on"
        )
        return None
