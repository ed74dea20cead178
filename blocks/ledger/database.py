"""The ledger's connection: engines, transactions, one clock, and database errors in words for people."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from blocks.errors import LedgerUnusable
from blocks.ledger.sessions import Patience, SessionEnded, is_end_of_session, pauses

Clock = Callable[[], datetime]


class Database:
    """One ledger's database. ``place`` names it for people, without a password.

    ``clock`` replaces the ledger's clock in tests. ``reconnect_seconds`` is how long a server that was there, and is
    gone, is waited for.
    """

    def __init__(
        self, url: URL, *, busy_seconds: float, clock: Clock | None, reconnect_seconds: float
    ) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.place = (url.database or "") if self.is_sqlite else url.render_as_string(hide_password=True)
        self._clock = clock
        self.engine = _sqlite_engine(url, busy_seconds) if self.is_sqlite else _postgresql_engine(url)
        self.patience = Patience(reconnect_seconds)
        self._was_reached = False

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "").absolute()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One snapshot (PostgreSQL: one a statement); waits for no writer."""
        with self._in_words(), self._session() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, on disk when the block has been left. SQLite has one writer at a time.

        Raises SessionEnded where it certainly was not committed since the session ended, and LedgerUnusable where
        nobody can say whether it was.
        """
        with self._in_words(), self._session() as connection:
            connection.execution_options(ledger_begin="BEGIN IMMEDIATE")
            with connection.begin() as transaction:
                yield connection
                self._commit(connection, transaction)
        self.patience.committed()

    @contextmanager
    def outside_transactions(self) -> Iterator[sa.Connection]:
        """For the statements of SQLite that cannot stand in a transaction."""
        with self._in_words(), self._session() as connection:
            connection.execution_options(ledger_begin="")
            yield connection

    def checkpoint(self) -> None:
        """Bring SQLite's main file up to date with its log, as far as nobody has to wait for it."""
        if self.is_sqlite:
            with self.outside_transactions() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def now(self, connection: sa.Connection) -> datetime:
        """Read the ledger's clock: the database server's where machines share it, else this machine's."""
        if self._clock is not None:
            return self._clock()
        if self.is_sqlite:
            return datetime.now(UTC)
        moment: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    def insert_missing(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert the rows whose primary key is not there yet."""
        if rows:
            insert = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
            connection.execute(insert.on_conflict_do_nothing(), rows)

    @contextmanager
    def _session(self) -> Iterator[sa.Connection]:
        try:
            connection = self.engine.connect()
        except DBAPIError as error:
            # A server that was never reached may have another address, or not take this password.
            if not self.is_sqlite and (self._was_reached or is_end_of_session(error)):
                raise SessionEnded(explain(error, self.place, is_sqlite=self.is_sqlite)) from error
            raise
        self._was_reached = not self.is_sqlite
        with connection:
            try:
                yield connection
            except DBAPIError as error:
                if not self.is_sqlite and is_end_of_session(error) and not connection.invalidated:
                    connection.invalidate(error)  # also where the driver has not noticed yet
                raise

    def _commit(self, connection: sa.Connection, transaction: sa.Transaction) -> None:
        number = None if self.is_sqlite else connection.execute(_NUMBER).scalar_one()
        try:
            transaction.commit()
        except DBAPIError as error:
            if self.is_sqlite or not is_end_of_session(error) or number is None:
                raise
            if not self._was_committed(number, error):
                raise

    def _was_committed(self, number: int, lost: DBAPIError) -> bool:
        """Ask the server what became of a transaction that was told to commit before its session ended.

        Raises LedgerUnusable where it does not say within the patience.
        """
        ends = time.monotonic() + self.patience.seconds
        for pause in pauses():
            status: str | None = "in progress"
            try:
                with self.engine.connect() as connection, connection.begin():
                    status = connection.execute(_STATUS, {"number": number}).scalar_one()
            except DBAPIError as error:
                if error.orig is not None and getattr(error.orig, "sqlstate", None) == _IN_THE_FUTURE:
                    status = None  # of another server, which took this one's place and has not seen it
            if status in ("committed", "aborted"):
                return status == "committed"
            if status is None or time.monotonic() + pause > ends:
                break
            time.sleep(pause)
        raise LedgerUnusable(
            f"the session with the ledger {self.place} ended while a step was written, and the server does not say "
            "whether it was; run the same command again: it goes on from what is there"
        ) from lost

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # a constraint did its work: the caller knows which and why
        except DBAPIError as error:
            ended = not self.is_sqlite and is_end_of_session(error)
            kind = SessionEnded if ended else LedgerUnusable
            raise kind(explain(error, self.place, is_sqlite=self.is_sqlite)) from error

    def close(self) -> None:
        self.engine.dispose()


def parse_url(url: str) -> URL:
    """Parse a ledger's address. Raises LedgerUnusable where it is none."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend == "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite")
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise LedgerUnusable(_BAD_ADDRESS) from error
    raise LedgerUnusable(_BAD_ADDRESS)


# The address is not repeated: it may hold a password.
_BAD_ADDRESS = (
    "CAMPAIGN_LEDGER_URL is not the address of a ledger: right would be sqlite:///folder/ledger.sqlite3 "
    "or postgresql+psycopg://user@host/database"
)


def _sqlite_engine(url: URL, busy_seconds: float) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"timeout": busy_seconds},
        json_serializer=json.dumps,
        hide_parameters=True,
        max_overflow=-1,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin transactions by its own rules
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")  # in WAL mode anything less may lose the last commits

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and then writes could find another writer in its way only when
        # it writes; one that begins IMMEDIATE waits its turn at the start.
        statement = connection.get_execution_options().get("ledger_begin", "BEGIN")
        if statement:
            connection.exec_driver_sql(statement)

    return engine


# The transaction's number where it has written anything; nothing is lost with one that has not.
_NUMBER = sa.text("SELECT txid_current_if_assigned()")
_STATUS = sa.text("SELECT txid_status(:number)")
_IN_THE_FUTURE = "22023"
# So that a network that drops without a word is noticed, on this side and on the server's, which holds the locks.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


def _postgresql_engine(url: URL) -> sa.Engine:
    wanted = {"connect_timeout": 10, "tcp_user_timeout": 30_000, **_KEEPALIVE}
    engine = sa.create_engine(
        url,
        # What the address itself says is right.
        connect_args={name: value for name, value in wanted.items() if name not in url.query},
        json_serializer=json.dumps,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        max_overflow=-1,
        pool_pre_ping=True,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            # A server may be set up to acknowledge commits that are not on disk yet.
            cursor.execute("SET synchronous_commit = on")
            cursor.execute("SET lock_timeout = '30s'")
            for name, value in _KEEPALIVE.items():
                cursor.execute(f"SET tcp_{name} = {value}")
        connection.commit()

    return engine


_SQLITE_REASONS = (
    ("SQLITE_BUSY", "is locked by another program; end it, or wait and run the command again"),
    ("SQLITE_LOCKED", "is locked by another program; end it, or wait and run the command again"),
    ("SQLITE_CORRUPT", "is damaged; restore it from a backup, then run `campaign reconcile`"),
    (
        "SQLITE_NOTADB",
        "is damaged or no ledger at all; restore it from a backup or correct CAMPAIGN_LEDGER_URL",
    ),
    ("SQLITE_READONLY", "is read-only; make the file and its folder writable"),
    ("SQLITE_PERM", "may not be used by this user; make the file and its folder writable"),
    ("SQLITE_CANTOPEN", "cannot be opened; make sure that its folder exists and that both can be written"),
    ("SQLITE_FULL", "has no room: the disk is full; free some space and run the command again"),
    (
        "SQLITE_IOERR",
        "cannot be read or written: the disk reports an error; check it, then run the command again",
    ),
    (
        "SQLITE_ERROR",
        "does not have the tables of a ledger; restore it from a backup or correct CAMPAIGN_LEDGER_URL",
    ),
)
_POSTGRESQL_REASONS = (
    ("28", "refuses this user or password; correct CAMPAIGN_LEDGER_URL"),
    ("3D", "does not exist; create the database or correct CAMPAIGN_LEDGER_URL"),
    ("25006", "is read-only; connect to the primary server"),
    ("42501", "does not let this user create or change tables; grant it that"),
    ("42P07", "already holds other tables of the same name; give the ledger a database or schema of its own"),
    ("42", "does not have the tables of a ledger; give the ledger a database or schema of its own"),
    ("53100", "has no room: the server's disk is full; free some space and run the command again"),
    ("55P03", "is locked by another program; end it, or wait and run the command again"),
    ("40", "could not finish a transaction beside another one; run the command again"),
    ("XX", "is damaged; restore it from a backup, then run `campaign reconcile`"),
)


def explain(error: DBAPIError, place: str, *, is_sqlite: bool) -> str:
    """One sentence: which ledger, what is wrong, what to do; the driver's own words at the end."""
    cause = error.orig
    own_words = " ".join(str(cause).split())
    if is_sqlite:
        code = getattr(cause, "sqlite_errorname", None) or ""
        reasons, fallback = (
            _SQLITE_REASONS,
            "cannot be used; make sure that it is a ledger and can be written",
        )
    else:
        code = getattr(cause, "sqlstate", None) or ""
        reasons = _POSTGRESQL_REASONS
        fallback = "cannot be reached; make sure that the server runs, then run the command again"
    advice = next((text for start, text in reasons if code.startswith(start)), fallback)
    return f"the ledger {place} {advice} ({own_words})"
