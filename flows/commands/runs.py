"""`campaign runs`: what ran so far, as a list and as a page."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.errors import StoreUnusable
from blocks.ledger import Ledger
from blocks.money import dollars_text
from flows.chosen_settings import chosen_settings
from flows.talk import print_json, say
from flows.terminal import fits, terminal
from tasks.accounting.run_figures import RunSummary, summaries
from tasks.exports import duration_text, visible

_SHOWN = ("run", "started (UTC)", "exit", "done", "failed", "held", "charged", "cached", "time")


async def list_runs(*, page: Path | None, as_json: bool, workspace: str | None) -> int:
    from tasks.page.causes import cause_of

    settings = await chosen_settings(workspace=workspace)
    ledger = Ledger.open_if_exists(settings.ledger_address)
    found: list[RunSummary] = []
    if ledger is not None:
        with ledger:
            found = summaries(
                ledger, settings.summaries, cause_of=lambda code, message: cause_of(code, message).name
            )
    if page is not None:
        _write_page(found, page)
    if as_json:
        print_json([_document(summary) for summary in found])
        return 0
    if not found:
        say("no runs yet; `campaign run CSV` makes the first")
        return 0
    print_runs(found, terminal())
    return 0


def print_runs(found: list[RunSummary], console: Console) -> None:
    """One line a run; where a terminal is too narrow for that, each run's id has a line of its own."""
    table = _table(found)
    if fits(console, table):
        console.print(table)
        return
    for summary in found:
        console.print(Text(visible(summary.run)), soft_wrap=True)
        named = dict(zip(_SHOWN[1:], _cells(summary)[1:], strict=True))
        told = (f"{name} {cell}" for name, cell in named.items() if cell and cell != "0")
        for line in _lines([visible(part) for part in told], console.width):
            console.print(Text(line), soft_wrap=True)


def _lines(parts: list[str], width: int) -> list[str]:
    """As many parts on each line as fit, none of them broken in two."""
    lines = ["  " + parts[0]]
    for part in parts[1:]:
        # One cell is kept for the comma after it.
        if len(lines[-1]) + 2 + len(part) < width:
            lines[-1] += f", {part}"
        else:
            lines[-1] += ","
            lines.append(f"  {part}")
    return lines


def _write_page(found: list[RunSummary], folder: Path) -> None:
    from tasks.index_page import NAME, write_index_page

    try:
        path = write_index_page(found, folder)
    except OSError as error:
        raise StoreUnusable(
            f"{folder / NAME} cannot be written ({error.strerror or error}); name another folder"
        ) from error
    if path is None:
        raise StoreUnusable(f"{folder / NAME} is another page, and is left as it is; name another folder")
    say(f"page: {path}")


def _table(found: list[RunSummary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _SHOWN:
        right = name in {"done", "failed", "held", "charged", "cached", "time"}
        table.add_column(name, overflow="fold", justify="right" if right else "left")
    for summary in found:
        table.add_row(*(Text(visible(cell)) for cell in _cells(summary)))
    return table


def _cells(summary: RunSummary) -> tuple[str, ...]:
    started = summary.started_at.strftime("%m-%d %H:%M")
    exit_status = "not ended" if summary.exit_status is None else str(summary.exit_status)
    figures = summary.figures
    if figures is None:
        return (summary.run, started, exit_status, "", "", "", "", "", "")
    share = figures.cached_share
    return (
        summary.run,
        started,
        exit_status,
        f"{figures.briefs.get('done', 0)}/{sum(figures.briefs.values())}",
        str(figures.briefs.get("failed", 0)),
        str(figures.briefs.get("held", 0)),
        dollars_text(figures.charged),
        "" if share is None else f"{100 * share:.0f} %",
        duration_text(figures.seconds),
    )


def _document(summary: RunSummary) -> dict[str, object]:
    figures = summary.figures
    share = figures.cached_share if figures else None
    return {
        "run": summary.run,
        "campaign": summary.campaign,
        "provider": summary.provider,
        "service": summary.service,
        "started_at": summary.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "exit_status": summary.exit_status,
        "briefs": None
        if figures is None
        else {
            "total": sum(figures.briefs.values()),
            **{status: figures.briefs.get(status, 0) for status in ("done", "failed", "held")},
        },
        "stages": figures and figures.stages,
        "cached_share": None if share is None else round(share, 4),
        "charged_usd": figures and dollars_text(figures.charged),
        "estimated_usd": figures and dollars_text(figures.estimated),
        "saved_usd": figures and dollars_text(figures.saved),
        "seconds": figures and round(figures.seconds, 3),
        "median_s": figures and {stage: round(value, 3) for stage, value in figures.median_s.items()},
        "failures": figures and figures.failures,
        "out": summary.out,
    }
