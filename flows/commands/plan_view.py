"""A plan on a terminal, or in a pipe."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.money import dollars_text
from flows.terminal import fits, terminal
from tasks.exports import duration_text, visible
from tasks.planning.plan import Plan, PlannedStage
from tasks.planning.plan_duration import Duration
from tasks.planning.plan_quote import Quotes

# More lines than a screen has: a terminal is shown what is to be paid for, and the number of the others.
_MOST_CACHED = 40
_STYLES = {"generate": "cyan", "cached": "green", "blocked": "yellow"}


def print_plan(
    plan: Plan,
    duration: Duration,
    quotes: Quotes | None,
    *,
    simulated: bool,
    console: Console | None = None,
) -> None:
    console = console or terminal()
    stages, hidden = _shown(plan, console)
    table = _table(stages)
    if not fits(console, table):
        _print_lines(console, stages)
    elif stages:
        console.print(table)
    if hidden:
        console.print(f"… and {_count(hidden, 'cached stage')}, which `--json` lists", soft_wrap=True)
    console.print()
    for line in _totals(plan, duration, simulated=simulated):
        console.print(line, soft_wrap=True, markup=False)
    for note in plan.notes:
        console.print(f"note: {visible(note)}", soft_wrap=True, markup=False)
    if quotes is not None:
        _print_quotes(console, quotes)


def _shown(plan: Plan, console: Console) -> tuple[list[PlannedStage], int]:
    cached = sum(stage.action == "cached" for stage in plan.stages)
    if not console.is_terminal or cached <= _MOST_CACHED:
        return list(plan.stages), 0
    return [stage for stage in plan.stages if stage.action != "cached"], cached


def _table(stages: Iterable[PlannedStage]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("brief", "stage", "action", "why"):
        table.add_column(name, overflow="fold")
    for name in ("quantity", "cost", "at most"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in stages:
        table.add_row(
            Text(visible(stage.brief)),
            stage.stage.value,
            Text(stage.action, style=_STYLES[stage.action]),
            Text(visible(stage.reason)),
            _quantity(stage),
            f"${dollars_text(stage.cost)}",
            f"${dollars_text(stage.cost_upper)}" if stage.cost_upper != stage.cost else "",
        )
    return table


def _print_lines(console: Console, stages: Iterable[PlannedStage]) -> None:
    for stage in stages:
        console.print(
            Text.assemble(
                f"{visible(stage.brief)} {stage.stage.value}: ",
                (stage.action, _STYLES[stage.action]),
                f", {_quantity(stage)}, ${dollars_text(stage.cost)}",
            )
        )
        console.print(Text(f"  {visible(stage.reason)}"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _quantity(stage: PlannedStage) -> str:
    units = "s" if stage.unit == "second" else "picture" if stage.quantity == 1 else "pictures"
    return f"{stage.quantity.normalize():f} {units}"


def _totals(plan: Plan, duration: Duration, *, simulated: bool) -> Iterable[str]:
    upper = f" (at most ${dollars_text(plan.cost_upper)})" if plan.cost_upper != plan.cost else ""
    where = "on the built-in simulator: nothing is really paid" if simulated else "on the WaveSpeed account"
    yield (
        f"{_count(plan.briefs, 'brief')}, {_count(len(plan.stages), 'stage')}: ${dollars_text(plan.cost)}{upper}, "
        f"${dollars_text(plan.saved)} saved by the cache; {where}"
    )
    if plan.wholly_cached and plan.paid_before:
        yield "everything is there already: a run starts no task, and only reads the bill of what was paid for before"
    elif plan.wholly_cached:
        yield "everything is there already: a run sends no request to the service and starts no task"
    elif plan.to_generate:
        usual, slow = duration_text(duration.p50), duration_text(duration.p90)
        at_once = duration.limits.max_concurrent
        yield f"takes about {usual}, in nine of ten runs no more than {slow}, with {at_once} at a time"
        if duration.assumption:
            yield f"how long is {duration.assumption}"


def _print_quotes(console: Console, quotes: Quotes) -> None:
    for price in quotes.prices:
        console.print(f"quote: {visible(price.sentence())}", soft_wrap=True, markup=False)
    if quotes.unasked:
        console.print(f"quote: {quotes.unasked} more stages were not asked about, each at another price")
    if not quotes.prices:
        console.print("quote: there is nothing to ask a price for")
    elif not quotes.differing and all(price.service is not None for price in quotes.prices):
        console.print("quote: the service asks what the price list says")
