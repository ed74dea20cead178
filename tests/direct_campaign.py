"""A campaign's run in a process that was forked from a warm one: hundreds of them end within minutes.

It is the product's own run but for three things: Prefect's tasks, whose retries are made here; its pauses, which are
short; and the contents of the page, the workbook and the marked copies, which nobody looks at here. All of that is
tested with the real command.
"""

import asyncio
import gc
import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from crash_points import BY_NAME, arm
from warm_commands import fork

from blocks import limits
from blocks.errors import CampaignError, Transient
from blocks.settings import load_settings
from blocks.wavespeed import connection
from flows import closing
from flows.campaign import make_all, show_plan
from flows.command_line import _fail
from flows.interrupts import stop_on_signals
from flows.out_folder import refuse_an_unusable_home, refuse_an_unusable_out
from flows.preparation import RunOptions, prepared, refuse_what_the_budget_does_not_cover
from flows.set_up import set_up
from flows.talk import say
from tasks import production
from tasks.paying import collecting, generation, submitting, waiting
from tasks.paying.retry_by_cause import MOST_TRIES, tried_again
from tasks.paying.workbench import Workbench, use
from tasks.production import MadeBrief, Production
from tasks.run_files import run_folder
from tasks.watching.progress import SilentProgress
from tasks.work import StageResult, StageWork

_RETRY_SECONDS = 0.05


@dataclass(frozen=True)
class Command:
    """One run: where, with which variables, of which campaign, and where it is to die (a point's name and a count).

    ``first`` names a function, as ``module:name``, that its process calls before anything else.
    """

    folder: Path
    environment: Mapping[str, str]
    csv: str
    log: Path
    budget: int | None = None
    crash: tuple[str, int] | None = None
    partial: bool = False
    first: str = ""

    def start(self) -> ForkServerProcess:
        """Its ``exitcode`` is the command's exit status, or the negative signal that ended it."""
        return fork(_run_here, self)


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
    _leave_out_what_nobody_reads()
    production.run_stage = _run_stage  # type: ignore[attr-defined] # it stands there under its importer's name
    if command.first:
        module, _, function = command.first.partition(":")
        getattr(importlib.import_module(module), function)()
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


def _leave_out_what_nobody_reads() -> None:
    """The files are written all the same, and killed over like any others."""
    run_folder._page = lambda *_: b"<!doctype html>"
    run_folder.workbook = lambda *_: b""  # type: ignore[attr-defined] # it stands there under its importer's name
    run_folder.write_marked_copies = lambda *_: None  # type: ignore[attr-defined] # likewise
    # A process that lives for half a second has no garbage worth looking for.
    gc.disable()


async def _run_stage(bench: Workbench, work: StageWork) -> StageResult:
    """As Prefect would: again, a few times, after what is transient."""
    for tries in range(1, MOST_TRIES + 2):
        try:
            result = await generation.generate(bench, work)
        except Transient as error:
            patience = bench.settings.patience_seconds
            if not tried_again(error, tries, patience_seconds=patience) or bench.stop.reason is not None:
                raise
            await bench.stop.sleep(_RETRY_SECONDS + (error.retry_after or 0.0))
        else:
            return StageResult.model_validate(result.model_dump(mode="json"))
    raise AssertionError("the last try returns or raises")


async def _run(command: Command) -> int:
    options = RunOptions(csv=Path(command.csv), budget=command.budget, partial=command.partial)
    async with prepared(load_settings(), options.csv) as ready:
        refuse_what_the_budget_does_not_cover(ready.plan, options, ready.day)
        refuse_an_unusable_home(ready.settings)
        refuse_an_unusable_out(options.out)
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
