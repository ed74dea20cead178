"""Ledgers to test with: on SQLite, and on a PostgreSQL server that is started for the tests."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from blocks.ledger import Ledger

STARTS_WITHIN_SECONDS = 30.0


def postgresql_programs() -> Path:
    """Find the folder with ``initdb`` and ``postgres``; fail where there is none."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.fail(
        "the ledger's tests need PostgreSQL's server programs, initdb and postgres; "
        "install them (Debian: apt-get install postgresql) and run the tests again"
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Path]:
    """Start a server on a socket in a temporary folder, which is given; its user is ``postgres``."""
    programs = postgresql_programs()
    # PostgreSQL refuses to run as root. The path is short because a socket's may have 107 characters.
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": "postgres", "group": "postgres", "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-"))
    if account:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    make = f"{programs}/initdb -D {data} -U postgres -A trust --no-sync -E UTF8 --locale=C".split()
    made = subprocess.run(make, capture_output=True, text=True, check=False, cwd=folder, **account)
    if made.returncode != 0:
        pytest.fail(f"initdb failed: {made.stderr}")
    start = f"{programs}/postgres -D {data} -k {folder} -c listen_addresses= -c fsync=off".split()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(start, stderr=log, cwd=folder, **account)
    try:
        _wait_for(folder, server)
        yield folder
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        shutil.rmtree(folder)


def _wait_for(folder: Path, server: "subprocess.Popen[Any]") -> None:
    ends = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        try:
            psycopg.connect(f"host={folder} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > ends:
                pytest.fail(f"postgres did not start: {(folder / 'log').read_text()}")
            time.sleep(0.05)
        else:
            return


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
