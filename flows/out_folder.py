"""The folders of the runs and of the store, tried before anything is spent: what is paid for needs its place."""

import contextlib
import tempfile
from pathlib import Path

from blocks.assets import AssetStore
from blocks.errors import InvalidInput, StoreUnusable
from blocks.private_files import make_folder_for_people
from blocks.settings import Settings


def refuse_an_unusable_out(out: Path) -> None:
    """Make the folder where it is missing. Raises InvalidInput where no file can be written to it."""
    try:
        make_folder_for_people(out)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        if out.exists() and not out.is_dir():
            wrong = "is a file, and a folder is needed"
        else:
            wrong = f"cannot be written to ({error.strerror or error})"
        raise InvalidInput(
            f"--out {out} {wrong}; name a folder that you may write to. Nothing was spent"
        ) from error


def refuse_an_unusable_home(settings: Settings) -> None:
    """Raises StoreUnusable where CAMPAIGN_HOME can keep nothing: before a server that needs it is waited for."""
    store = AssetStore(settings.assets)
    found = store.root.exists()
    try:
        store.ensure_room(0)
    except StoreUnusable as error:
        raise StoreUnusable(f"CAMPAIGN_HOME: {error}. Nothing was spent") from error
    finally:
        if not found:
            # Looking leaves nothing behind, unless another command has begun to use it.
            with contextlib.suppress(OSError):
                (store.root / "incoming").rmdir()
                store.root.rmdir()
