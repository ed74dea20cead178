"""Where a command keeps the remote inputs that it fetches: below CAMPAIGN_HOME, and only while it runs."""

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

# No run lasts this long: what is older was left by a command that was killed.
_ABANDONED_SECONDS = 7 * 24 * 3600.0


@contextlib.contextmanager
def fetched_inputs(home: Path) -> Iterator[Path]:
    """Yield a folder that is made by whoever first writes into it, and is gone afterwards.

    What killed commands have left is removed as well.
    """
    folder = home / "inputs" / uuid.uuid4().hex
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _sweep(folder.parent)


def _sweep(inputs: Path) -> None:
    limit = time.time() - _ABANDONED_SECONDS
    # Other commands begin and end at the same time, and a folder that cannot be read is no reason to fail.
    with contextlib.suppress(OSError):
        for left in inputs.iterdir():
            if left.stat().st_mtime < limit:
                shutil.rmtree(left, ignore_errors=True)
        inputs.rmdir()
