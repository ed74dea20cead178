"""The campaign as a Prefect flow: briefs become a priced plan, the plan becomes pictures and clips, each paid once."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed, Failed

from blocks.errors import CampaignError, in_full
from blocks.private_files import keep_private
from blocks.settings import load_settings
from flows.artifacts import publish_run, shown_progress
from flows.closing import ClosedRun, close_run
from flows.deployed import confined
from flows.end_at_once import ending_at_once
from flows.interrupts import stop_on_signals
from flows.launch import Launch, current_launch
from flows.notifications import tell_of_refusal, tell_of_run
from flows.out_folder import refuse_an_unusable_home, refuse_an_unusable_out
from flows.preparation import (
    Prepared,
    RunOptions,
    block_values,
    budget_from,
    prepared,
    refuse_what_the_budget_does_not_cover,
)
from flows.set_up import set_up
from tasks.endings import ExitStatus
from tasks.paying.workbench import Workbench, use
from tasks.planning.plan_duration import BRIEFS_AT_ONCE
from tasks.production import MadeBrief, Production

# An interrupted stage ends by itself within this time; what still waits after it is cancelled.
GRACE_SECONDS = 1.0


def _campaign_name() -> str:
    """What Prefect calls the run until it has an id of its own."""
    return Path(flow_run.parameters["csv"]).stem


@flow(name="campaign", flow_run_name=_campaign_name, persist_result=False)
async def campaign(
    csv: str,
    budget: str | None = None,
    partial: bool = False,
    out: str = "runs",
    frozen: bool = False,
    account: str | None = None,
    workspace: str | None = None,
    notify: str | None = None,
) -> State[Any]:
    """Turns the briefs of a CSV into finished pictures and clips, with tables that account for cost and time.

    ``budget`` is in US dollars; ``account``, ``workspace`` and ``notify`` name blocks. Running it again continues or
    repeats from cache. A run by deployment reads and writes only below CAMPAIGN_PROJECT of its worker's environment.
    """
    launch = current_launch()
    if launch.begun:
        return Cancelled(message="the command went on without Prefect, whose server did not answer")
    launch.begun = True
    try:
        return await _told(launch, csv, budget, partial, out, frozen, account, workspace, notify)
    finally:
        launch.ended.set()


async def _told(
    launch: Launch,
    csv: str,
    budget: str | None,
    partial: bool,
    out: str,
    frozen: bool,
    account: str | None,
    workspace: str | None,
    notify: str | None,
) -> State[Any]:
    """Carries the run out, and tells people and Prefect how it ended."""
    try:
        options = RunOptions(Path(csv), Path(out), budget_from(budget), partial, frozen)
        closed = await _run(options, launch, account, workspace, notify)
    except CampaignError as error:
        # Nothing foreseeable is shown as a traceback, in Prefect's record either.
        launch.error = error
        await tell_of_refusal(launch.settings, Path(csv).stem, error)
        return Failed(message=in_full(error))
    except Exception as error:
        launch.unforeseen = error
        await tell_of_refusal(launch.settings, Path(csv).stem, error)
        raise
    launch.closed = closed
    await tell_of_run(launch.settings, closed)
    return _final_state(closed.status, closed.sentence)


async def _run(
    options: RunOptions, launch: Launch, account: str | None, workspace: str | None, notify: str | None
) -> ClosedRun:
    async with AsyncExitStack() as stack:
        # Until there is something that has to be ended cleanly: Prefect's own way with SIGTERM is a traceback.
        stack.enter_context(ending_at_once())
        keep_private()
        ready = launch.prepared
        if ready is None:
            settings = load_settings(
                {"notify": notify}, await block_values(account, workspace), account=account
            )
            launch.settings = settings
            confine_to = None
            if deployment.id:
                confine_to = settings.deployment_root
                options = confined(options, confine_to)
            ready = await stack.enter_async_context(prepared(settings, options.csv, confine_to=confine_to))
        launch.settings = ready.settings
        refuse_what_the_budget_does_not_cover(ready.plan, options, ready.day)
        refuse_an_unusable_home(ready.settings)
        refuse_an_unusable_out(options.out)
        bench = await stack.enter_async_context(set_up(ready, options, launch.progress, flow_run.id))
        stack.callback(use(bench))
        launch.bench = bench
        if launch.without_prefect:
            bench.go_on_without_prefect()
        stack.enter_context(stop_on_signals(bench.stop))
        show_plan(bench, ready, options)
        await stack.enter_async_context(shown_progress(bench))
        production = Production(bench, ready.inputs, ready.plan, ready.prices)
        launch.task_runs = bench.task_runs
        await production.record_found()
        made = await make_all(
            production, bench, [MadeBrief(brief) for brief in ready.campaign.briefs], partial=options.partial
        )
        closed = await close_run(bench, ready, options, made)
        await publish_run(bench, closed)
        return closed


def show_plan(bench: Workbench, ready: Prepared, options: RunOptions) -> None:
    """What the progress view counts down."""
    bench.progress.start(
        Counter(stage.stage.value for stage in ready.plan.stages),
        ready.plan.cost,
        options.budget,
        campaign=ready.campaign.name,
        simulated=bench.simulated,
        usual_seconds=bench.usual_seconds,
        costs={(stage.brief, stage.stage.value): stage.cost for stage in ready.plan.stages},
        at_once=ready.settings.max_concurrent,
    )


async def make_all(
    production: Production, bench: Workbench, briefs: list[MadeBrief], *, partial: bool
) -> list[MadeBrief]:
    """Every brief, side by side. With ``partial`` the cheap stages of all briefs come before any video."""
    gate = asyncio.Semaphore(BRIEFS_AT_ONCE)

    async def pictures(made: MadeBrief) -> None:
        async with gate:
            await production.make_pictures(made)

    async def video(made: MadeBrief) -> None:
        async with gate:
            await production.make_video(made)

    async def whole(made: MadeBrief) -> None:
        async with gate:
            await production.make_pictures(made)
            await production.make_video(made)

    for step in (pictures, video) if partial else (whole,):
        await _until_stopped(bench, [asyncio.create_task(step(made)) for made in briefs])
    return briefs


async def _until_stopped(bench: Workbench, briefs: list[asyncio.Task[None]]) -> None:
    interrupted = asyncio.create_task(bench.stop.interrupted.wait())
    everything = asyncio.create_task(_all(briefs))
    try:
        await asyncio.wait((interrupted, everything), return_when=asyncio.FIRST_COMPLETED)
        if not everything.done():
            # A POST under way is answered first: its prediction's id must not be lost.
            await asyncio.gather(*bench.posting, return_exceptions=True)
            await asyncio.wait((everything,), timeout=GRACE_SECONDS)
            for task in briefs:
                task.cancel()
        await everything
    finally:
        interrupted.cancel()


async def _all(briefs: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*briefs)


def _final_state(status: ExitStatus, sentence: str) -> State[Any]:
    if status is ExitStatus.DONE:
        return Completed(message=sentence)
    if status is ExitStatus.INTERRUPTED:
        return Cancelled(message=sentence)
    return Failed(message=sentence)
