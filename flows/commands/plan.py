"""`campaign plan`."""

from dataclasses import dataclass
from pathlib import Path

from blocks.money import dollars_text
from blocks.settings import load_settings
from flows.approval import save_plan
from flows.commands.plan_view import print_plan
from flows.preparation import block_values, how_long, prepared
from flows.talk import print_json, say


@dataclass(frozen=True)
class PlanRequest:
    csv: Path
    save: Path | None
    quote: bool
    as_json: bool
    account: str | None
    workspace: str | None


async def show_plan(request: PlanRequest) -> int:
    settings = load_settings(block=await block_values(request.account, request.workspace))
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
    return 0
