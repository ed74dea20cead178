"""A kept plan is applied: only what was approved is run, and no more is spent than that."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from blocks.errors import BudgetRefused, InvalidInput, in_full
from blocks.settings import Settings
from flows.preparation import Prepared, prepared
from tasks.planning.plan_file import ApprovedPlan, approved_plan, differences, write_plan


def save_plan(ready: Prepared, file: Path) -> None:
    """Raises StoreUnusable where the file cannot be written."""
    approved = approved_plan(
        ready.plan, ready.campaign, ready.inputs, ready.prices, ready.settings.service, file
    )
    write_plan(approved, file)


def approved_csv(approved: ApprovedPlan, plan_file: Path, csv: Path | None) -> Path:
    """The campaign that the plan is for. Raises InvalidInput where ``csv`` is given and is another one."""
    own = approved.csv_path(plan_file)
    if csv is not None and csv.resolve() != own.resolve():
        raise InvalidInput(
            f"--plan {plan_file} is for {own}, and not for {csv}; name one of the two only, or make a plan for {csv}"
        )
    return csv if csv is not None else own


@asynccontextmanager
async def prepared_as_approved(
    settings: Settings, approved: ApprovedPlan, plan_file: Path, csv: Path
) -> AsyncIterator[Prepared]:
    """As ``prepared``. Raises BudgetRefused, with everything that differs, where it is not what was approved."""
    async with AsyncExitStack() as stack:
        ready = await _enter(stack, settings, plan_file, csv)
        differing = differences(approved, ready.plan, ready.campaign, ready.inputs, settings.service)
        if differing:
            count = "one thing differs" if len(differing) == 1 else f"{len(differing)} things differ"
            head = (
                f"--plan {plan_file}: {count} from what was approved. Nothing was spent; put it right, or approve a "
                f"new plan with `campaign plan {csv} --save FILE`:"
            )
            raise BudgetRefused("\n  ".join([head, *differing]))
        note = f"applies the plan {plan_file.name} of {approved.made_at:%Y-%m-%d %H:%M} UTC"
        yield replace(ready, plan=replace(ready.plan, notes=(*ready.plan.notes, note)))


async def _enter(stack: AsyncExitStack, settings: Settings, plan_file: Path, csv: Path) -> Prepared:
    try:
        return await stack.enter_async_context(prepared(settings, csv))
    except InvalidInput as error:
        # It was valid when it was approved.
        raise BudgetRefused(
            f"--plan {plan_file}: the campaign is not what was approved any more. Nothing was spent:\n{in_full(error)}"
        ) from error
