"""`campaign runs`, `report` and `verify`: what is already there."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import Ledger, RunRow
from blocks.money import dollars_text
from blocks.settings import Settings, load_settings
from flows.preparation import block_values
from flows.talk import print_json, say
from tasks.exports import visible
from tasks.record import RunRecord
from tasks.verification import verify_run_folder


async def list_runs(*, as_json: bool, workspace: str | None) -> int:
    settings = load_settings(block=await block_values(None, workspace))
    ledger = Ledger.open_if_exists(settings.ledger_address)
    rows = ledger.runs() if ledger else []
    documents = [_document(row, ledger.run_record(row.id) if ledger else None) for row in rows]
    if as_json:
        print_json(documents)
        return 0
    if not rows:
        say("no runs yet; `campaign run CSV` makes the first")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "campaign", "started (UTC)", "provider", "exit", "briefs done"):
        table.add_column(name, overflow="fold")
    table.add_column("charged", justify="right")
    for document in documents:
        table.add_row(*(Text(visible(str(document[name]))) for name in _SHOWN))
    Console(highlight=False).print(table)
    return 0


_SHOWN = ("run", "campaign", "started_at", "provider", "exit_status", "briefs", "charged_usd")


def _document(row: RunRow, record_json: str | None) -> dict[str, object]:
    record = RunRecord.model_validate_json(record_json) if record_json else None
    done = sum(brief.status == "done" for brief in record.briefs) if record else 0
    return {
        "run": row.id,
        "campaign": row.campaign,
        "provider": row.provider,
        "started_at": row.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "exit_status": row.exit_status if row.exit_status is not None else "not ended",
        "briefs": f"{done}/{len(record.briefs)}" if record else "",
        "charged_usd": dollars_text(sum(s.charged for s in record.stages)) if record else "",
        "out": row.out,
    }


async def write_report(run_id: str, out: Path | None, *, workspace: str | None) -> int:
    from tasks.run_folder import write_run_folder

    settings = load_settings(block=await block_values(None, workspace))
    record, folder = _past_run(settings, run_id)
    if out is not None:
        folder = out / record.run
    write_run_folder(record, folder, place_asset=AssetStore(settings.assets).place)
    say(f"page: {folder / 'report.html'}")
    return 0


async def verify_run(run_id: str, *, workspace: str | None) -> int:
    settings = load_settings(block=await block_values(None, workspace))
    record, folder = _past_run(settings, run_id)
    problems = verify_run_folder(folder)
    for problem in problems:
        say(problem)
    if problems:
        say(
            f"{folder}: {len(problems)} problems; `campaign report {record.run}` writes the run's files again"
        )
        return 1
    say(f"{folder}: {sum(len(stage.assets) for stage in record.stages)} assets are what the manifest says")
    return 0


def _past_run(settings: Settings, run_id: str) -> tuple[RunRecord, Path]:
    """The run's record and its folder. Raises InvalidInput where there is none."""
    ledger = Ledger.open_if_exists(settings.ledger_address)
    row = ledger.run(run_id) if ledger else None
    if ledger is None or row is None:
        raise InvalidInput(f"there is no run {visible(run_id)}; `campaign runs` lists them")
    text = ledger.run_record(row.id)
    if text is None:
        raise InvalidInput(
            f"run {row.id} did not come to its end, so it left no record; run the campaign again: it continues there"
        )
    return RunRecord.model_validate_json(text), Path(row.out) / row.id
