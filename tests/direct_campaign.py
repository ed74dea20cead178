"""A campaign's run in a process that was forked from a warm one: hundreds of them end within minutes.

It is the product's own run but for two things: Prefect's tasks, whose retries are made here, and its pauses, which are
short. Prefect itself is tested with the real command.
"""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

from crash_points import BY_NAME, arm

from blocks import limits
from blocks.errors import CampaignError, InputNotFetched, Transient
from blocks.settings import load_settings
from blocks.wavespeed import connection
from flows import closing
from flows.campaign import make_all, show_plan
from flows.command_line import _fail, say
from flows.interrupts import stop_on_signals
from flows.preparation import RunOptions, prepared, refuse_what_the_budget_does_not_cover
from flows.set_up import set_up
from tasks import collecting, generation, production, submitting, waiting
from tasks.production import MadeBrief, Production
from tasks.progress import SilentProgress
from tasks.work import StageResult, StageWork
from tasks.workbench import Workbench, use

_RETRIES = 3
_RETRY_SECONDS = 0.05
# A fork server is warm when it has loaded what its children run.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["direct_campaign", "pandas", "pyarrow.parquet", "av"])


@dataclass(frozen=True)
class Command:
    """One run: where, with which variables, of which campaign, and where it is to die (a point's name and a count)."""

    folder: Path
    environment: Mapping[str, str]
    csv: str
    log: Path
    budget: int | None = None
    crash: tuple[str, int] | None = None

    def start(self) -> ForkServerProcess:
        """Its ``exitcode`` is the command's exit status, or the negative signal that ended it."""
        _warm_up()
        process = _CONTEXT.Process(target=_run_here, args=(self,))
        process.start()
        return process


@cache
def _warm_up() -> None:
    """Starts the fork server where it finds these tests: Python 3.11 does not tell it this process's own path."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    try:
        ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run_here(command: Command) -> None:
    with command.log.open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(command.folder)
    for name in [*os.environ]:
        if name.startswith(("WAVESPEED_", "CAMPAIGN_", "PREFECT_")):
            del os.environ[name]
    os.environ.update(command.environment)
    _shorten_pauses()
    production.run_stage = _run_stage  # type: ignore[attr-defined] # it stands there under its importer's name
    if command.crash is not None:
        name, nth = command.crash
        arm(BY_NAME[name], nth)
    try:
        status = asyncio.run(_run(command))
    except CampaignError as error:
        _fail(error)
    sys.exit(status)


def _shorten_pauses() -> None:
    generation.BUSY_SECONDS = 0.05
    submitting.CAP_SECONDS = 0.05
    submitting.PAUSE_SECONDS = 0.2
    collecting.TRY_AGAIN_SECONDS = 0.02
    limits.WINDOW_SECONDS = 5.0
    connection._FIRST_BACKOFF_SECONDS = 0.05
    waiting._LEAST_HISTORY_GAP_SECONDS = 0.05


async def _run_stage(bench: Workbench, work: StageWork, *, refresh: bool) -> StageResult:
    """As Prefect would: again, a few times, after what is transient."""
    del refresh  # nothing is cached here
    for tries in range(_RETRIES + 1):
        try:
            result = await generation.generate(bench, work)
        except Transient as error:
            again = tries < 1 if isinstance(error, InputNotFetched) else tries < _RETRIES
            if not again or bench.stop.reason is not None:
                raise
            await bench.stop.sleep(_RETRY_SECONDS + (error.retry_after or 0.0))
        else:
            return StageResult.model_validate(result.model_dump(mode="json"))
    raise AssertionError("the last try returns or raises")


async def _run(command: Command) -> int:
    options = RunOptions(csv=Path(command.csv), budget=command.budget)
    async with prepared(load_settings(), options.csv) as ready:
        refuse_what_the_budget_does_not_cover(ready.plan, options)
        async with set_up(ready, options, SilentProgress(), None) as bench:
            undo = use(bench)
            with stop_on_signals(bench.stop):
                show_plan(bench, ready, options)
                maker = Production(bench, ready.inputs, ready.plan, ready.prices)
                made: Any = [MadeBrief(brief) for brief in ready.campaign.briefs]
                await make_all(maker, bench, made, partial=options.partial)
                closed = await closing.close_run(bench, ready, options, made)
            undo()
    say(closed.sentence)
    for brief in closed.record.briefs:
        if brief.error:
            say(f"{brief.brief}: {brief.error}")
    return int(closed.status)
