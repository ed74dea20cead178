"""The service is asked what a plan would cost: by `campaign plan --quote`, and before a run sends anything."""

import asyncio
import mimetypes
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from blocks.errors import InputNotFetched, InvalidInput
from blocks.kept_quotes import KeptQuotes
from blocks.ledger import AttemptState, Ledger
from blocks.settings import Settings
from blocks.wavespeed import Quote, WaveSpeedClient
from flows.preparation import Prepared
from tasks.briefs.inputs import LoadedInput
from tasks.paying.uploading import KEEP, as_sent, upload_place
from tasks.planning.learnt_prices import learnt
from tasks.planning.plan_quote import PlanPrices, Question, Quotes, ask_prices, ask_unit_prices
from tasks.work import WorkInput


async def quoted(ready: Prepared) -> Quotes:
    """Asks for each distinct price. Raises InvalidInput without an account, AccountRefused where it refuses."""
    settings = ready.settings
    require_account(settings)
    books = Ledger.open_if_exists(settings.ledger_address)
    with closing(books) if books is not None else nullcontext():
        async with WaveSpeedClient(
            settings.required_key(),
            settings.base_url,
            request_timeout=settings.request_timeout,
            patience_seconds=settings.patience_seconds,
            allow_private=settings.allow_private_inputs,
        ) as client:
            key = settings.required_key().get_secret_value()
            account = (
                "" if books is None else await asyncio.to_thread(books.account_of, settings.service, key)
            )
            place = upload_place(settings.base_url, account)
            service = _Service(client, place, books, kept_quotes(settings), from_kept=False)
            try:
                return await ask_prices(ready.plan, ready.campaign, ready.inputs, service)
            finally:
                service.keep()


def require_account(settings: Settings) -> None:
    if settings.embedded:
        raise InvalidInput(
            "--quote asks an account for its own prices, and there is none; set WAVESPEED_API_KEY, or plan without it"
        )


async def service_prices(ready: Prepared, client: WaveSpeedClient, place: str, books: Ledger) -> PlanPrices:
    """What the service asks for the plan's work, or was asked in the last ten minutes; and what its bills have shown.

    ``place`` is where uploads are known, as ``upload_place`` has it.

    Raises AccountRefused, and BudgetRefused where it names another currency. Nothing is asked where nothing is to be
    paid for.
    """
    settings = ready.settings
    prices = await asyncio.to_thread(learnt, settings.service, ready.prices, books)
    if not ready.plan.to_pay:
        return PlanPrices(prices)
    # What an earlier run reserved has to hold today's price: one that is younger than the reservation.
    waiting = await asyncio.to_thread(books.attempts, state=AttemptState.RESERVED)
    reserved_at = max((one.reserved_at for one in waiting if one.service == settings.service), default=None)
    service = _Service(client, place, books, kept_quotes(settings), newer_than=reserved_at)
    try:
        found = await ask_unit_prices(ready.plan, ready.campaign, ready.inputs, prices, service)
        return replace(found, age_seconds=service.oldest_seconds)
    finally:
        service.keep()


def kept_quotes(settings: Settings) -> KeptQuotes:
    key = "" if settings.api_key is None else settings.api_key.get_secret_value()
    return KeptQuotes(settings.home / "quotes.json", service=settings.service, key=key)


class _Service:
    """Uploads what a price is asked with, once; a run finds it there again where the ledger can keep the address."""

    def __init__(
        self,
        client: WaveSpeedClient,
        place: str,
        books: Ledger | None,
        kept: KeptQuotes,
        *,
        from_kept: bool = True,
        newer_than: datetime | None = None,
    ) -> None:
        self._client = client
        self._place = place
        self._books = books
        self._kept = kept
        self._from_kept = from_kept
        self._newer_than = newer_than
        # Of the answers that had been kept.
        self.oldest_seconds = 0.0
        self._answers: list[tuple[Mapping[str, Any], Quote]] = []
        self._urls: dict[str, asyncio.Future[str]] = {}

    async def price(self, question: Question) -> Quote:
        named = question.named()
        if self._from_kept:
            found = await asyncio.to_thread(self._kept.find, named, newer_than=self._newer_than)
            if found is not None:
                self.oldest_seconds = max(self.oldest_seconds, found.age_seconds)
                return found.quote
        urls = await asyncio.gather(*map(self._url_of, question.inputs))
        quote = await self._client.price(question.model, question.request.body(urls))
        self._answers.append((named, quote))
        return quote

    def keep(self) -> None:
        self._kept.keep(self._answers)

    async def _url_of(self, item: LoadedInput) -> str:
        if item.sha256 not in self._urls:
            self._urls[item.sha256] = asyncio.ensure_future(self._uploaded(item))
        return await self._urls[item.sha256]

    async def _uploaded(self, item: LoadedInput) -> str:
        now = datetime.now(UTC)
        if self._books is not None:
            known = await asyncio.to_thread(self._books.find_upload, self._place, item.sha256, now)
            if known is not None:
                return known.url
        if item.missing:
            raise InputNotFetched(f"{item.name} {item.missing}")
        role = "video" if item.media_type.startswith("video/") else "image"
        work = WorkInput.model_validate({"role": role, "sha256": item.sha256, "source": item.source})
        content, media_type = await asyncio.to_thread(as_sent, item.path, work)
        name = f"{item.sha256}{mimetypes.guess_extension(media_type) or ''}"
        upload = await self._client.upload(content, filename=name, media_type=media_type)
        if self._books is not None:
            await asyncio.to_thread(
                self._books.remember_upload,
                self._place,
                item.sha256,
                url=upload.url,
                expires_at=min(upload.expires_at, now + KEEP),
            )
        return upload.url
