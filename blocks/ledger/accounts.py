"""Whose keys work was sent with. A key is known by a salted fingerprint, from which it cannot be had again."""

import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from blocks.ledger.part import Part, chunks
from blocks.ledger.tables import accounts, attempts, dismissed, facts

_FINGERPRINT_DIGITS = 24


class Accounts(Part):
    def account_of(self, service: str, key: str) -> str:
        """Return the id of the account that a key belongs to, as far as is known; a new key gets one of its own."""
        with self._database.write() as connection:
            salt = connection.execute(sa.select(facts.c.value).where(facts.c.name == "salt")).scalar_one()
            digest = hmac.new(bytes.fromhex(salt), key.encode("utf-8", "surrogatepass"), hashlib.sha256)
            fingerprint = digest.hexdigest()[:_FINGERPRINT_DIGITS]
            row = {
                "service": service,
                "fingerprint": fingerprint,
                "account": fingerprint,
                "seen_at": self._database.now(connection),
            }
            self._database.insert_missing(connection, accounts, [row])
            return _canonical(connection, service, fingerprint)

    def is_same_account(self, service: str, one: str, other: str) -> bool:
        """Look whether two account ids are known to be one account's."""
        with self._database.read() as connection:
            return _canonical(connection, service, one) == _canonical(connection, service, other)

    def join_accounts(self, service: str, one: str, other: str) -> None:
        """Note that two account ids are one account's: a key of the one reads what the other has made."""
        with self._database.write() as connection:
            kept, dropped = sorted(_canonical(connection, service, account) for account in (one, other))
            connection.execute(
                sa.update(accounts)
                .where(accounts.c.service == service, accounts.c.account == dropped)
                .values(account=kept)
            )

    def predictions_of(self, service: str, account: str, since: datetime, *, most: int) -> list[str]:
        """List an account's known predictions that were made since then, the newest first."""
        with self._database.read() as connection:
            own = _canonical(connection, service, account)
            names = sa.select(accounts.c.fingerprint).where(
                accounts.c.service == service, accounts.c.account == own
            )
            query = (
                sa.select(attempts.c.prediction_id)
                .where(
                    attempts.c.service == service,
                    attempts.c.account.in_(names),
                    attempts.c.prediction_id.is_not(None),
                    attempts.c.submitted_at >= since,
                )
                .order_by(attempts.c.submitted_at.desc(), attempts.c.id.desc())
                .limit(most)
            )
            return list(connection.execute(query).scalars())

    def dismiss(self, service: str, prediction_ids: Collection[str]) -> None:
        """Note that a person says of these predictions that this ledger did not make them."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            rows = [
                {"service": service, "prediction_id": one, "dismissed_at": now}
                for one in dict.fromkeys(prediction_ids)
            ]
            self._database.insert_missing(connection, dismissed, rows)

    def dismissed(self, service: str, prediction_ids: Collection[str]) -> set[str]:
        """Pick those of the predictions that were dismissed."""
        found: set[str] = set()
        with self._database.read() as connection:
            for chunk in chunks(prediction_ids):
                query = sa.select(dismissed.c.prediction_id).where(
                    dismissed.c.service == service, dismissed.c.prediction_id.in_(chunk)
                )
                found |= set(connection.execute(query).scalars())
        return found


def _canonical(connection: sa.Connection, service: str, account: str) -> str:
    found: str | None = connection.execute(
        sa.select(accounts.c.account).where(accounts.c.service == service, accounts.c.fingerprint == account)
    ).scalar_one_or_none()
    return account if found is None else found
