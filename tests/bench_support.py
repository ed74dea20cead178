"""A workbench with a real ledger and a real asset store, whose service answers by script."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from ledger_support import start_run
from simulator_support import picture

from blocks.assets import AssetStore
from blocks.errors import NotFound
from blocks.ledger import AsyncLedger, AttemptRow, AttemptState, GenerationWork, Granted, Ledger
from blocks.ledger import WorkInput as LedgerInput
from blocks.limits import AccountLimits
from blocks.settings import load_settings
from blocks.store_marker import MarkedStore
from blocks.wavespeed import (
    BillingEntry,
    ClockSkew,
    HistoryReading,
    Prediction,
    Quote,
    UnreadableItem,
    Upload,
)
from tasks.paying.accounts import AccountInUse
from tasks.paying.echo import HistoryEcho
from tasks.paying.recovery import resolve
from tasks.paying.settlement import Settlement
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.submitting import submit
from tasks.paying.workbench import Workbench
from tasks.stopping import StopSignal
from tasks.watching.progress import SilentProgress
from tasks.work import StageWork, WorkInput

SERVICE = "https://api.example.org"
EDIT_MODEL = "kwaivgi/kling-image-v3/edit"
PRICE = 28_000
_Answer = Exception | Callable[[], Any] | Any


async def until(condition: Callable[[], bool]) -> None:
    """Looks until it holds; fails where it never does."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.001)


def answered(answers: list[Any], *, otherwise: _Answer) -> Any:
    """The next answer of a script, else the usual one; exceptions are raised, functions called."""
    answer = answers.pop(0) if answers else otherwise
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer


@dataclass
class ScriptedAccount:
    """Stands in for the client. Each list holds what the next calls are answered with; after it, all goes well."""

    submits: list[_Answer] = field(default_factory=list)
    prices: list[_Answer] = field(default_factory=list)
    histories: list[_Answer] = field(default_factory=list)
    newests: list[_Answer] = field(default_factory=list)
    bills: list[_Answer] = field(default_factory=list)
    results: list[_Answer] = field(default_factory=list)
    balances: list[_Answer] = field(default_factory=list)
    history: list[Prediction] = field(default_factory=list)
    unreadable: list[UnreadableItem] = field(default_factory=list)
    credit: int = 1_000_000_000
    bill: list[BillingEntry] = field(default_factory=list)
    clock: ClockSkew = field(default_factory=lambda: ClockSkew(low=-1, high=1, known=True))
    simulated: bool = False
    sent: list[Mapping[str, Any]] = field(default_factory=list)
    uploaded: list[str] = field(default_factory=list)
    asked_since: list[datetime] = field(default_factory=list)
    asked_bills: list[list[str]] = field(default_factory=list)
    asked_results: list[str] = field(default_factory=list)

    async def submit(
        self,
        model_id: str,
        body: Mapping[str, Any],
        *,
        seconds: float | None = None,
        before_sending: Callable[[], Awaitable[None]] | None = None,
    ) -> Prediction:
        del seconds
        if before_sending is not None:
            await before_sending()
        self.sent.append(body)
        number = len(self.sent)
        usual = Prediction(id=f"p{number}", model=model_id, created_at=datetime.now(UTC))
        found: Prediction = answered(self.submits, otherwise=usual)
        return found

    async def result(self, prediction_id: str) -> Prediction:
        self.asked_results.append(prediction_id)
        found: Prediction = answered(self.results, otherwise=NotFound("no such prediction"))
        return found

    async def price(self, model_id: str, inputs: Mapping[str, Any]) -> Quote:
        del inputs
        found: Quote = answered(self.prices, otherwise=Quote(model_id, PRICE, PRICE))
        return found

    async def upload(self, content: bytes | Path, *, filename: str, media_type: str) -> Upload:
        del content, media_type
        self.uploaded.append(filename)
        return Upload(f"{SERVICE}/files/{filename}", datetime.now(UTC) + timedelta(days=7))

    async def newest(self, model: str) -> list[Prediction]:
        del model
        found: list[Prediction] = answered(self.newests, otherwise=[])
        return found

    async def read_history(self, since: datetime) -> HistoryReading:
        self.asked_since.append(since)
        found: list[Prediction] = answered(self.histories, otherwise=list(self.history))
        return HistoryReading(tuple(found), tuple(self.unreadable))

    async def balance(self) -> int:
        found: int = answered(self.balances, otherwise=self.credit)
        return found

    async def billings(
        self,
        prediction_ids: Sequence[str] = (),
        start: datetime | None = None,
        *,
        expected: Mapping[str, int] | None = None,
    ) -> list[BillingEntry]:
        if start is not None:
            return [one for one in self.bill if one.created_at is None or one.created_at >= start]
        assert set(expected or {}) == set(prediction_ids)
        self.asked_bills.append(list(prediction_ids))
        found: list[BillingEntry] = answered(
            self.bills, otherwise=[one for one in self.bill if one.prediction_id in prediction_ids]
        )
        return found


@contextmanager
def workbench_at(
    folder: Path,
    account: ScriptedAccount | None = None,
    *,
    budget: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Workbench]:
    """A run that has just begun, with pauses that are short and nothing learnt. Uses no network."""
    account = account or ScriptedAccount()
    chosen = {
        "poll_seconds": 0.01,
        "request_seconds": 30.0,
        "quiet_seconds": 5.0,
        "home": folder,
        "api_key": "key",
    }
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
    books = AsyncLedger(ledger)
    progress = SilentProgress()
    progress.start({"edit": 10, "compose": 10, "video": 10}, 0, budget)
    run_id = start_run(ledger, budget=budget)
    source = folder / "source.png"
    source.write_bytes(picture())
    store_id = MarkedStore(folder / "assets").note().store
    ledger.register_store(store_id, str(folder / "assets"))
    try:
        yield Workbench(
            run_id=run_id,
            owner=ledger.register_owner(),
            settings=load_settings(chosen | {"base_url": SERVICE} | dict(settings or {}), env_file=None),
            client=cast("Any", account),
            remote=cast("Any", None),
            ledger=ledger,
            ask=books.call,
            origin=SERVICE,
            store=AssetStore(folder / "assets"),
            store_id=store_id,
            limits=AccountLimits(10, 1000, 1000),
            watch=cast("Any", SimpleNamespace(history_shows_unended=True)),
            settlement=Settlement(
                cast("Any", account), books, run_id, pause_seconds=0.0, show_spent=progress.spent
            ),
            echo=HistoryEcho(
                cast("Any", account).newest, lambda ids: books.call(ledger.bodies_sent, SERVICE, ids)
            ),
            account=AccountInUse(
                ledger,
                SERVICE,
                ledger.account_of(SERVICE, str(chosen["api_key"])),
                cast("Any", account).result,
                books.call,
            ),
            progress=progress,
            stop=StopSignal(),
            input_paths={source_sha256(): source},
            known_simulated=False,
            usual_seconds={},
        )
    finally:
        books.close()


def source_sha256() -> str:
    return hashlib.sha256(picture()).hexdigest()


def edit_work(name: str = "a", *, estimated: int = PRICE, worst_case: int | None = None) -> StageWork:
    """One picture of ``PRICE``; the name is its prompt and its brief."""
    return StageWork(
        brief=name,
        stage="edit",
        model=EDIT_MODEL,
        key=f"key-of-{name}",
        parameters={
            "prompt": name,
            "aspect_ratio": "1:1",
            "resolution": "1k",
            "num_images": 1,
            "output_format": "png",
        },
        inputs=(WorkInput(role="image", sha256=source_sha256(), source="source.png"),),
        take=1,
        quantity=Decimal(1),
        unit="image",
        resolution="1k",
        output_format="png",
        expected_outputs=1,
        unit_price=estimated,
        estimated=estimated,
        worst_case=estimated if worst_case is None else worst_case,
        reason="new",
    )


def claim(bench: Workbench, work: StageWork) -> AttemptRow | None:
    """Takes the lease that whoever submits holds; gives the attempt that is to be resumed, if any."""
    granted = bench.ledger.claim(
        GenerationWork(
            key=work.key,
            service=SERVICE,
            provider="wavespeed",
            model=work.model,
            stage=work.stage,
            request=work.parameters,
            inputs=tuple(LedgerInput(item.role, item.sha256) for item in work.inputs),
            take=work.take,
            prompt=work.prompt,
        ),
        owner=bench.owner,
        run_id=bench.run_id,
    )
    assert isinstance(granted, Granted), granted
    return granted.attempt


async def sent_or_found(
    bench: Workbench, work: StageWork, attempt: AttemptRow | None, watch: Stopwatch
) -> AttemptRow:
    """The work is sent, and looked for where its answer was lost."""
    sent = await submit(bench, work, attempt, watch)
    return await resolve(bench, sent) if sent.state is AttemptState.UNKNOWN else sent


def the_attempt(bench: Workbench, work: StageWork) -> AttemptRow:
    [attempt] = bench.ledger.attempts(key=work.key)
    return attempt
