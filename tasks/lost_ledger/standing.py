"""Whether the ledger knows all of its own past, or was lost, copied, or restored from an older copy.

It is looked at once for a ledger as it lies where it lies; after that only the asset store's marker is read.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blocks.assets import AssetStore
from blocks.errors import NeedsPerson
from blocks.ledger import Ledger
from blocks.store_marker import MarkedStore
from blocks.wavespeed import Prediction
from tasks.lost_ledger.past_folders import PastRun, not_in, past_runs_in
from tasks.models import REQUESTS

_MEDIA_KEYS = ("image", "images", "video")
# What this program uploads is named by the hash of its bytes.
_UPLOADED = re.compile(r"(?P<sha256>[0-9a-f]{64})(?:\.[A-Za-z0-9]{1,8})?")


class Standing(StrEnum):
    CHECKED = "checked"  # it was looked at as it lies here
    NEW = "new"  # nothing was ever sent or run with it
    UPGRADED = "upgraded"  # of before it could be told: nothing speaks against it
    COPIED = "copied"  # it was looked at elsewhere: a copy of it may have been used since
    OLDER = "older"  # the asset store remembers more of it than it knows itself


@dataclass(frozen=True)
class Past:
    """What is to be looked at: the ledger, the store with its marker, and where the folders of runs are."""

    ledger: Ledger
    store: AssetStore
    service: str
    outs: tuple[Path, ...]

    @property
    def marked(self) -> MarkedStore:
        return MarkedStore(self.store.root)

    def standing(self) -> Standing:
        """Cheap: two looks into the ledger and one small file."""
        marker = self.marked.read()
        identity = self.ledger.identity()
        if marker is not None and marker.intents.get(identity, 0) > self.ledger.intents():
            return Standing.OLDER
        checked = self.ledger.checked_here()
        if checked is not None:
            return Standing.CHECKED if checked else Standing.COPIED
        if self.ledger.is_new():
            return Standing.NEW
        return Standing.COPIED if self._knows_others(identity) else Standing.UPGRADED

    def lacking(self, standing: Standing) -> list[PastRun]:
        """The runs whose folders know of paid work that the ledger lacks."""
        runs = not_in(self.ledger, past_runs_in(self.folders, self.service), self.service)
        if standing is Standing.UPGRADED:
            # Several ledgers may leave their runs in one folder: what this store has was this ledger's.
            return [run for run in runs if any(self.store.has(sha256) for sha256 in run.assets)]
        return runs

    @property
    def folders(self) -> list[Path]:
        """Where runs have left their folders, as far as is known."""
        known = [Path(run.out) for run in self.ledger.runs() if run.service == self.service]
        return list(dict.fromkeys(path.absolute() for path in (*self.outs, *known)))

    def store_knows_more(self, standing: Standing) -> bool:
        if standing is Standing.OLDER:
            return True
        if standing is not Standing.NEW:
            return False
        return self._knows_others(self.ledger.identity()) or self.store.holds_anything()

    def _knows_others(self, identity: str) -> bool:
        marker = self.marked.read()
        return marker is not None and any(count for name, count in marker.intents.items() if name != identity)

    def settle(self) -> None:
        """From now on the ledger counts as one that knows its past."""
        self.ledger.note_checked()
        self.marked.set_back(self.ledger.identity(), self.ledger.intents())

    def refuse_if_behind(self, standing: Standing) -> None:
        """Raises NeedsPerson where the store or the folders of past runs know more than the ledger."""
        known_by = []
        if self.store_knows_more(standing):
            known_by.append(f"the asset store {self.store.root}")
        lacking = self.lacking(standing)
        if lacking:
            runs = "1 run" if len(lacking) == 1 else f"{len(lacking)} runs"
            known_by.append(f"the folder of {runs} ({lacking[-1].folder})")
        if known_by:
            raise behind(" and ".join(known_by), self.outs)

    def unplaced(self, predictions: Iterable[Prediction]) -> list[Prediction]:
        """Those of the account's predictions that this program made, and neither the ledger nor a person knows of."""
        ours = [item for item in predictions if made_by_this_program(item)]
        ids = [item.id for item in ours]
        unknown = self.ledger.unknown_ids(self.service, ids) - self.ledger.dismissed(self.service, ids)
        return [item for item in ours if item.id in unknown]


def behind(known_by: str, outs: Sequence[Path]) -> NeedsPerson:
    options = "".join(f" --out {out}" for out in outs if out != Path("runs"))
    return NeedsPerson(
        f"the ledger knows less than {known_by}: it was lost, copied, or restored from an older copy, and would pay "
        f"again for what is paid for. Nothing was spent. Run `campaign reconcile{options}`, which takes over what they "
        "know, free of charge; then run the same command again"
    )


def unplaced_of_account(items: Sequence[Prediction], outs: Sequence[Path]) -> NeedsPerson:
    count = "1 prediction" if len(items) == 1 else f"{len(items)} predictions"
    return behind(f"the account's history, which shows {count} of this program's ({items[0].id})", outs)


def made_by_this_program(item: Prediction) -> bool:
    """By the names of its inputs; where the history does not show them, nobody can say."""
    return item.model in {request.model_id for request in REQUESTS.values()} and bool(inputs_shown(item))


def inputs_shown(item: Prediction) -> list[tuple[str, str]]:
    """The role and sha256 of each input, in the order of a generation's key; empty where one of them does not tell."""
    shown: list[tuple[str, str]] = []
    for role in ("image", "video", "images"):
        value = (item.input or {}).get(role)
        for url in _listed(value):
            name = _UPLOADED.fullmatch(_name(url))
            if name is None:
                return []
            shown.append((role, name["sha256"]))
    return shown


def settings_shown(item: Prediction) -> dict[str, Any]:
    return {name: value for name, value in (item.input or {}).items() if name not in _MEDIA_KEYS}


def _listed(value: object) -> Collection[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _name(url: object) -> str:
    try:
        return urlsplit(str(url)).path.rpartition("/")[2]
    except ValueError:
        return ""
