"""`campaign report` and `verify`: what a past run left, written again or looked through."""

import shutil
from collections.abc import Callable
from pathlib import Path

from blocks.assets import AssetGone, AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import Ledger
from blocks.settings import Settings
from flows.chosen_settings import chosen_settings
from flows.talk import say
from tasks.exports import asset_place, visible
from tasks.record import RunRecord

# A campaign that was moved has lost all of its inputs at once.
_MOST_NOTES = 20


async def write_report(run_id: str, out: Path | None, *, workspace: str | None) -> int:
    settings = await chosen_settings(workspace=workspace)
    with _ledger(settings.ledger_address, run_id) as ledger:
        folder = write_past_run(settings, ledger, run_id, out)
    say(f"page: {folder / 'report.html'}")
    return 0


def write_past_run(settings: Settings, ledger: Ledger, run_id: str, out: Path | None = None) -> Path:
    """Write a past run's folder again, with what the ledger has learnt of its amounts since; return the folder.

    Raises InvalidInput where there is no such run, StoreUnusable where the folder cannot be written.
    """
    from tasks.page import PageContext
    from tasks.page.thumbnails import Thumbnails
    from tasks.provenance.earlier_run import earlier_run
    from tasks.reconciling.kept_reconciliation import kept_reconciliation
    from tasks.reconciling.settled_since import with_what_was_settled_since
    from tasks.run_files.run_folder import write_run_folder

    record, own_folder = _past_run(ledger, run_id)
    record = with_what_was_settled_since(record, ledger.attempts(settled_run_id=record.run))
    folder = own_folder if out is None else out / record.run
    store = AssetStore(settings.assets)
    page = PageContext(
        thumbnails=Thumbnails(settings.thumbnails),
        find_file=store.path,
        earlier=earlier_run(ledger, record),
        reconciliation=kept_reconciliation(own_folder),
    )
    gone: list[str] = []
    write_run_folder(
        record,
        folder,
        place_asset=_placing(store, record, own_folder),
        page=page,
        marked_copies=settings.marked_copies,
        gone=gone,
    )
    if gone:
        say(
            f"{len(gone)} of the run's pictures and clips nobody has any more (dropped by `campaign forget`, or lost), "
            f"{visible(gone[0])} the first; tables and page do without"
        )
    return folder


async def verify_run(run_id: str, *, workspace: str | None) -> int:
    from tasks.provenance.verification import verify_run_folder

    settings = await chosen_settings(workspace=workspace)
    with _ledger(settings.ledger_address, run_id) as ledger:
        record, folder = _past_run(ledger, run_id)
    found = verify_run_folder(folder, record=record, store=AssetStore(settings.assets))
    for problem in found.problems:
        say(problem)
    for note in found.notes[:_MOST_NOTES]:
        say(f"note: {note}")
    if len(found.notes) > _MOST_NOTES:
        more = len(found.notes) - _MOST_NOTES
        changed = "1 more input has" if more == 1 else f"{more} more inputs have"
        say(f"note: {changed} changed or gone since the run")
    if found.problems:
        problems = "1 problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
        say(f"{folder}: {problems}; `campaign report {record.run}` writes the run's files again")
        return 1
    assets = "1 asset" if found.assets == 1 else f"{found.assets} assets"
    say(f"{folder}: {assets} and the tables are what the manifest says")
    return 0


def _placing(store: AssetStore, record: RunRecord, own_folder: Path) -> Callable[[str, Path], None]:
    """From the store, or else from the run's own folder: what was forgotten there may still lie here."""
    from tasks.provenance.verification import file_sha256

    copies = {asset.sha256: asset.path for stage in record.stages for asset in stage.assets}

    def place(sha256: str, destination: Path) -> None:
        try:
            store.place(sha256, destination)
        except AssetGone:
            copy = asset_place(own_folder, copies[sha256])
            # A copy that its owner has changed is as good as gone.
            if not copy.is_file() or file_sha256(copy) != sha256:
                raise
            shutil.copyfile(copy, destination)

    return place


def _ledger(address: str, run_id: str) -> Ledger:
    ledger = Ledger.open_if_exists(address)
    if ledger is None:
        raise InvalidInput(f"there is no run {visible(run_id)}; `campaign runs` lists them")
    return ledger


def _past_run(ledger: Ledger, run_id: str) -> tuple[RunRecord, Path]:
    """The run's record and its folder. Raises InvalidInput where there is none."""
    row = ledger.run(run_id)
    text = ledger.run_record(row.id)
    if text is None:
        raise InvalidInput(
            f"run {row.id} did not come to its end, so it left no record; run the campaign again: it continues there"
        )
    return RunRecord.model_validate_json(text), Path(row.out) / row.id
