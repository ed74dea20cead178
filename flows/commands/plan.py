"""`campaign plan`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.money import dollars_text
from blocks.settings import load_settings
from flows.preparation import block_values, prepared
from flows.talk import print_json
from tasks.exports import visible
from tasks.plan import Plan


async def show_plan(csv: Path, *, as_json: bool, account: str | None, workspace: str | None) -> int:
    settings = load_settings(block=await block_values(account, workspace))
    async with prepared(settings, csv) as ready:
        if as_json:
            print_json(ready.plan.document())
        else:
            _print(ready.plan, simulated=settings.embedded)
    return 0


def _print(plan: Plan, *, simulated: bool) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("brief", "stage", "action", "why"):
        table.add_column(name, overflow="fold")
    for name in ("quantity", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    styles = {"generate": "cyan", "cached": "green", "blocked": "yellow"}
    for stage in plan.stages:
        units = "s" if stage.unit == "second" else "pictures" if stage.quantity != 1 else "picture"
        table.add_row(
            Text(visible(stage.brief)),
            stage.stage.value,
            Text(stage.action, style=styles[stage.action]),
            Text(visible(stage.reason)),
            f"{stage.quantity.normalize():f} {units}",
            f"${dollars_text(stage.cost)}",
        )
    console.print(table)
    console.print()
    upper = f" (at most ${dollars_text(plan.cost_upper)})" if plan.cost_upper != plan.cost else ""
    where = "on the built-in simulator: nothing is really paid" if simulated else "on the WaveSpeed account"
    console.print(
        f"{plan.briefs} briefs, {len(plan.stages)} stages: ${dollars_text(plan.cost)}{upper}, "
        f"${dollars_text(plan.saved)} saved by the cache; {where}",
        soft_wrap=True,
        markup=False,
    )
    for note in plan.notes:
        console.print(f"note: {visible(note)}", soft_wrap=True, markup=False)
