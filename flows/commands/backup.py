"""`campaign backup`."""

import contextlib
import os
import secrets
from pathlib import Path

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import Ledger
from flows.chosen_settings import chosen_settings
from flows.talk import say
from tasks.exports import visible


async def back_up(file: Path, *, workspace: str | None) -> int:
    """A consistent copy of the ledger, also while runs work with it, and beside it the list of the assets it needs.

    Raises InvalidInput where there is no ledger, where it is not SQLite's, or where the file is there already.
    """
    settings = await chosen_settings(workspace=workspace)
    listed = file.with_name(f"{file.name}.sha256")
    for path in (file, listed):
        if path.exists():
            raise InvalidInput(f"{visible(str(path))} is there already; name another file, or move it away")
    ledger = Ledger.open_if_exists(settings.ledger_address)
    if ledger is None:
        raise InvalidInput(f"there is no ledger in {settings.home} yet, so there is nothing to back up")
    store = AssetStore(settings.assets)
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with ledger:
        if not ledger.is_file:
            raise InvalidInput(
                "the ledger is a PostgreSQL database; back it up with pg_dump, and the assets "
                f"{store.root} after it"
            )
        try:
            try:
                ledger.copy_to(partial)
                with Ledger.open(f"sqlite:///{partial.absolute()}") as copy:
                    hashes = copy.asset_sha256s()
                # What a copy is opened with belongs to it no more.
                for rest in partial.parent.glob(f"{partial.name}-*"):
                    rest.unlink(missing_ok=True)
                _write_list(listed, hashes, store)
                partial.replace(file)
            finally:
                for rest in partial.parent.glob(f"{partial.name}*"):
                    with contextlib.suppress(OSError):
                        rest.unlink()
        except OSError as error:
            raise InvalidInput(
                f"{visible(str(file))} cannot be written ({error.strerror or error}); name a file in a folder that you "
                "may write to"
            ) from error
    missing = [sha256 for sha256 in hashes if not store.has(sha256)]
    assets = "1 asset" if len(hashes) == 1 else f"{len(hashes)} assets"
    say(f"ledger: {file}")
    say(f"list:   {listed}, of {assets}; copy {store.root / 'objects'} now, after the ledger")
    if missing:
        say(f"note: {len(missing)} of them are not in the store, {missing[0]} the first")
    return 0


def _write_list(path: Path, hashes: list[str], store: AssetStore) -> None:
    """As ``sha256sum --check`` reads it, in the store's folder."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(
            f"{sha256}  {store.path(sha256).relative_to(store.root).as_posix()}\n" for sha256 in hashes
        )
        file.flush()
        os.fsync(file.fileno())
