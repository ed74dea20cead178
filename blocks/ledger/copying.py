"""A consistent copy of the ledger, whoever writes to it meanwhile."""

import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from blocks.errors import LedgerUnusable
from blocks.ledger.part import Part
from blocks.ledger.tables import generation_assets


class Copying(Part):
    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file: a database server's own tools copy what it has."""
        return self._database.is_sqlite

    def copy_to(self, file: Path) -> None:
        """Copy the SQLite ledger as it is at one moment into a new file that only its owner may read.

        Raises OSError where the file cannot be made, LedgerUnusable where the ledger cannot be read.
        """
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        target = sqlite3.connect(file)
        try:
            with self._database.read() as connection:
                source = connection.connection.driver_connection
                assert isinstance(source, sqlite3.Connection)  # is_file was looked at
                source.backup(target)
            # One file, whole by itself.
            target.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise LedgerUnusable(
                f"the ledger {self._database.place} could not be copied ({error})"
            ) from error
        finally:
            target.close()
        with file.open("rb+") as written:
            os.fsync(written.fileno())

    def asset_sha256s(self) -> list[str]:
        """List the hashes of all assets that paid work has, sorted."""
        with self._database.read() as connection:
            query = sa.select(generation_assets.c.sha256).distinct().order_by(generation_assets.c.sha256)
            return list(connection.execute(query).scalars())
