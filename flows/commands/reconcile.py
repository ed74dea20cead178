"""`campaign reconcile`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.errors import StoreUnusable
from blocks.ledger import Ledger
from blocks.money import dollars_text
from blocks.settings import Settings
from flows.chosen_settings import chosen_settings
from flows.commands.past import write_past_run
from flows.reconcile import ReconcileOptions, reconcile
from flows.talk import after_printing, print_json, say
from tasks.exports import visible
from tasks.reconciling.person_decisions import PersonDecisions
from tasks.reconciling.reconciliation import NEEDS_PERSON, AttemptLine, Reconciliation, Verdict, moment_text

# The whole table; a narrower terminal is shown less of it (`--json` has everything).
_WIDE = 190
_STYLES = {
    Verdict.MATCHED: "green",
    Verdict.DIFFERS: "cyan",
    Verdict.ADOPTED: "cyan",
    Verdict.RELEASED: "cyan",
    Verdict.MISSING: "bold red",
    Verdict.HELD: "bold yellow",
}


@dataclass(frozen=True)
class ReconcileRequest:
    run: str | None
    adopt: Sequence[str]
    release: Sequence[str]
    not_mine: Sequence[str]
    out: Sequence[Path]
    as_json: bool
    account: str | None
    workspace: str | None


async def reconcile_account(request: ReconcileRequest) -> int:
    decisions = PersonDecisions.parse(request.adopt, request.release, request.not_mine)
    settings = await chosen_settings(account=request.account, workspace=request.workspace)
    found = await reconcile(settings, ReconcileOptions(request.run, decisions, tuple(request.out)))
    if found.run is not None:
        _keep_with_the_run(settings, found)
    status = after_printing(
        int(found.status), lambda: print_json(found.document()) if request.as_json else _print(found)
    )
    if found.account_total is not None:
        say(found.account_total.text())
    _say_what_of_the_past(found)
    if found.bill_problem is not None:
        say(f"the account's bill could not be read, so no amount was compared: {found.bill_problem}")
    return status


def _say_what_of_the_past(found: Reconciliation) -> None:
    """Where the ledger was lost, copied or restored."""
    if found.taken_over:
        what = "1 prediction" if found.taken_over == 1 else f"{found.taken_over} predictions"
        say(f"the ledger has taken over {what} that it lacked, from the folders of past runs")
    for prediction in found.unplaced:
        say(
            f"prediction {visible(prediction)} has this program's inputs, and the ledger lacks it. If this ledger's "
            f"runs have paid for it, run `campaign reconcile --adopt {visible(prediction)}`; else "
            f"`campaign reconcile --not-mine {visible(prediction)}`"
        )
    if found.unplaced:
        say("both can be given several times at once. Until then, no run spends anything")


def _keep_with_the_run(settings: Settings, found: Reconciliation) -> None:
    """The run's tables and page, and that over all runs, say what the account says by now.

    A run that left no folder gets none.
    """
    from flows.closing import renew_index
    from tasks.reconciling.kept_reconciliation import keep_reconciliation

    assert found.run is not None
    ledger = Ledger.open_if_exists(settings.ledger_address)
    assert ledger is not None  # it was reconciled
    with ledger:
        folder = Path(ledger.run(found.run).out) / found.run
        if not folder.is_dir() or ledger.run_record(found.run) is None:
            return
        try:
            keep_reconciliation(folder, found.document())
            write_past_run(settings, ledger, found.run)
        except (OSError, StoreUnusable) as error:
            # The ledger has it all: that its picture cannot be renewed is no reason to hide the result.
            say(f"note: {folder} could not be renewed: {error}")
            return
        renew_index(ledger, settings.summaries, folder.parent)
    say(f"page: {folder / 'report.html'}")


def _print(found: Reconciliation) -> None:
    # What is piped into a file has no terminal's width to keep to.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    if found.attempts:
        console.print(_attempts_table(found, wide=console.width >= _WIDE))
        console.print()
    for line in found.attempts:
        _print_note(console, line)
    if found.foreign:
        console.print("not of this ledger (other people's use of the account, or another ledger's):")
        console.print(_foreign_table(found))
        console.print()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.verdicts.items())
    where = "simulated, nothing is really paid" if found.provider == "simulator" else found.service
    attempts = "1 attempt" if len(found.attempts) == 1 else f"{len(found.attempts)} attempts"
    console.print(
        f"{attempts} of the ledger{': ' if counts else ''}{counts}; "
        f"${dollars_text(found.charged)} charged, ${dollars_text(found.refunded)} refunded; {len(found.foreign)} "
        f"foreign for ${dollars_text(found.foreign_charged)}; {where}",
        soft_wrap=True,
        markup=False,
    )


def _attempts_table(found: Reconciliation, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("attempt", justify="right", no_wrap=True)
    for name in ("brief", "stage", *(["model", "created (UTC)"] if wide else []), "prediction", "state"):
        table.add_column(name, overflow="fold")
    for name in ("estimated", *(["list", "discount"] if wide else []), "charged", "refunded"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for line in found.attempts:
        attempt = line.attempt
        more = [Text(visible(attempt.model)), Text(moment_text(line.created_at) or "")] if wide else []
        prices = [_amount(attempt.list_price), _amount(line.discount)] if wide else []
        table.add_row(
            str(attempt.id),
            Text(visible(line.brief or "")),
            line.stage or "",
            *more,
            Text(visible(attempt.prediction_id or "")),
            attempt.state.value,
            _amount(attempt.estimated),
            *prices,
            _amount(line.charged),
            _amount(line.refunded if line.charged is not None else None),
            Text(line.verdict.value, style=_STYLES.get(line.verdict, "")),
        )
    return table


def _print_note(console: Console, line: AttemptLine) -> None:
    if not line.note or line.verdict is Verdict.MATCHED:
        return
    brief = f" ({visible(line.brief)} {line.stage})" if line.brief else ""
    text = f"attempt {line.attempt.id}{brief}: {line.verdict}: {visible(line.note)}"
    console.print(Text(text), soft_wrap=True)
    if line.verdict not in NEEDS_PERSON or line.attempt.body is None:
        return
    console.print(Text(f"  asked for: {_one_line(str(line.attempt.body.get('prompt', '')))}"), soft_wrap=True)
    for item in line.possible:
        outputs = " ".join(_one_line(url) for url in item.outputs)
        made = (
            f"  possible: {item.id} {moment_text(item.created_at) or ''} {_one_line(item.status)} {outputs}"
        )
        console.print(Text(made), soft_wrap=True)
    console.print()


def _foreign_table(found: Reconciliation) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("prediction", "model", "created (UTC)", "state"):
        table.add_column(name, overflow="fold")
    for name in ("charged", "refunded"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("may be of attempt")
    for line in found.foreign:
        item = line.prediction
        table.add_row(
            Text(visible(item.id)),
            Text(_one_line(item.model)),
            moment_text(item.created_at) or "",
            Text(_one_line(item.status)),
            _amount(line.billed.charged if line.billed else None),
            _amount(line.billed.refunded if line.billed else None),
            ", ".join(str(number) for number in line.possibly_of),
        )
    return table


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))


def _amount(millionths: int | None) -> str:
    return "" if millionths is None else f"${dollars_text(millionths)}"
