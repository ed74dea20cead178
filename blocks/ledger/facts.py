"""What is true of the ledger as a whole: who it is, how far it has come, and where it was when it was last checked."""

import sqlalchemy as sa

from blocks.ledger.database import Database
from blocks.ledger.part import Part
from blocks.ledger.tables import attempts, facts, runs

IDENTITY, SALT, INTENTS, PLACE = "identity", "salt", "intents", "place"


class Facts(Part):
    def identity(self) -> str:
        """Return the random name that all processes of this ledger know it by; a copy of it has the same."""
        return self._fact(IDENTITY)

    def intents(self) -> int:
        """Count the requests that were written down as intents: less than was seen before means an older copy."""
        return int(self._fact(INTENTS))

    def is_new(self) -> bool:
        """Look whether nothing has been sent or run by this ledger yet."""
        with self._database.read() as connection:
            return not any(
                connection.execute(sa.select(sa.exists().select_from(table))).scalar_one()
                for table in (runs, attempts)
            )

    def checked_here(self) -> bool | None:
        """Look whether it was checked as it lies here; None where it never was, False where it is a copy."""
        with self._database.read() as connection:
            known = _value(connection, PLACE)
            return None if known is None else known == place_of(self._database, connection)

    def note_checked(self) -> None:
        """Note that everything known of its past is in it, as it lies here."""
        with self._database.write() as connection:
            self._note_place(connection, place_of(self._database, connection))

    def note_unchecked(self) -> None:
        """Note that it lacks something of its past, until ``note_checked``."""
        with self._database.write() as connection:
            self._note_place(connection, "")

    def _note_place(self, connection: sa.Connection, place: str) -> None:
        self._database.insert_missing(connection, facts, [{"name": PLACE, "value": place}])
        connection.execute(sa.update(facts).where(facts.c.name == PLACE).values(value=place))

    def _fact(self, name: str) -> str:
        with self._database.read() as connection:
            value = _value(connection, name)
        assert value is not None  # the migration has made it
        return value


def count_intent(connection: sa.Connection) -> None:
    """Within the transaction of an intent, and last in it: all intents wait for each other here."""
    one_more = sa.cast(sa.cast(facts.c.value, sa.BigInteger) + 1, sa.Text)
    connection.execute(sa.update(facts).where(facts.c.name == INTENTS).values(value=one_more))


def _value(connection: sa.Connection, name: str) -> str | None:
    value: str | None = connection.execute(
        sa.select(facts.c.value).where(facts.c.name == name)
    ).scalar_one_or_none()
    return value


def place_of(database: Database, connection: sa.Connection) -> str:
    """Tell a ledger from its copies, for as long as both are there: a file that was moved stays the same one."""
    if database.is_sqlite:
        return str(database.path.stat().st_ino)
    found = connection.exec_driver_sql(
        "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || 'facts'::regclass::oid"
    ).scalar_one()
    return str(found)
