"""What the command line hands to the flow beside its parameters, and gets back: nothing that Prefect should record."""

import asyncio
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import UUID

from blocks.errors import CampaignError
from blocks.settings import Settings
from flows.closing import ClosedRun
from flows.preparation import Prepared
from tasks.paying.workbench import Workbench
from tasks.watching.progress import RunProgress, progress_for


@dataclass
class Launch:
    """``prepared`` where the command line has read and planned already; a deployed run does that itself."""

    prepared: Prepared | None = None
    # A deployed run writes plain lines, which its worker keeps.
    progress: RunProgress = field(default_factory=lambda: progress_for(sys.stderr))
    # From when they are known: whom to tell how the run ended.
    settings: Settings | None = None
    closed: ClosedRun | None = None
    error: CampaignError | None = None
    unforeseen: Exception | None = None
    # Whether the flow's function was called, and whether it has come to its end.
    begun: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # While it works.
    bench: Workbench | None = None
    without_prefect: bool = False
    # Prefect's task runs and the names of the states they ended in.
    task_runs: dict[UUID, str] = field(default_factory=dict)

    def go_on_without_prefect(self) -> None:
        """Its server has gone: the flow, if it works already or begins later, asks nothing of it any more."""
        self.without_prefect = True
        if self.bench is not None and self.closed is None:
            self.bench.go_on_without_prefect()


_launch: ContextVar[Launch | None] = ContextVar("launch", default=None)


def current_launch() -> Launch:
    return _launch.get() or Launch()


def launch_with(launch: Launch) -> None:
    """For the flow that is called next in this context."""
    _launch.set(launch)
