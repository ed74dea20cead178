"""The asset stores that work with this ledger, and which of them has the bytes of what was paid for."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from blocks.ledger import owners as who
from blocks.ledger.part import Part, chunks
from blocks.ledger.tables import generation_assets, generations, holdings, owners, stores


@dataclass(frozen=True)
class OtherStore:
    """A store on another machine that has, or may have, what is missing here. ``place`` is its folder there."""

    host: str
    place: str


class Stores(Part):
    def register_store(self, store: str, place: str) -> None:
        """Note that the asset store of this id works with the ledger, from this machine, at this place."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            values = {"host": _host(), "place": place, "seen_at": now}
            self._database.insert_missing(connection, stores, [{"id": store, **values}])
            connection.execute(sa.update(stores).where(stores.c.id == store).values(**values))

    def note_holding(self, key: str, store: str) -> None:
        """Note that the store has every byte of a piece of work."""
        query = sa.select(sa.exists().where(holdings.c.generation_key == key, holdings.c.store == store))
        with self._database.read() as connection:
            if connection.execute(query).scalar_one():
                return
        with self._database.write() as connection:
            self._database.insert_missing(connection, holdings, [{"generation_key": key, "store": store}])

    def note_lost(self, key: str, store: str) -> None:
        """Note that the store lacks something of a piece of work."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(holdings).where(holdings.c.generation_key == key, holdings.c.store == store)
            )

    def others_that_may_have(self, keys: Collection[str], store: str) -> dict[str, OtherStore]:
        """Find, by key, a store of another machine that has the work; or may have it, where nobody noted who has.

        Work that was never kept is in none.
        """
        found: dict[str, OtherStore] = {}
        with self._database.read() as connection:
            elsewhere = {
                row.id: OtherStore(row.host, row.place)
                for row in connection.execute(sa.select(stores).order_by(stores.c.seen_at))
                if row.id != store and row.host != _host()
            }
            hosts = {_short(host) for host in connection.execute(sa.select(owners.c.host)).scalars()}
            anybody = next(
                reversed(elsewhere.values()),
                next((OtherStore(host, "") for host in sorted(hosts - {_host()})), None),
            )
            if anybody is None:
                return {}
            for chunk in chunks(keys):
                query = (
                    sa.select(generations.c.key, holdings.c.store)
                    .select_from(
                        generations.outerjoin(holdings, holdings.c.generation_key == generations.c.key)
                    )
                    .where(
                        generations.c.key.in_(chunk),
                        sa.exists().where(generation_assets.c.generation_key == generations.c.key),
                    )
                )
                noted: dict[str, list[str | None]] = {}
                for row in connection.execute(query):
                    noted.setdefault(row.key, []).append(row.store)
                for key, holders in noted.items():
                    if holders == [None]:
                        found[key] = anybody
                    elif has := [elsewhere[one] for one in holders if one in elsewhere]:
                        found[key] = has[-1]
        return found


def _host() -> str:
    return _short(who._host())  # noqa: SLF001 - of this package, and replaced by tests


def _short(host: str) -> str:
    """Without the boot and the process numbering: what is on the disk outlives them."""
    return host.partition("/")[0]
