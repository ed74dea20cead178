"""The last reconciliation of a run, kept in the run's folder, where its page shows it."""

import json
from pathlib import Path
from typing import Any

from tasks.exports import write_atomically

_NAME = "reconciliation.json"


def keep_reconciliation(folder: Path, document: dict[str, Any]) -> None:
    """Write what ``campaign reconcile RUN --json`` prints. Raises OSError."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    write_atomically(folder / _NAME, f"{text}\n".encode())


def kept_reconciliation(folder: Path) -> dict[str, Any] | None:
    """Return what was kept; None where nothing was, or where it cannot be read: it is a copy of the ledger's."""
    try:
        found = json.loads((folder / _NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "totals" in found else None
