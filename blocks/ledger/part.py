"""What the parts of the ledger share: the database, the leases that this object holds, rows as records."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from blocks.ledger.database import Database
from blocks.ledger.records import AttemptRow, AttemptState, LeaseLost, Reply
from blocks.ledger.sessions import make_patient
from blocks.ledger.tables import attempts, generations

# Databases limit how many values one statement may carry.
_CHUNK = 500


@dataclass(frozen=True)
class HeldLease:
    owner: str
    token: str


class Part:
    """``_leases`` are the leases that were granted through this object, by generation key.

    They are the fence: a process that slept through the end of its lease still believes that the work is its
    own, but what it does then meets another token in the database and is refused.

    Every public method is one transaction, and done again on a fresh session where its own ended before it committed.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        make_patient(cls)

    def __init__(self, database: Database) -> None:
        self._database = database
        self.patience = database.patience
        self._leases: dict[str, HeldLease] = {}

    def _token(self, key: str) -> str | None:
        lease = self._leases.get(key)
        return lease.token if lease else None

    def _require_lease(self, generation: sa.Row[Any]) -> str:
        """Give the token of this object's lease; raise LeaseLost where the lease is another's by now."""
        token = self._token(generation.key)
        if token is None or token != generation.lease_token:
            raise lease_lost(generation.key)
        return token

    def _locked_generation(self, connection: sa.Connection, key: str) -> sa.Row[Any]:
        """Lock the generation's row: everything about one piece of work happens one after another."""
        row = connection.execute(
            sa.select(generations).where(generations.c.key == key).with_for_update()
        ).one_or_none()
        if row is None:
            raise LookupError(f"the ledger has no generation {key}")
        return row

    def _locked_attempt(self, connection: sa.Connection, attempt_id: int) -> tuple[sa.Row[Any], AttemptRow]:
        """Lock an attempt and its generation in the order that everyone keeps to: the generation first."""
        key = connection.execute(
            sa.select(attempts.c.generation_key).where(attempts.c.id == attempt_id)
        ).scalar_one_or_none()
        if key is None:
            raise LookupError(f"the ledger has no attempt {attempt_id}")
        generation = self._locked_generation(connection, key)
        row = connection.execute(
            sa.select(attempts).where(attempts.c.id == attempt_id).with_for_update()
        ).one()
        return generation, attempt_from(row)


def lease_lost(key: str) -> LeaseLost:
    return LeaseLost(f"the work {key[:12]}… is not (or no longer) this process's: another one took it over")


def attempt_from(row: sa.Row[Any]) -> AttemptRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values["state"] = AttemptState(values["state"])
    values["reply"] = None if values["reply"] is None else Reply(values["reply"])
    for name in ("input_sha256s", "outputs", "nsfw"):
        values[name] = tuple(values[name] or ())
    return AttemptRow(**values)


def update_attempt(connection: sa.Connection, attempt_id: int, values: dict[str, Any]) -> AttemptRow:
    changed = sa.update(attempts).where(attempts.c.id == attempt_id).values(**values).returning(*attempts.c)
    return attempt_from(connection.execute(changed).one())


def chunks(values: Iterable[str]) -> Iterator[Sequence[str]]:
    iterator = iter(dict.fromkeys(values))
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def plain(text: str) -> str:
    """Text from outside, without what a database cannot keep: NUL and lone surrogates."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def day_start(moment: datetime) -> datetime:
    """UTC midnight."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
