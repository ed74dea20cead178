"""What happens before anything can be spent: the settings, the briefs with their media, the prices and the plan."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.assets import AssetStore
from blocks.errors import BudgetRefused, InvalidInput
from blocks.ledger import Ledger
from blocks.money import dollars_text, to_millionths
from blocks.prices import PriceBook
from blocks.private_files import tighten_home
from blocks.remote import RemoteFiles
from blocks.settings import DEFAULT_HOME, Settings
from blocks.wavespeed.address import checked_base_url, checked_key
from flows.fetched_inputs import fetched_inputs, recall_from
from tasks.briefs.brief import Campaign
from tasks.briefs.inputs import Inputs, read_and_check, refuse_without_bytes
from tasks.planning.day_budget import DayBudget, day_budget
from tasks.planning.plan import Plan
from tasks.planning.plan_duration import Duration, Limits, expected_duration
from tasks.planning.plan_quote import PlanPrices
from tasks.planning.planner import Planner

_MOST_NAMED = 50


@dataclass(frozen=True)
class RunOptions:
    """What one run was asked for. ``budget`` is in millionths of a dollar; ``out`` is relative to the working dir."""

    csv: Path
    out: Path = Path("runs")
    budget: int | None = None
    partial: bool = False
    frozen: bool = False


@dataclass(frozen=True)
class Prepared:
    settings: Settings
    campaign: Campaign
    inputs: Inputs
    prices: PriceBook
    plan: Plan
    # What the cap a day leaves for the plan, where there is one.
    day: DayBudget | None = None


@asynccontextmanager
async def prepared(
    settings: Settings, csv: Path, *, confine_to: Path | None = None
) -> AsyncIterator[Prepared]:
    """Reads and checks everything, and plans. Remote inputs are kept while the context lasts.

    ``confine_to``: the folder below which a run by deployment may read. Raises InvalidInput with every problem.
    """
    _refuse_what_no_run_could_use(settings)
    tighten_home(settings.home, whole=settings.home == DEFAULT_HOME)
    with fetched_inputs(settings.home) as fetched:
        trusted = None if settings.embedded else settings.base_url
        async with RemoteFiles(trusted, allow_private=settings.allow_private_inputs) as remote:
            campaign, inputs = await read_and_check(
                csv,
                remote=remote,
                fetched_folder=fetched,
                confine_to=confine_to,
                allow_plain_http=settings.allow_private_inputs,
                recall=recall_from(settings.ledger_address),
            )
        prices = PriceBook.load()
        plan = make_plan(settings, campaign, inputs, prices)
        refuse_without_bytes(campaign, inputs, [(stage.brief, stage.stage) for stage in plan.to_make])
        day = left_of_the_day(settings, plan)
        if day is not None and not day.covers_the_plan:
            plan = replace(plan, notes=(*plan.notes, day.sentence()))
        yield Prepared(settings, campaign, inputs, prices, plan, day)


def _refuse_what_no_run_could_use(settings: Settings) -> None:
    """So that a plan does not promise what the run would refuse."""
    if not settings.embedded:
        checked_base_url(settings.base_url)
        checked_key(settings.required_key().get_secret_value())
    if settings.home.exists() and not settings.home.is_dir():
        raise InvalidInput(
            f"CAMPAIGN_HOME {settings.home} is a file; name a folder that you may write to. Nothing was spent"
        )


def make_plan(settings: Settings, campaign: Campaign, inputs: Inputs, prices: PriceBook) -> Plan:
    """Asks the ledger and the store where they exist; makes neither."""
    ledger = Ledger.open_if_exists(settings.ledger_address)
    try:
        planner = Planner(settings.service, inputs, prices, ledger, AssetStore(settings.assets))
        return planner.plan(campaign)
    finally:
        if ledger is not None:
            ledger.close()


def left_of_the_day(settings: Settings, plan: Plan) -> DayBudget | None:
    """Asks the ledger where it exists, and only where there is a cap a day."""
    if settings.day_cap is None:
        return None
    ledger = Ledger.open_if_exists(settings.ledger_address)
    try:
        return day_budget(plan, settings.service, settings.day_cap, ledger, datetime.now(UTC))
    finally:
        if ledger is not None:
            ledger.close()


def refuse_what_the_budget_does_not_cover(
    plan: Plan, options: RunOptions, day: DayBudget | None = None
) -> None:
    """Raises BudgetRefused before anything is spent."""
    # What is only collected again is let through: should the service not have it any more, the run will not pay.
    if options.frozen and plan.to_pay:
        raise BudgetRefused(_what_frozen_refuses(plan))
    if options.budget is not None and plan.cost > options.budget and not options.partial:
        raise BudgetRefused(
            f"the plan costs ${dollars_text(plan.cost)}, the budget is ${dollars_text(options.budget)}. Nothing was "
            "spent; raise --budget, or add --partial to make what it covers"
        )
    if day is not None and not day.covers_the_plan and not options.partial:
        raise BudgetRefused(f"{day.sentence()}. Nothing was spent")


def refuse_what_the_service_asks(
    plan: Plan, prices: PlanPrices, options: RunOptions, day: DayBudget | None
) -> None:
    """The same at the service's own prices. Raises BudgetRefused; nothing has been spent so far.

    Without a budget, the plan's upper bound is what was agreed to: more than that has to be said.
    """
    asked, listed = prices.cost(plan.to_pay), plan.cost
    both = f"the plan costs ${dollars_text(listed)} by the price list, and the service asks ${dollars_text(asked)}"
    if options.partial and options.budget is not None:
        return  # what it covers is made, at these prices
    if options.budget is not None and asked > options.budget:
        raise BudgetRefused(
            f"{both}; the budget is ${dollars_text(options.budget)}. Nothing was spent; raise --budget, or add "
            "--partial to make what it covers"
        )
    most = sum(stage.list_cost_upper for stage in plan.to_pay)
    if options.budget is None and asked > most:
        raise BudgetRefused(
            f"{both}, which is more than the plan's upper bound of ${dollars_text(most)}. Nothing was spent; if you "
            f"agree to the service's price, run it again with --budget {dollars_text(asked)}"
        )
    if day is not None and not options.partial:
        dearer = replace(day, wanted=day.wanted + max(0, asked - listed))
        if not dearer.covers_the_plan:
            raise BudgetRefused(f"{both}. {dearer.sentence()}. Nothing was spent")


def _what_frozen_refuses(plan: Plan) -> str:
    would = plan.to_pay
    count = "1 stage is" if len(would) == 1 else f"{len(would)} stages are"
    head = (
        f"--frozen: {count} not there yet and would cost ${dollars_text(plan.cost)}. Nothing was spent; run without "
        "--frozen to generate:"
    )
    lines = [head]
    lines += [
        f"  {stage.brief} {stage.stage}: ${dollars_text(stage.cost)}, {stage.reason}"
        for stage in would[:_MOST_NAMED]
    ]
    if len(would) > _MOST_NAMED:
        lines.append(f"  and {len(would) - _MOST_NAMED} more: see `campaign plan`")
    return "\n".join(lines)


def how_long(settings: Settings, plan: Plan) -> Duration:
    """What the plan will take under the account's limits, by what the ledger has learnt where there is one."""
    ledger = Ledger.open_if_exists(settings.ledger_address)
    limits = Limits(settings.max_concurrent, settings.images_per_minute, settings.videos_per_minute)
    try:
        return expected_duration(
            plan,
            lambda model: ledger.step_seconds(settings.service, model) if ledger is not None else [],
            limits,
            # The assumed times are the real service's.
            pace=settings.simulator_clock if settings.embedded else 1.0,
        )
    finally:
        if ledger is not None:
            ledger.close()


async def block_values(account: str | None, workspace: str | None) -> Mapping[str, Any]:
    """The settings of the named blocks. Raises InvalidInput where one is not there."""
    if account is None and workspace is None:
        return {}
    from flows.named_blocks import load_blocks  # noqa: PLC0415 - blocks need Prefect, which `plan` does without

    return await load_blocks(account, workspace)


def budget_from(dollars: str | None) -> int | None:
    """Millionths of a dollar. Raises InvalidInput where it is no amount of zero or more."""
    if dollars is None:
        return None
    try:
        amount = to_millionths(dollars)
    except ValueError as error:
        raise InvalidInput(f"--budget: {error}") from error
    if amount < 0:
        raise InvalidInput(f"--budget {dollars}: a budget cannot be negative")
    return amount
