"""Inputs that the service holds already, by the hash of their bytes, so that they are uploaded once."""

from datetime import datetime

import sqlalchemy as sa

from blocks.ledger.part import Part
from blocks.ledger.records import Upload
from blocks.ledger.tables import uploads


class Uploads(Part):
    def find_upload(self, origin: str, sha256: str, now: datetime | None = None) -> Upload | None:
        """Find these bytes at the service of this origin, unless they have expired by ``now``."""
        query = sa.select(uploads).where(uploads.c.origin == origin, uploads.c.sha256 == sha256)
        with self._database.read() as connection:
            moment = now or self._database.now(connection)
            row = connection.execute(query.where(uploads.c.expires_at > moment)).one_or_none()
        return None if row is None else Upload(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it

    def remember_upload(
        self,
        origin: str,
        sha256: str,
        *,
        url: str,
        expires_at: datetime,
        uploaded_at: datetime | None = None,
    ) -> None:
        """Note where the bytes are, in place of what was known about them before."""
        with self._database.write() as connection:
            values = {
                "url": url,
                "uploaded_at": uploaded_at or self._database.now(connection),
                "expires_at": expires_at,
            }
            self._database.insert_missing(
                connection, uploads, [{"origin": origin, "sha256": sha256, **values}]
            )
            connection.execute(
                sa.update(uploads)
                .where(uploads.c.origin == origin, uploads.c.sha256 == sha256)
                .values(**values)
            )

    def forget_upload(self, origin: str, sha256: str) -> None:
        """Forget an upload that the service no longer has, or could not read."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(uploads).where(uploads.c.origin == origin, uploads.c.sha256 == sha256)
            )
