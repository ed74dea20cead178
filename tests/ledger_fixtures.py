"""Ledgers to test with: on SQLite, and on a PostgreSQL server that is started for the tests."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from postgresql_server import PostgreSQLServer

from blocks.ledger import Ledger


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Path]:
    """Start a server for all tests; its folder is given."""
    server = PostgreSQLServer()
    try:
        yield server.folder
    finally:
        server.remove()


@pytest.fixture
def postgresql_url(postgresql: Path) -> str:
    """Make an empty schema on the server."""
    schema = f"ledger_{uuid4().hex}"
    with psycopg.connect(f"host={postgresql} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"postgresql://postgres@/postgres?host={postgresql}&options=-csearch_path%3D{schema}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger.open(ledger_url) as opened:
        yield opened
