"""PostgreSQL servers to test with, each in a temporary folder."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

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


class PostgreSQLServer:
    """A server on a socket in a temporary folder of its own; its user is ``postgres``."""

    def __init__(self) -> None:
        self._programs = postgresql_programs()
        # PostgreSQL refuses to run as root. The path is short because a socket's may have 107 characters.
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._account = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-pg-"))
        if self._account:
            shutil.chown(self.folder, "postgres", "postgres")
        self._data = self.folder / "data"
        make = f"{self._programs}/initdb -D {self._data} -U postgres -A trust --no-sync -E UTF8 --locale=C".split()
        made = subprocess.run(
            make, capture_output=True, text=True, check=False, cwd=self.folder, **self._account
        )
        if made.returncode != 0:
            pytest.fail(f"initdb failed: {made.stderr}")
        self.start()

    def start(self) -> None:
        start = (
            f"{self._programs}/postgres -D {self._data} -k {self.folder} -c listen_addresses= -c fsync=off"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(start.split(), stderr=log, cwd=self.folder, **self._account)
        _wait_for(self.folder, self._process)

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends all sessions and shuts down; SIGQUIT does so like a crash."""
        self._process.send_signal(by)
        self._process.wait(timeout=30)

    def remove(self) -> None:
        if self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)


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
