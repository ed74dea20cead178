"""`campaign plan`."""

from dataclasses import dataclass
from pathlib import Path

from blocks.money import dollars_text
from flows.approval import save_plan
from flows.chosen_settings import chosen_settings
from flows.commands.plan_view import print_plan
from flows.preparation import how_long, prepared
from flows.talk import print_json, say
from tasks.endings import ExitStatus
from tasks.planning.plan_file import refuse_another_file


@dataclass(frozen=True)
class PlanRequest:
    csv: Path
    save: Path | None
    quote: bool
    as_json: bool
    account: str | None
    workspace: str | None


async def show_plan(request: PlanRequest) -> int:
    if request.save is not None:
        refuse_another_file(request.save)
    settings = await chosen_settings(account=request.account, workspace=request.workspace)
    if request.quote:
        from flows.quoting import quoted, require_account

        require_account(settings)
    async with prepared(settings, request.csv) as ready:
        duration = how_long(settings, ready.plan)
        quotes = await quoted(ready) if request.quote else None
        if request.as_json:
            document = ready.plan.document() | {"duration": duration.document()}
            if quotes is not None:
                document["quotes"] = quotes.document(ready.plan)
            print_json(document)
        else:
            print_plan(ready.plan, duration, quotes, simulated=settings.embedded)
        if request.save is not None:
            save_plan(ready, request.save)
            say(
                f"saved {request.save}, worth ${dollars_text(ready.plan.cost_upper)} at most; "
                f"`campaign run --plan {request.save}` applies it"
            )
    if quotes is not None and quotes.unanswered:
        say("the service answered none of the questions for a price; the prices shown are the price list's")
        return int(ExitStatus.FAILED)
    return 0
