"""Opening a ledger: is it there, is it sound, is it of this version; and bringing it to this version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from blocks.errors import LedgerUnusable
from blocks.ledger.database import Database
from blocks.ledger.tables import NEWEST_VERSION, VERSION_TABLE, metadata

# Any number will do that nobody else uses: an advisory lock's name in a PostgreSQL database.
_MIGRATION_LOCK = 0x6B6C_696E_6701
_MIGRATION_SECONDS = 120


def exists(database: Database) -> bool:
    """Look whether there is something to open; create nothing."""
    if database.is_sqlite:
        return database.path.is_file() and database.path.stat().st_size > 0
    return database.patience.work(lambda: _has_version(database))


def prepare(database: Database) -> None:
    """Leave a writable ledger of this version behind, or raise LedgerUnusable."""
    patiently = database.patience.work
    if database.is_sqlite:
        _require_folder(database)
    if not exists(database) or not patiently(lambda: _is_current(database)):
        with _one_migration_at_a_time(database):
            patiently(lambda: _migrate(database))
    patiently(lambda: _require_writable(database))


def check(database: Database) -> None:
    """Read the whole SQLite file once: damage is to be found before money is spent by it."""
    if not database.is_sqlite:
        return
    with database.read() as connection:
        findings = connection.exec_driver_sql("PRAGMA quick_check(1)").scalars().all()
    if findings != ["ok"]:
        raise LedgerUnusable(
            f"the ledger {database.place} is damaged; restore it from a backup, "
            f"then run `campaign reconcile` ({'; '.join(map(str, findings))})"
        )


def _require_folder(database: Database) -> None:
    folder = database.path.parent
    try:
        # One level only: where more is missing, a disk may not be mounted, and an empty ledger pays again.
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(
            f"the ledger's folder {folder} cannot be made ({error.strerror}); create it, "
            "or correct CAMPAIGN_HOME or CAMPAIGN_LEDGER_URL"
        ) from error


def _has_version(database: Database) -> bool:
    with database.read() as connection:
        return _version(connection) is not None


def _version(connection: sa.Connection) -> str | None:
    """None where there are no tables of ours yet."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
    ).scalar_one_or_none()
    return version


def _is_current(database: Database) -> bool:
    with database.read() as connection:
        if _version(connection) != NEWEST_VERSION:
            return False
        # A ledger that was copied by another tool may have lost this; it is kept in the file.
        return not database.is_sqlite or connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def _require_writable(database: Database) -> None:
    with database.write() as connection:
        if database.is_sqlite:
            return  # BEGIN IMMEDIATE has found out already
        if connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on":
            raise LedgerUnusable(f"the ledger {database.place} is read-only; connect to the primary server")


@contextmanager
def _one_migration_at_a_time(database: Database) -> Iterator[None]:
    """Between processes. On PostgreSQL the migration's own transaction takes a lock instead."""
    if not database.is_sqlite:
        yield
        return
    path = database.path
    try:
        with FileLock(path.with_name(path.name + ".lock"), timeout=_MIGRATION_SECONDS):
            yield
    except Timeout as error:
        raise LedgerUnusable(
            f"the ledger {path} is being brought to a new version by another process; wait, then run the "
            "command again"
        ) from error
    except OSError as error:
        raise LedgerUnusable(
            f"the ledger's folder {path.parent} cannot be written ({error.strerror}); make it writable"
        ) from error


def _migrate(database: Database) -> None:
    # Alembic takes a while to import, and hardly any start needs it.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    # ConfigParser takes a percent sign for the start of a substitution.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}

    if database.is_sqlite:
        _set_wal(database)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        version = _version(connection)
        if version is not None and version not in known:
            raise LedgerUnusable(
                f"the ledger {database.place} was written by a newer version of this program (its version "
                f"is {version}, this program knows {NEWEST_VERSION}); install that version, or use another "
                "CAMPAIGN_HOME"
            )
        taken = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
        if version is None and taken:
            raise LedgerUnusable(
                f"{database.place} already holds other tables named {', '.join(sorted(taken))}; "
                "give the ledger a database or schema of its own"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _set_wal(database: Database) -> None:
    """Not possible within a transaction, hence on the driver's connection. The file remembers it."""
    with database.outside_transactions() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
    if mode != "wal":
        raise LedgerUnusable(
            f"the ledger {database.place} cannot be written safely where it is (the file system refuses "
            "SQLite's write-ahead log); put CAMPAIGN_HOME on a local disk, or use PostgreSQL"
        )
