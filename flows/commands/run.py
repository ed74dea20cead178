"""`campaign run`: everything is checked and priced first, then the flow runs, with a Prefect server behind it."""

import sys
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blocks.errors import CampaignError, InvalidInput
from blocks.money import dollars_text
from blocks.settings import Settings, load_settings, point_prefect_home
from flows.approval import approved_csv, prepared_as_approved
from flows.out_folder import refuse_an_unusable_home, refuse_an_unusable_out
from flows.prefect_server import prefect_server, prepare_environment
from flows.preparation import (
    Prepared,
    RunOptions,
    block_values,
    budget_from,
    prepared,
    refuse_what_the_budget_does_not_cover,
)
from flows.talk import after_printing, print_json, say
from tasks.endings import ExitStatus
from tasks.planning.plan_file import ApprovedPlan, read_plan
from tasks.record import BriefRecord
from tasks.watching.progress import RunProgress, progress_for

if TYPE_CHECKING:
    from flows.closing import ClosedRun

# Of briefs that are not done for the same reason; the page names them all.
_MOST_NAMES = 5


@dataclass(frozen=True)
class RunRequest:
    csv: Path | None
    plan: Path | None
    budget: str | None
    partial: bool
    out: Path
    frozen: bool
    as_json: bool
    quiet: bool
    account: str | None
    workspace: str | None
    notify: str | None


async def run_campaign(request: RunRequest) -> int:
    """Returns the exit status of a run; raises CampaignError where there was none."""
    prepare_environment()
    approved = read_plan(request.plan) if request.plan is not None else None
    options = _options(request, approved)
    async with AsyncExitStack() as stack:
        flags = {"notify": request.notify}
        settings = load_settings(flags)
        prefect_home = point_prefect_home(settings)
        refuse_an_unusable_home(settings)
        if request.account or request.workspace:
            await stack.enter_async_context(prefect_server(prefect_home))
            values = await block_values(request.account, request.workspace)
            settings = load_settings(flags, values, account=request.account)
        if approved is not None and request.plan is not None:
            context = prepared_as_approved(settings, approved, request.plan, options.csv)
        else:
            context = prepared(settings, options.csv)
        ready = await stack.enter_async_context(context)
        refuse_what_the_budget_does_not_cover(ready.plan, options, ready.day)
        refuse_an_unusable_home(ready.settings)
        refuse_an_unusable_out(options.out)
        if not request.quiet:
            _say_where(settings)
            say("connecting to Prefect …")
        await stack.enter_async_context(prefect_server(prefect_home))
        with progress_for(sys.stderr, quiet=request.quiet) as progress:
            closed = await _run_flow(request, options, ready, progress)
    _say_how_it_ended(closed, quiet=request.quiet)
    if request.as_json:
        from tasks.run_files.recording import summary

        document = summary(closed.record, str(closed.folder))
        return after_printing(int(closed.status), lambda: print_json(document))
    return int(closed.status)


def _options(request: RunRequest, approved: ApprovedPlan | None) -> RunOptions:
    """With an approved plan, its worst case is the budget, unless a smaller one is given."""
    csv, budget = request.csv, budget_from(request.budget)
    if approved is not None and request.plan is not None:
        csv = approved_csv(approved, request.plan, csv)
        budget = approved.most if budget is None else min(budget, approved.most)
    if csv is None:
        raise InvalidInput("name a campaign's CSV, or a kept plan with --plan FILE")
    return RunOptions(csv, request.out, budget, request.partial, request.frozen)


async def _run_flow(
    request: RunRequest, options: RunOptions, ready: Prepared, progress: RunProgress
) -> "ClosedRun":
    # Imported here: Prefect reads its settings when it is imported, and `plan` does without it.
    from flows.launch import Launch
    from flows.through_prefect import run_through_prefect

    launch = Launch(prepared=ready, progress=progress)
    try:
        lacking = await run_through_prefect(
            launch,
            {
                "csv": str(options.csv),
                "budget": None if options.budget is None else dollars_text(options.budget),
                "partial": request.partial,
                "out": str(request.out),
                "frozen": request.frozen,
                "account": request.account,
                "workspace": request.workspace,
                "notify": request.notify,
            },
        )
    except Exception as error:
        raise _unexpected(ready.settings, error) from error
    if launch.error is not None:
        raise launch.error
    if launch.closed is None:
        raise _unexpected(ready.settings, launch.unforeseen or RuntimeError("its end is not known"))
    if lacking is not None:
        say(f"note: {lacking}")
    return launch.closed


def _unexpected(settings: Settings, error: BaseException) -> CampaignError:
    """For what nobody foresaw: people get a sentence, and whoever mends it the file."""
    report = settings.home / "unexpected-error.txt"
    report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return CampaignError(
        f"the run ended unexpectedly: {type(error).__name__}: {error}. Nothing that was paid for is lost: running the "
        f"command again continues. Please report this, with {report}"
    )


def _say_where(settings: Settings) -> None:
    if settings.embedded:
        say(
            "No WAVESPEED_API_KEY: the built-in simulator does the work. Its pictures are not the models', "
            "and nothing is really paid."
        )


def _named(briefs: Sequence[BriefRecord]) -> str:
    names = ", ".join(brief.brief for brief in briefs[:_MOST_NAMES])
    return names if len(briefs) <= _MOST_NAMES else f"{names} and {len(briefs) - _MOST_NAMES} more"


def _say_how_it_ended(closed: "ClosedRun", *, quiet: bool) -> None:
    say(closed.sentence)
    from tasks.page.troubles import troubles

    for trouble in troubles(closed.record):
        if trouble.message:
            say(f"{_named(trouble.briefs)}: {trouble.status}: {trouble.message}")
    if closed.status is ExitStatus.INTERRUPTED:
        say("interrupted; run the same command again to continue. Nothing that was paid for is lost")
    elif closed.status is ExitStatus.ACCOUNT:
        say(
            "the account refuses; put that right and run the same command again. Nothing that was paid for is lost"
        )
    if quiet:
        return
    say(f"page:   {closed.folder / 'report.html'}")
    say(
        f"tables: {closed.folder / 'cost.csv'}, {closed.folder / 'latency.csv'}, {closed.folder / 'results.csv'}"
    )
