"""A small file in the asset store that says which store it is, and how far the ledgers came that used it.

A ledger that was restored from an older copy says less of itself than the store remembers.
"""

import contextlib
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from blocks.errors import StoreUnusable

_NAME = "ledgers.json"


@dataclass(frozen=True)
class StoreMarker:
    """``store`` is the store's random id; ``intents`` has, by a ledger's identity, the requests it had written down."""

    store: str
    intents: dict[str, int] = field(default_factory=dict)


class MarkedStore:
    """Reads and writes the marker in the asset store's folder ``root``. Only the owner may read the file."""

    def __init__(self, root: Path) -> None:
        self._path = root / _NAME

    def read(self) -> StoreMarker | None:
        """None where there is none, or where what is there is no marker: it is then written anew."""
        try:
            document = json.loads(self._path.read_text("utf-8"))
            return StoreMarker(
                str(document["store"]), {str(k): int(v) for k, v in document["ledgers"].items()}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def note(self, ledger: str | None = None, intents: int = 0) -> StoreMarker:
        """Write down how far a ledger has come, never less than before; return the marker as it is then.

        Raises StoreUnusable where it cannot be written.
        """
        known = self.read()
        marker = known or StoreMarker(secrets.token_hex(16))
        if ledger is not None and marker.intents.get(ledger, -1) < intents:
            marker = StoreMarker(marker.store, marker.intents | {ledger: intents})
        if marker != known:
            self._write(marker)
        return marker

    def set_back(self, ledger: str, intents: int) -> None:
        """Take over what the ledger says of itself: everything that it lacked has been taken from elsewhere."""
        marker = self.read() or StoreMarker(secrets.token_hex(16))
        self._write(StoreMarker(marker.store, {ledger: intents}))

    def _write(self, marker: StoreMarker) -> None:
        partial = self._path.with_name(f".{_NAME}.{secrets.token_hex(8)}")
        text = json.dumps({"store": marker.store, "ledgers": marker.intents}, indent=1) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            partial.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreUnusable(
                f"{self._path} cannot be written ({error.strerror or error}); make the folder writable"
            ) from error
