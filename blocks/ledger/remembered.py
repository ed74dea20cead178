"""What the bytes at a remote input's address were: by that, paid work is found when the address has expired.

An address may hold a signature that lets anybody read what is there, so only its hash is kept.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from blocks.ledger.part import Part
from blocks.ledger.tables import remembered_inputs as table


@dataclass(frozen=True)
class RememberedInput:
    """``kind`` is what the input was read as, such as ``clip``; ``facts`` are what was found out about it then."""

    sha256: str
    kind: str
    facts: Mapping[str, Any]
    read_at: datetime


class Remembered(Part):
    def remember_inputs(self, inputs: Sequence[tuple[str, str, str, Mapping[str, Any]]]) -> None:
        """Note what was read: address, kind, sha256 and facts of each, in place of what was known before."""
        if not inputs:
            return
        with self._database.write() as connection:
            now = self._database.now(connection)
            # Sorted: two runs that remember the same must not wait for each other in a circle.
            for address, kind, sha256, facts in sorted(inputs, key=lambda one: one[:2]):
                place = {"address_sha256": _hash_of(address), "kind": kind}
                values = {"sha256": sha256, "facts": dict(facts), "read_at": now}
                self._database.insert_missing(connection, table, [place | values])
                connection.execute(
                    sa.update(table)
                    .where(table.c.address_sha256 == place["address_sha256"], table.c.kind == kind)
                    .values(**values)
                )

    def remembered_input(self, address: str, kind: str) -> RememberedInput | None:
        """Find what a run read at this address last."""
        query = sa.select(table.c.sha256, table.c.kind, table.c.facts, table.c.read_at).where(
            table.c.address_sha256 == _hash_of(address), table.c.kind == kind
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RememberedInput(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def _hash_of(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()
