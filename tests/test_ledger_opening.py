"""Opening a ledger: fresh, by many at once, damaged, locked, read-only, somebody else's, newer."""

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from ledger_support import ROOT, Worker, python, start_run, work_named

from blocks.errors import LedgerUnusable
from blocks.ledger import Ledger
from blocks.ledger.database import parse_url
from blocks.ledger.tables import NEWEST_VERSION, VERSION_TABLE, metadata

pytest_plugins = ("ledger_fixtures",)

NOBODY = 65534


def test_the_migrations_build_the_tables(ledger: Ledger) -> None:
    with ledger._database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, metadata) == []


def test_the_migrations_build_the_constraints_too(sqlite_url: str, tmp_path: Path) -> None:
    Ledger.open(sqlite_url).close()
    by_metadata = sa.create_engine(f"sqlite:///{tmp_path / 'metadata.sqlite3'}")
    metadata.create_all(by_metadata)
    by_metadata.dispose()

    def definitions(path: Path) -> dict[str, list[str]]:
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        connection.close()
        tables = {name: " ".join(sql.split()).removesuffix(")").strip() for name, sql in rows}
        tables.pop(VERSION_TABLE, None)
        # The order of a table's columns and constraints means nothing.
        return {name: sorted(re.split(r", (?![^(]*\))", sql)) for name, sql in tables.items()}

    assert definitions(tmp_path / "ledger.sqlite3") == definitions(tmp_path / "metadata.sqlite3")


def test_the_newest_version_is_the_last_migration() -> None:
    scripts = ScriptDirectory(str(ROOT / "blocks" / "ledger" / "migrations"))
    assert scripts.get_current_head() == NEWEST_VERSION


def test_sqlite_is_set_up_to_lose_nothing(sqlite_url: str) -> None:
    with Ledger.open(sqlite_url) as ledger, ledger._database.write() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_postgresql_is_set_up_to_lose_nothing(postgresql_url: str) -> None:
    with Ledger.open(postgresql_url) as ledger, ledger._database.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


OPEN = """
from blocks.ledger import Ledger
from ledger_support import start_run
print("ready", flush=True)
sys.stdin.readline()
with Ledger.open(sys.argv[1]) as ledger:
    print(start_run(ledger))
"""


def test_a_fresh_ledger_opened_by_four_processes_at_once(ledger_url: str) -> None:
    processes = [python(OPEN, ledger_url) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outcomes = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outcomes
    with Ledger.open(ledger_url) as ledger:
        assert {run.id for run in ledger.runs()} == {out.strip() for out, _ in outcomes}


def test_planning_makes_nothing(ledger_url: str, tmp_path: Path) -> None:
    assert Ledger.open_if_exists(ledger_url) is None
    assert list(tmp_path.iterdir()) == []
    with Ledger.open(ledger_url) as ledger:
        run_id = start_run(ledger)
    existing = Ledger.open_if_exists(ledger_url)
    assert existing is not None
    with existing:
        assert existing.run("latest").id == run_id


def test_planning_goes_on_while_another_writes(sqlite_url: str) -> None:
    with Ledger.open(sqlite_url) as ledger:
        run_id = start_run(ledger)
        with ledger._database.write():
            pass
        with ledger._database.read():  # a long look does not stop a writer either
            start_run(ledger)
        assert ledger.runs()[-1].id == run_id


def test_a_newer_ledger_is_left_alone(ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger, ledger._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9000'")
    for opening in (Ledger.open, Ledger.open_if_exists):
        with pytest.raises(LedgerUnusable, match="newer version") as refused:
            opening(ledger_url)
        assert "9000" in str(refused.value)


def test_somebody_elses_tables_are_left_alone(ledger_url: str) -> None:
    engine = sa.create_engine(parse_url(ledger_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (id integer)")
    with pytest.raises(LedgerUnusable, match="of its own"):
        Ledger.open(ledger_url)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["runs"]
    engine.dispose()


def test_a_file_that_is_no_database(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"<html>Bad gateway</html>" * 100)
    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite3 is damaged.*backup"):
        Ledger.open(sqlite_url)


def test_damage_in_the_middle_is_found_before_anything_is_paid(sqlite_url: str, tmp_path: Path) -> None:
    with Ledger.open(sqlite_url) as ledger:
        worker = Worker.of(ledger)
        for number in range(200):
            worker.claim(work_named(f"{number} " + "x" * 500))
    path = tmp_path / "ledger.sqlite3"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(LedgerUnusable, match=r"is damaged.*backup"):
        Ledger.open(sqlite_url)


def test_a_locked_ledger(sqlite_url: str, tmp_path: Path) -> None:
    with Ledger.open(sqlite_url, busy_seconds=0.1) as ledger:
        other = sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnusable, match="is locked"):
            start_run(ledger)
        with pytest.raises(LedgerUnusable, match="is locked"):
            Ledger.open(sqlite_url, busy_seconds=0.1)
        assert ledger.runs() == []
        other.execute("ROLLBACK")
        other.close()
        start_run(ledger)


def test_a_full_disk(sqlite_url: str) -> None:
    with Ledger.open(sqlite_url) as ledger:
        start_run(ledger)
        with ledger._database.outside_transactions() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        run_id = ledger.run("latest").id
        with pytest.raises(LedgerUnusable, match="disk is full"):
            ledger.end_run(run_id, exit_status=0, record_json="x" * 1_000_000)
        assert ledger.run(run_id).ended_at is None


@pytest.fixture
def others_folder() -> Iterator[Path]:
    """Give a folder that the process may not write, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Ledger.open(f"sqlite:///{folder / 'ledger.sqlite3'}") as ledger:
            start_run(ledger)
        root = os.geteuid() == 0
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_read_only_ledger(others_folder: Path) -> None:
    with pytest.raises(LedgerUnusable, match="writ"):
        Ledger.open(f"sqlite:///{others_folder / 'ledger.sqlite3'}")


def test_a_folder_that_cannot_be_written(others_folder: Path) -> None:
    with pytest.raises(LedgerUnusable, match="writ"):
        Ledger.open(f"sqlite:///{others_folder / 'new.sqlite3'}")
    with pytest.raises(LedgerUnusable, match="cannot be made"):
        Ledger.open(f"sqlite:///{others_folder / 'new' / 'ledger.sqlite3'}")


def test_the_folder_is_made_but_no_tree_of_folders(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite3'}").close()
    assert (tmp_path / "home" / "ledger.sqlite3").is_file()
    with pytest.raises(LedgerUnusable, match="create it, or correct CAMPAIGN_HOME"):
        Ledger.open(f"sqlite:///{tmp_path / 'not' / 'mounted' / 'ledger.sqlite3'}")
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.sqlite3",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@h/d",
        "nonsense://u:secret@h",
    ],
)
def test_what_is_no_address_of_a_ledger(url: str) -> None:
    with pytest.raises(LedgerUnusable, match="right would be sqlite:///") as refused:
        Ledger.open(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_is_not_there_and_no_password_in_its_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="cannot be reached") as refused:
        Ledger.open(f"postgresql://user:secret@/ledger?host={tmp_path}")
    assert "secret" not in str(refused.value)


def test_a_database_that_is_not_there(postgresql: Path) -> None:
    with pytest.raises(LedgerUnusable, match=r"cannot be reached.*nowhere"):
        Ledger.open(f"postgresql+psycopg://postgres@/nowhere?host={postgresql}")


def test_a_read_only_server(postgresql_url: str) -> None:
    Ledger.open(postgresql_url).close()
    with pytest.raises(LedgerUnusable, match="read-only"):
        Ledger.open(f"{postgresql_url}%20-cdefault_transaction_read_only%3Don")
