"""Brings up what a run needs, and takes it down in the right order whatever happens."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from blocks.assets import AssetStore
from blocks.errors import CampaignError
from blocks.ledger import HEARTBEAT_SECONDS, KEPT_BY_SERVICE, AsyncLedger, Ledger
from blocks.limits import AccountLimits
from blocks.remote import RemoteFiles
from blocks.settings import Settings
from blocks.store_marker import MarkedStore
from blocks.wavespeed import WaveSpeedClient
from flows.fetched_inputs import to_remember
from flows.preparation import Prepared, RunOptions, refuse_what_the_service_asks
from flows.quoting import service_prices
from flows.shared_service import ServiceKind, enter_shared_service
from tasks.lost_ledger.standing import Past, Standing, unplaced_of_account
from tasks.models import REQUESTS
from tasks.paying.accounts import AccountInUse
from tasks.paying.echo import HistoryEcho
from tasks.paying.settlement import Settlement
from tasks.paying.uploading import upload_place
from tasks.paying.waiting import PredictionWatch
from tasks.paying.workbench import Workbench
from tasks.planning.plan import Plan
from tasks.planning.plan_duration import percentile
from tasks.stopping import StopSignal
from tasks.watching.progress import RunProgress

# A download that nobody has written to for so long belongs to a process that died.
ABANDONED = timedelta(hours=6)
# Loopback's discard port stands for the embedded simulator where a run has nothing to ask of it, and starts none.
NOWHERE = "http://127.0.0.1:9"
_DAMAGED = "{} kept pictures or clips were damaged or gone; they are collected again"
# The embedded simulator serves this machine only; its key guards nothing and is no secret.
EMBEDDED_KEY = SecretStr("embedded-simulator")


def simulator_kind(settings: Settings) -> ServiceKind:
    return ServiceKind(
        name="simulator",
        command=(
            sys.executable,
            "-m",
            "simulator",
            "--home",
            str((settings.home / "simulator").absolute()),
            "--port",
            "{port}",
            "--clock",
            str(settings.simulator_clock),
            "--key",
            EMBEDDED_KEY.get_secret_value(),
        ),
        health_path="/api/v3/balance",
        environment={},
    )


@asynccontextmanager
async def set_up(
    prepared: Prepared, options: RunOptions, progress: RunProgress, flow_run_id: str | None
) -> AsyncIterator[Workbench]:
    """The workbench of a new run, which is entered in the ledger.

    Raises AccountRefused before a run exists where the service does not take the key, LedgerUnusable or StoreUnusable
    where what would be paid for could not be kept.
    """
    settings, plan = prepared.settings, prepared.plan
    settings.home.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        books = await asyncio.to_thread(Ledger.open, settings.ledger_address)
        ledger = AsyncLedger(books)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        store = AssetStore(settings.assets)
        await asyncio.to_thread(store.sweep_incoming, ABANDONED)
        key, base_url = settings.api_key or EMBEDDED_KEY, settings.base_url
        damaged = await _set_damaged_aside(store, plan)
        if settings.embedded:
            base_url = NOWHERE
            if damaged or await _needs_service(ledger, plan):
                service = await enter_shared_service(
                    stack, simulator_kind(settings), settings.home / "simulator"
                )
                base_url = service.url
        client = await stack.enter_async_context(
            WaveSpeedClient(
                key,
                base_url,
                request_timeout=settings.request_timeout,
                patience_seconds=settings.patience_seconds,
                allow_private=settings.allow_private_inputs,
            )
        )
        remote = await stack.enter_async_context(
            RemoteFiles(base_url, allow_private=settings.allow_private_inputs)
        )
        if damaged or plan.cost_upper > 0:
            # The key is tried, and the service's clock and nature are learnt, before anything depends on them.
            await client.balance()
            if not settings.embedded:
                await _refuse_if_behind(ledger, client, store, settings, options)
        marker = await asyncio.to_thread(MarkedStore(store.root).note)
        await ledger.call(books.register_store, marker.store, str(store.root.absolute()))
        account = AccountInUse(
            books,
            settings.service,
            await ledger.call(books.account_of, settings.service, key.get_secret_value()),
            client.result,
            ledger.call,
        )
        asked = await service_prices(prepared, client, upload_place(base_url, account.account), books)
        refuse_what_the_service_asks(plan, asked, options, prepared.day)
        simulated = settings.embedded or client.simulated or await _was_simulated(ledger, settings)
        provider = "simulator" if simulated else "wavespeed"
        run = await ledger.call(
            books.start_run,
            campaign=prepared.campaign.name,
            csv_path=str(prepared.campaign.path.absolute()),
            csv_sha256=prepared.campaign.sha256,
            service=settings.service,
            provider=provider,
            out=str(options.out.absolute()),
            budget=options.budget,
            flow_run_id=flow_run_id,
        )
        await ledger.call(books.remember_inputs, to_remember(prepared.inputs))
        owner = await ledger.call(books.register_owner)
        stack.push_async_callback(ledger.call, books.leave, owner)
        usual = await _usual_seconds(ledger, settings)
        settlement = Settlement(
            client,
            ledger,
            run.id,
            pause_seconds=min(2.0, settings.poll) / 2,
            show_spent=progress.spent,
            prices=asked.prices,
        )
        bench = Workbench(
            run_id=run.id,
            owner=owner,
            settings=settings,
            known_simulated=simulated,
            client=client,
            remote=remote,
            ledger=books,
            ask=ledger.call,
            origin=base_url,
            store=store,
            store_id=marker.store,
            limits=AccountLimits(
                settings.max_concurrent, settings.images_per_minute, settings.videos_per_minute
            ),
            watch=PredictionWatch(
                client,
                poll_seconds=settings.poll,
                expected_seconds=usual.get,
                patience_seconds=settings.patience_seconds,
                note=progress.note,
            ),
            settlement=settlement,
            echo=HistoryEcho(
                client.newest, lambda ids: ledger.call(books.bodies_sent, settings.service, ids)
            ),
            account=account,
            progress=progress,
            stop=StopSignal(),
            input_paths={item.sha256: item.path for item in prepared.inputs.values() if not item.missing},
            not_at_hand={item.sha256: item.missing for item in prepared.inputs.missing},
            usual_seconds=await _learnt_seconds(ledger, settings),
            flow_run_id=flow_run_id,
            frozen=options.frozen,
            prices=asked.prices,
            prices_asked=dict.fromkeys(asked.asked, time.monotonic() - asked.age_seconds),
            capped=options.budget is not None or settings.day_cap is not None,
            notes=[*([_DAMAGED.format(len(damaged))] if damaged else []), *asked.notes],
        )
        stack.push_async_callback(bench.first_bills.close)
        heart = asyncio.create_task(_beat(bench))
        stack.push_async_callback(_end, heart)
        yield bench


async def _refuse_if_behind(
    ledger: AsyncLedger, client: WaveSpeedClient, store: AssetStore, settings: Settings, options: RunOptions
) -> None:
    """Raises NeedsPerson where the ledger lacks something of its own past, which would be paid for again."""
    past = Past(ledger.ledger, store, settings.service, (options.out,))
    standing = await ledger.call(past.standing)
    if standing is Standing.CHECKED:
        return
    await ledger.call(past.refuse_if_behind, standing)
    if standing is Standing.COPIED:
        shown = await client.read_history(datetime.now(UTC) - KEPT_BY_SERVICE)
        unplaced = await ledger.call(past.unplaced, shown.predictions)
        if unplaced:
            raise unplaced_of_account(unplaced, past.outs)
    await ledger.call(past.settle)


async def _set_damaged_aside(store: AssetStore, plan: Plan) -> list[str]:
    """The hashes of what the plan found, and what is not what was paid for any more: read once, before it is used."""
    found = {asset.sha256 for generation in plan.found.values() for asset in generation.assets}
    reading = asyncio.Semaphore(2)

    async def is_whole(sha256: str) -> bool:
        async with reading:
            return await asyncio.to_thread(store.is_whole, sha256)

    hashes = sorted(found)
    whole = await asyncio.gather(*map(is_whole, hashes))
    return [sha256 for sha256, good in zip(hashes, whole, strict=True) if not good]


async def _needs_service(ledger: AsyncLedger, plan: Plan) -> bool:
    """Whether there is anything to generate or collect, or a dead run's bill to be read."""
    if not plan.wholly_cached:
        return True
    keys = {generation.key for generation in plan.found.values()}
    return await ledger.call(ledger.ledger.has_unaccounted, keys)


async def _was_simulated(ledger: AsyncLedger, settings: Settings) -> bool:
    """A run that sends nothing learns nothing about the service; what is cached from it says what it was."""
    runs = await ledger.call(ledger.ledger.runs)
    return any(run.service == settings.service and run.provider == "simulator" for run in runs)


async def _usual_seconds(ledger: AsyncLedger, settings: Settings) -> Mapping[str, tuple[float, float]]:
    found = {}
    for model in (request.model_id for request in REQUESTS.values()):
        usual = await ledger.call(ledger.ledger.usual_seconds, settings.service, model)
        if usual is not None:
            found[model] = (usual.p10, usual.p50)
    return found


async def _learnt_seconds(ledger: AsyncLedger, settings: Settings) -> Mapping[str, tuple[float, float]]:
    """By stage, of those that the ledger knows: seconds from sending to the end in one of two, and in nine of ten."""
    found = {}
    for stage, request in REQUESTS.items():
        steps = await ledger.call(ledger.ledger.step_seconds, settings.service, request.model_id)
        seconds = sorted(step.submit + step.inference + step.detect + step.download for step in steps)
        if seconds:
            found[stage] = percentile(seconds, 50), percentile(seconds, 90)
    return found


async def _beat(bench: Workbench) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        # A passing failure is made up for by the next beat; a lasting one shows at the next step of an attempt.
        with suppress(CampaignError):
            await bench.ask(bench.ledger.heartbeat, bench.owner)
            await bench.ask(bench.mark_store)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
