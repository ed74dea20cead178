"""Writes everything that a run leaves, from its record alone."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path

from blocks.errors import StoreUnusable
from tasks.exports import asset_place, write_atomically
from tasks.manifest import manifest_json
from tasks.page import report_html
from tasks.record import AssetRecord, RunRecord
from tasks.results import results_csv
from tasks.tables import cost_parquet, latency_parquet, run_tables
from tasks.verification import file_sha256


def write_run_folder(
    record: RunRecord,
    folder: Path,
    *,
    place_asset: Callable[[str, Path], None],
) -> None:
    """Write assets, tables, manifest and page into ``folder``, which may hold them already.

    ``place_asset(sha256, destination)`` puts the bytes with that hash at a path that does not exist yet, by
    copy or by link; it is not called for an asset that lies there unharmed. Each file appears whole or not at
    all, and writing the same record again gives the same bytes. The run's id is the ``run`` column of every
    row, so the id of a simulated run has to say that it is one (``simulated-…``); Parquet files, manifest and
    page carry the provider besides.

    Raises StoreUnusable where the folder cannot be written or an asset's bytes are not what they should be,
    ValueError where the record places an asset outside ``assets/``, and whatever ``place_asset`` raises.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _place_assets(record, folder, place_asset)
        for name, content in _files(record, folder).items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise StoreUnusable(
            f"the run's folder {folder} cannot be written ({error.strerror or error}); put that right, or "
            f"name another folder: `campaign report {record.run} --out DIR`. All that was paid for is kept"
        ) from error


def _files(record: RunRecord, folder: Path) -> dict[str, bytes]:
    tables = run_tables(record)
    return {
        "cost.csv": tables.cost.csv(),
        "cost.parquet": cost_parquet(record, tables.cost),
        "latency.csv": tables.latency.csv(),
        "latency.parquet": latency_parquet(record, tables.latency),
        "cost_summary.csv": tables.cost_summary.csv(),
        "latency_summary.csv": tables.latency_summary.csv(),
        "results.csv": results_csv(record, folder),
        "manifest.json": manifest_json(record),
        "report.html": report_html(record, tables),
    }


def _place_assets(record: RunRecord, folder: Path, place_asset: Callable[[str, Path], None]) -> None:
    # Half-placed files lie beside the assets, on the same disk, and never among them.
    partial = folder / f".partial-{secrets.token_hex(8)}"
    try:
        for stage in record.stages:
            for asset in stage.assets:
                destination = asset_place(folder, asset.path)
                if not _is_asset(destination, asset):
                    _place_asset(asset, destination, partial, place_asset)
    finally:
        with contextlib.suppress(OSError):
            partial.rmdir()


def _place_asset(
    asset: AssetRecord, destination: Path, partial: Path, place_asset: Callable[[str, Path], None]
) -> None:
    partial.mkdir(exist_ok=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    placed = partial / destination.name
    try:
        place_asset(asset.sha256, placed)
        if not _is_asset(placed, asset):
            raise StoreUnusable(
                f"the asset store gave other bytes than the service delivered for {asset.path} "
                f"(sha256 {asset.sha256}); run the campaign again: a damaged asset is collected again"
            )
        placed.replace(destination)
    finally:
        placed.unlink(missing_ok=True)


def _is_asset(path: Path, asset: AssetRecord) -> bool:
    return path.is_file() and path.stat().st_size == asset.bytes and file_sha256(path) == asset.sha256
