"""Who of a run still moves: where nobody does, nothing new will show in the account's history."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Movement:
    """Counts stages: those at work, those of them that stand still, and those barred by one that stands still."""

    clock: Callable[[], float] = time.monotonic
    _at_work: int = 0
    _standing: int = 0
    _barred: int = 0
    _still_since: float | None = None

    @property
    def barred(self) -> int:
        """How many would send a request if another one of their model were not waited for."""
        return self._barred

    def still_for(self) -> float:
        """How many seconds ago the last stage stopped moving; 0 where one moves."""
        return 0.0 if self._still_since is None else self.clock() - self._still_since

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._change(at_work=1)
        try:
            yield
        finally:
            self._change(at_work=-1)

    @contextmanager
    def standing_still(self, *, barred: bool = False) -> Iterator[None]:
        self._change(standing=1, barred=int(barred))
        try:
            yield
        finally:
            self._change(standing=-1, barred=-int(barred))

    def _change(self, *, at_work: int = 0, standing: int = 0, barred: int = 0) -> None:
        self._at_work += at_work
        self._standing += standing
        self._barred += barred
        if self._at_work > self._standing:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = self.clock()
