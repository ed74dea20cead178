"""What the command line hands to the flow beside its parameters, and gets back: nothing that Prefect should record."""

import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import UUID

from blocks.errors import CampaignError
from blocks.settings import Settings
from flows.closing import ClosedRun
from flows.preparation import Prepared
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
    # Prefect's task runs and the names of the states they ended in.
    task_runs: dict[UUID, str] = field(default_factory=dict)


_launch: ContextVar[Launch | None] = ContextVar("launch", default=None)


def current_launch() -> Launch:
    return _launch.get() or Launch()


def launch_with(launch: Launch) -> None:
    """For the flow that is called next in this context."""
    _launch.set(launch)
