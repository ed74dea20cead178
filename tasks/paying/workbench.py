"""What the tasks of one run share: the account, the ledger, the store, the limits, and the signal to stop."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, ParamSpec, Protocol, TypeVar
from uuid import UUID

from blocks.assets import AssetStore
from blocks.errors import CampaignError, NeedsPerson, Terminal
from blocks.ledger import AttemptRow, Ledger
from blocks.limits import AccountLimits
from blocks.remote import RemoteFiles
from blocks.settings import Settings
from blocks.store_marker import MarkedStore
from blocks.wavespeed import WaveSpeedClient
from tasks.paying.accounts import AccountInUse
from tasks.paying.credit import Credit
from tasks.paying.echo import HistoryEcho
from tasks.paying.first_bills import FirstBills
from tasks.paying.lookout import Lookout
from tasks.paying.movement import Movement
from tasks.paying.settlement import Settlement
from tasks.paying.shared_looks import SharedLooks
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.waiting import PredictionWatch
from tasks.paying.waiting_silence import Silence
from tasks.stopping import StopSignal
from tasks.unit_prices import Place, ServicePrices
from tasks.watching.progress import RunProgress

_WITHOUT_PREFECT = (
    "Prefect's server does not answer any more: what is left goes on without it, and without its record"
)
_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class Ask(Protocol):
    """Calls a method of the ledger in the ledger's thread: waiting for the disk must not stop the event loop."""

    async def __call__(
        self,
        function: Callable[_Arguments, _Answer],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Answer: ...


@dataclass
class Workbench:
    """Made by the flow, found by the tasks: their parameters stay small enough to be written into Prefect's record."""

    run_id: str
    owner: str
    settings: Settings
    client: WaveSpeedClient
    remote: RemoteFiles
    ledger: Ledger
    ask: Ask
    origin: str
    store: AssetStore
    # Which store it is, by its own marker.
    store_id: str
    limits: AccountLimits
    watch: PredictionWatch
    settlement: Settlement
    echo: HistoryEcho
    account: AccountInUse
    progress: RunProgress
    stop: StopSignal
    # The bytes of named inputs, by sha256; pictures that the run makes itself are in the store.
    input_paths: Mapping[str, Path]
    known_simulated: bool
    # By stage, as the ledger has learnt: the seconds within which one in two has ended, and nine in ten.
    usual_seconds: Mapping[str, tuple[float, float]]
    flow_run_id: str | None = None
    frozen: bool = False
    # Why an input that is known cannot be sent, by its hash.
    not_at_hand: Mapping[str, str] = field(default_factory=dict)
    # Prefect's server has gone, or hangs.
    without_prefect: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_monotonic: float = field(default_factory=time.monotonic)
    notes: list[str] = field(default_factory=list)
    stopwatches: dict[tuple[str, str], Stopwatch] = field(default_factory=dict)
    # What the service itself quoted and billed, and when (monotonic) it was last asked for a price, answered or not.
    prices: ServicePrices = field(default_factory=ServicePrices)
    prices_asked: dict[Place, float] = field(default_factory=dict)
    # Where a cap counts, one prediction of a model and resolution shows its bill before many leave.
    capped: bool = False
    first_bills: FirstBills = field(init=False)
    # The account's history, where a request whose answer was lost is looked for.
    history_silence: Silence = field(init=False)
    # What the history shows after requests were refused, by model.
    refusal_looks: SharedLooks = field(default_factory=SharedLooks)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    uploads_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    # Decoding a 4k picture takes a core for a second; two at a time leave the event loop its turn.
    decodes_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    # Media types of the inputs uploaded in this run, as sent, by the sha256 of the original.
    sent_as: dict[str, str] = field(default_factory=dict)
    # Prefect's task runs of this run and the names of the states they ended in.
    task_runs: dict[UUID, str] = field(default_factory=dict)
    # POSTs under way: an ending run waits for their answers, so that no paid prediction's id is lost.
    posting: set[asyncio.Future[AttemptRow]] = field(default_factory=set)
    # Work that the service refused for good in this run, or does not know any more; an equal brief is told the same
    # without paying for it, or asking, again.
    refused: dict[str, Terminal | NeedsPerson] = field(default_factory=dict)
    # Lost replies: what was seen of them, who moves meanwhile, and which work has let others go first already.
    lookout: Lookout = field(default_factory=Lookout)
    movement: Movement = field(default_factory=Movement)
    gave_way: set[str] = field(default_factory=set)
    credit: Credit = field(init=False)

    def __post_init__(self) -> None:
        self.credit = Credit(self.client)
        self.first_bills = FirstBills(
            self.settlement,
            self.prices,
            self.stop,
            capped=self.capped,
            pause_seconds=self.settings.poll / 2,
            patience_seconds=self.settings.quiet,
            note=self.note,
        )
        self.history_silence = Silence(
            self.progress.note,
            who="the account's history",
            because=", which is to show what became of a request without an answer",
        )

    @property
    def simulated(self) -> bool:
        return self.known_simulated or self.client.simulated

    @property
    def provider(self) -> Literal["wavespeed", "simulator"]:
        return "simulator" if self.simulated else "wavespeed"

    def stopwatch(self, brief: str, stage: str) -> Stopwatch:
        return self.stopwatches.setdefault((brief, stage), Stopwatch())

    def lock(self, name: str) -> asyncio.Lock:
        """One at a time for everything of this name in this process: equal work, equal uploads, one price question."""
        return self._locks.setdefault(name, asyncio.Lock())

    def mark_store(self) -> None:
        """In the ledger's thread: the store remembers how far the ledger has come, should it be restored from older.

        Where it cannot be written now, the next time makes up for it.
        """
        with contextlib.suppress(CampaignError):
            MarkedStore(self.store.root).note(self.ledger.identity(), self.ledger.intents())

    def path_of(self, sha256: str) -> Path:
        path = self.input_paths.get(sha256)
        return path if path is not None else self.store.path(sha256)

    def go_on_without_prefect(self) -> None:
        """From now on nothing is asked of Prefect's server, and nobody waits for it."""
        if not self.without_prefect:
            self.without_prefect = True
            self.note(_WITHOUT_PREFECT)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            self.progress.note(text)


_current: ContextVar[Workbench] = ContextVar("workbench")


def workbench() -> Workbench:
    return _current.get()


def use(bench: Workbench) -> Callable[[], None]:
    """Makes it the one that tasks find; the returned function undoes that."""
    token = _current.set(bench)
    return lambda: _current.reset(token)
