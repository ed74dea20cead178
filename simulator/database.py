"""The SQLite file behind the books: opened, configured, created, checked."""

import secrets
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from simulator.errors import BooksUnusable
from simulator.tables import SCHEMA_VERSION, account, metadata

FILE_NAME = "books.sqlite3"
_LOCK_WAIT_SECONDS = 30


def open_engine(home: Path, *, synchronous: str) -> Engine:
    """An engine on the books in ``home`` whose transactions take the write lock at once.

    ``synchronous`` is SQLite's: FULL survives a power cut, NORMAL only the death of the process.
    """
    engine = create_engine(f"sqlite:///{home / FILE_NAME}", connect_args={"timeout": _LOCK_WAIT_SECONDS})

    def configure(connection: object, _entry: ConnectionPoolEntry) -> None:
        # The driver's own transactions start only at the first write; ours are begun below.
        connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3.Connection, seen as any driver's
        connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]  # as above
        connection.execute(f"PRAGMA synchronous={synchronous}")  # type: ignore[attr-defined]  # as above

    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
    return engine


def prepare(engine: Engine, home: Path, *, starting_credit: int) -> None:
    """Creates what is missing: tables, and the one account with its credit. Raises BooksUnusable."""
    try:
        with engine.begin() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            if version not in {0, SCHEMA_VERSION}:
                raise BooksUnusable(
                    f"the simulator's books in {home} are of version {version}, this program keeps version "
                    f"{SCHEMA_VERSION}: use another folder, or the program that wrote them"
                )
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")
            secret = f"whsec_{secrets.token_urlsafe(32)}"
            opening = insert(account).values(id=1, balance=starting_credit, webhook_secret=secret)
            connection.execute(opening.on_conflict_do_nothing())
    except DBAPIError as error:
        raise BooksUnusable(f"the simulator's books in {home} cannot be used: {error.orig}") from error
