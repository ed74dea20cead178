"""Assets that are damaged or gone from the store: had again without asking the service, where there is a copy."""

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from blocks.assets import AssetStore
from blocks.errors import MediaError
from blocks.ledger import Ledger, StoredAsset, StoredGeneration
from tasks.exports import asset_place
from tasks.paying.workbench import Workbench
from tasks.record import RunRecord


async def all_whole(bench: Workbench, assets: Iterable[StoredAsset]) -> bool:
    """Read every one of them in the store."""
    for asset in assets:
        if not await asyncio.to_thread(bench.store.is_whole, asset.sha256):
            return False
    return True


async def make_whole(bench: Workbench, generation: StoredGeneration) -> bool:
    """Read every asset of paid work; put back, from the folders of past runs, what is damaged or gone.

    False where something is missing still: the service may have it, and only after that it is paid for again.
    """
    for asset in generation.assets:
        if await asyncio.to_thread(bench.store.is_whole, asset.sha256):
            continue
        copies = await bench.ask(_copies, bench.ledger, asset.sha256)
        if not await asyncio.to_thread(put_back, bench.store, asset.sha256, copies):
            return False
        bench.note(
            f"the asset {asset.sha256[:12]}… was damaged or gone; a past run's folder had a copy of it"
        )
    return True


def _copies(ledger: Ledger, sha256: str) -> list[Path]:
    return list(_places(ledger, sha256))


def _places(ledger: Ledger, sha256: str) -> Iterator[Path]:
    for run, text in ledger.records_with(sha256):
        try:
            record = RunRecord.model_validate_json(text)
        except ValidationError:
            continue  # of another version of this program
        for stage in record.stages:
            for asset in stage.assets:
                if asset.sha256 == sha256:
                    yield asset_place(Path(run.out) / run.id, asset.path)


def put_back(store: AssetStore, sha256: str, copies: list[Path]) -> bool:
    """Keep the first of the copies that is whole; False where none is."""
    for copy in copies:
        incoming = store.incoming_path()
        try:
            shutil.copyfile(copy, incoming)
            store.keep(incoming, expected_sha256=sha256)
        except (OSError, MediaError):
            continue  # gone, or changed by its owner
        else:
            return True
        finally:
            incoming.unlink(missing_ok=True)
    return False
