"""Results that a person wants dropped: the work is open again, and the books stay as they are."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from blocks.ledger.claims import stored_generations
from blocks.ledger.owners import is_alive
from blocks.ledger.part import Part, chunks
from blocks.ledger.records import AttemptState, StoredGeneration
from blocks.ledger.tables import LIVING_STATES, attempts, generation_assets, generations, owners

_PAID = (AttemptState.STORED,)


@dataclass(frozen=True)
class KeptResult:
    """A stored generation, what it cost after refunds (millionths of a dollar), failed attempts too, and what hinders.

    ``needed_by`` is the stage of work under way that was given one of its pictures; None where there is none.
    """

    generation: StoredGeneration
    charged: int
    needed_by: str | None


class Forgetting(Part):
    def kept_results(self) -> list[KeptResult]:
        """List everything that is paid for and kept, the oldest first."""
        with self._database.read() as connection:
            keys = connection.execute(
                sa.select(generations.c.key)
                .where(generations.c.state == "stored")
                .order_by(generations.c.stored_at, generations.c.key)
            ).scalars()
            found = stored_generations(connection, list(keys))
            charged = _charged(connection)
            needed = _given_to_living(connection)
        return [
            KeptResult(
                generation,
                charged.get(key, 0),
                next((needed[asset.sha256] for asset in generation.assets if asset.sha256 in needed), None),
            )
            for key, generation in found.items()
        ]

    def is_anyone_at_work(self) -> bool:
        """Look whether a run is under way, on this machine or another."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            return any(is_alive(row, now) for row in connection.execute(sa.select(owners)))

    def forget(self, keys: Iterable[str]) -> frozenset[str]:
        """Open stored work again, to be paid for anew; return the sha256 of the bytes that nothing stored needs now.

        Attempts and what they cost stay. Bytes that another stored generation has too are still needed, and
        those that work under way was given. Keys that are not stored are passed over.
        """
        dropped: set[str] = set()
        with self._database.write() as connection:
            for chunk in chunks(keys):
                wanted = (
                    sa.select(generations.c.key)
                    .where(generations.c.key.in_(chunk), generations.c.state == "stored")
                    .with_for_update()
                )
                stored = connection.execute(wanted).scalars().all()
                here = generation_assets.c.generation_key.in_(stored)
                dropped |= set(
                    connection.execute(sa.select(generation_assets.c.sha256).where(here)).scalars()
                )
                connection.execute(sa.delete(generation_assets).where(here))
                connection.execute(
                    sa.update(generations)
                    .where(generations.c.key.in_(stored))
                    .values(state="open", stored_at=None, stored_by_run=None)
                )
            still_needed = set(_given_to_living(connection))
            for chunk in chunks(dropped):
                query = sa.select(generation_assets.c.sha256).where(generation_assets.c.sha256.in_(chunk))
                still_needed |= set(connection.execute(query).scalars())
        return frozenset(dropped - still_needed)

    def find_forgotten(self, keys: Iterable[str]) -> frozenset[str]:
        """Find work that was paid for and kept once, and is open all the same.

        Only ``forget`` leaves that behind: a result whose bytes are lost has its attempt ``completed`` again.
        """
        found: set[str] = set()
        with self._database.read() as connection:
            for chunk in chunks(keys):
                query = sa.select(generations.c.key).where(
                    generations.c.key.in_(chunk),
                    generations.c.state == "open",
                    sa.exists().where(
                        attempts.c.generation_key == generations.c.key, attempts.c.state.in_(_PAID)
                    ),
                )
                found |= set(connection.execute(query).scalars())
        return frozenset(found)


def _charged(connection: sa.Connection) -> dict[str, int]:
    """By key, what was paid for the result that is kept now: not for one that was forgotten before it."""
    query = sa.select(
        attempts.c.generation_key, attempts.c.state, attempts.c.charged, attempts.c.refunded
    ).order_by(attempts.c.generation_key, attempts.c.number)
    kept: dict[str, int] = {}
    since: dict[str, int] = defaultdict(int)
    for row in connection.execute(query):
        since[row.generation_key] += (row.charged or 0) - row.refunded
        if row.state == AttemptState.STORED:
            kept[row.generation_key] = since.pop(row.generation_key)
    return kept


def _given_to_living(connection: sa.Connection) -> dict[str, str]:
    """By sha256, the stage of an attempt under way that was given these bytes."""
    query = (
        sa.select(generations.c.stage, generations.c.inputs)
        .join(attempts, attempts.c.generation_key == generations.c.key)
        .where(sa.text(f"attempts.state IN ({LIVING_STATES})"))
    )
    return {given["sha256"]: row.stage for row in connection.execute(query) for given in row.inputs}
