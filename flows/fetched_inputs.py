"""Where a command keeps the remote inputs that it fetches: below CAMPAIGN_HOME, and only while it runs."""

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blocks.ledger import Ledger
from tasks.briefs.brief_row import Kind
from tasks.briefs.inputs import Inputs
from tasks.briefs.remembered import Recall, kept_facts

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


def recall_from(ledger_address: str) -> Recall:
    """What earlier runs read at remote addresses; the ledger is opened once somebody asks."""

    def recall(address: str, kind: Kind) -> tuple[str, Mapping[str, Any]] | None:
        ledger = Ledger.open_if_exists(ledger_address)
        if ledger is None:
            return None
        with ledger:
            found = ledger.remembered_input(address, kind)
        return None if found is None else (found.sha256, found.facts)

    return recall


def to_remember(inputs: Inputs) -> list[tuple[str, str, str, Mapping[str, Any]]]:
    """What the ledger is to know of the inputs that were fetched, before anything is paid for by them."""
    return [
        (item.source, kind, item.sha256, facts)
        for item in inputs.fetched
        for kind, facts in [kept_facts(item.facts)]
    ]


def _sweep(inputs: Path) -> None:
    limit = time.time() - _ABANDONED_SECONDS
    # Other commands begin and end at the same time, and a folder that cannot be read is no reason to fail.
    with contextlib.suppress(OSError):
        for left in inputs.iterdir():
            if left.stat().st_mtime < limit:
                shutil.rmtree(left, ignore_errors=True)
        inputs.rmdir()
