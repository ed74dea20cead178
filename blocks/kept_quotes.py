"""Prices that the service named, kept for ten minutes: a command that is run again need not ask again."""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from blocks.wavespeed import Quote

KEPT = timedelta(minutes=10)


@dataclass(frozen=True)
class KeptQuote:
    quote: Quote
    age_seconds: float


class KeptQuotes:
    """One account's prices in a file that several processes may write; what is damaged or old is not there.

    Which account it is, the file tells by a salted fingerprint only. A file that cannot be written keeps nothing.
    """

    def __init__(self, path: Path, *, service: str, key: str) -> None:
        self._path = path
        content = self._read()
        self._salt = str(content.get("salt") or secrets.token_hex(16))
        account = f"{service}\0{key}".encode()
        self._account = hmac.new(self._salt.encode(), account, hashlib.sha256).hexdigest()[:16]

    def find(self, question: Mapping[str, Any], *, newer_than: datetime | None = None) -> KeptQuote | None:
        """The answer of the last ten minutes, and after ``newer_than``, to this very question."""
        found = self._quotes(self._read()).get(self._name(question))
        if not isinstance(found, dict):
            return None
        try:
            asked_at = datetime.fromisoformat(found["asked_at"])
            age = datetime.now(UTC) - asked_at
            model, currency = found["model"], found["currency"]
            quote = Quote(model, int(found["price"]), int(found["discounted"]), currency=currency)
        except (KeyError, TypeError, ValueError):
            return None
        if not isinstance(model, str) or not isinstance(currency, str):
            return None
        if not timedelta(0) <= age < KEPT or (newer_than is not None and asked_at <= newer_than):
            return None
        return KeptQuote(quote, age.total_seconds())

    def keep(self, answers: list[tuple[Mapping[str, Any], Quote]]) -> None:
        if not answers or not self._path.parent.is_dir():
            return
        now = datetime.now(UTC)
        kept = {
            name: quote for name, quote in self._quotes(self._read()).items() if _is_young(quote, now - KEPT)
        }
        for question, quote in answers:
            kept[self._name(question)] = {
                "asked_at": now.isoformat(),
                "model": quote.model_id,
                "price": quote.price,
                "discounted": quote.discounted_price,
                "currency": quote.currency,
            }
        # It saves a question, no more: without it, the next command asks.
        with suppress(OSError):
            self._write({"salt": self._salt, "quotes": kept})

    def _name(self, question: Mapping[str, Any]) -> str:
        text = json.dumps([self._account, question], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    @staticmethod
    def _quotes(content: Mapping[str, Any]) -> dict[str, Any]:
        quotes = content.get("quotes")
        return quotes if isinstance(quotes, dict) else {}

    def _write(self, content: Mapping[str, Any]) -> None:
        # Made with mode 0600, and whole for whoever reads it.
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _is_young(quote: object, oldest: datetime) -> bool:
    try:
        return isinstance(quote, dict) and datetime.fromisoformat(quote["asked_at"]) > oldest
    except (KeyError, TypeError, ValueError):
        return False
