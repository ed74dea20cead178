"""Writes everything that a run leaves, from its record alone."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from blocks.assets import AssetGone
from blocks.errors import StoreUnusable
from blocks.private_files import make_folder_for_people, open_to_people
from tasks.accounting.focus_export import focus_csv
from tasks.accounting.results import results_csv
from tasks.accounting.tables import RunTables, cost_parquet, latency_parquet, run_tables
from tasks.accounting.workbook import workbook
from tasks.exports import asset_place, write_atomically
from tasks.page import PageContext, beside, page_media, report_html
from tasks.provenance.comparison import compare
from tasks.provenance.manifest import manifest_json
from tasks.provenance.marked_copies import write_marked_copies
from tasks.provenance.verification import file_sha256
from tasks.record import AssetRecord, RunRecord
from tasks.run_files.leftovers import partial_folder


def write_run_folder(
    record: RunRecord,
    folder: Path,
    *,
    place_asset: Callable[[str, Path], None],
    page: PageContext | None = None,
    marked_copies: bool = True,
    gone: list[str] | None = None,
) -> None:
    """Write assets, their marked copies, tables, manifest and page into ``folder``, which may hold them already.

    ``place_asset(sha256, destination)`` puts the bytes with that hash at a path that does not exist yet, by
    copy or by link; it is not called for an asset that lies there unharmed. Each file appears whole or not at
    all, and writing the same record again gives the same bytes. The run's id is the ``run`` column of every
    row, so the id of a simulated run has to say that it is one (``simulated-…``); Parquet files, manifest and
    page carry the provider besides.

    Where there is a list ``gone``, the paths of assets that ``place_asset`` does not have any more (AssetGone) are put
    there, and the rest is written without them: a past run's tables and page are of use all the same.

    Raises StoreUnusable where the folder cannot be written or an asset's bytes are not what they should be,
    ValueError where the record places an asset outside ``assets/``, and whatever ``place_asset`` raises.
    """
    try:
        make_folder_for_people(folder)
        _place_assets(record, folder, place_asset, gone)
        tables = run_tables(record)
        if marked_copies:
            write_marked_copies(record, folder)
        for name, content in _files(record, tables, folder).items():
            write_atomically(folder / name, content)
        # Last, since drawing small pictures takes longest and nothing else waits for them.
        write_atomically(folder / "report.html", _page(record, tables, folder, page or PageContext()))
    except OSError as error:
        raise StoreUnusable(
            f"the run's folder {folder} cannot be written ({error.strerror or error}); put that right, or "
            f"name another folder: `campaign report {record.run} --out DIR`. All that was paid for is kept"
        ) from error


def _files(record: RunRecord, tables: RunTables, folder: Path) -> dict[str, bytes]:
    return {
        "cost.csv": tables.cost.csv(),
        "cost.parquet": cost_parquet(record, tables.cost),
        "latency.csv": tables.latency.csv(),
        "latency.parquet": latency_parquet(record, tables.latency),
        "cost_summary.csv": tables.cost_summary.csv(),
        "latency_summary.csv": tables.latency_summary.csv(),
        "results.csv": results_csv(record, folder),
        "tables.xlsx": workbook(record, tables, folder),
        "focus.csv": focus_csv(record),
        "manifest.json": manifest_json(record),
    }


def _page(record: RunRecord, tables: RunTables, folder: Path, context: PageContext) -> bytes:
    comparison = compare(context.earlier, record) if context.earlier else None
    media = page_media(record, folder, context, comparison)
    return report_html(record, tables, media, context, comparison, beside(record, folder))


def _place_assets(
    record: RunRecord, folder: Path, place_asset: Callable[[str, Path], None], gone: list[str] | None
) -> None:
    # Half-placed files lie beside the assets, on the same disk, and never among them.
    partial = partial_folder(folder)
    try:
        for stage in record.stages:
            for asset in stage.assets:
                destination = asset_place(folder, asset.path)
                if _is_asset(destination, asset):
                    continue
                try:
                    _place_asset(asset, destination, partial, place_asset)
                except AssetGone:
                    if gone is None:
                        raise
                    gone.append(asset.path)
    finally:
        with contextlib.suppress(OSError):
            partial.rmdir()


def _place_asset(
    asset: AssetRecord, destination: Path, partial: Path, place_asset: Callable[[str, Path], None]
) -> None:
    partial.mkdir(exist_ok=True)
    make_folder_for_people(destination.parent)
    placed = partial / destination.name
    try:
        place_asset(asset.sha256, placed)
        if not _is_asset(placed, asset):
            raise StoreUnusable(
                f"the asset store gave other bytes than the service delivered for {asset.path} "
                f"(sha256 {asset.sha256}); run the campaign again: a damaged asset is collected again"
            )
        open_to_people(placed)
        placed.replace(destination)
    finally:
        placed.unlink(missing_ok=True)


def _is_asset(path: Path, asset: AssetRecord) -> bool:
    return path.is_file() and path.stat().st_size == asset.bytes and file_sha256(path) == asset.sha256
