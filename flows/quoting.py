"""`campaign plan --quote`: the account's service is asked what the plan would cost."""

import asyncio
import mimetypes
from collections.abc import Mapping
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from typing import Any

from blocks.errors import InvalidInput
from blocks.ledger import Ledger
from blocks.settings import Settings
from blocks.wavespeed import Quote, WaveSpeedClient
from flows.preparation import Prepared
from tasks.briefs.inputs import LoadedInput
from tasks.paying.uploading import KEEP, as_sent
from tasks.planning.plan_quote import Quotes, ask_prices
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
            service = _Service(client, settings, books)
            return await ask_prices(ready.plan, ready.campaign, ready.inputs, service)


def require_account(settings: Settings) -> None:
    if settings.embedded:
        raise InvalidInput(
            "--quote asks an account for its own prices, and there is none; set WAVESPEED_API_KEY, or plan without it"
        )


class _Service:
    """Uploads what a price is asked with, once; a run finds it there again where the ledger can keep the address."""

    def __init__(self, client: WaveSpeedClient, settings: Settings, books: Ledger | None) -> None:
        self._client = client
        self._origin = settings.base_url
        self._books = books
        self._urls: dict[str, str] = {}

    async def price(self, model_id: str, inputs: Mapping[str, Any]) -> Quote:
        return await self._client.price(model_id, inputs)

    async def url_of(self, item: LoadedInput) -> str:
        if item.sha256 not in self._urls:
            self._urls[item.sha256] = await self._uploaded(item)
        return self._urls[item.sha256]

    async def _uploaded(self, item: LoadedInput) -> str:
        now = datetime.now(UTC)
        if self._books is not None:
            known = await asyncio.to_thread(self._books.find_upload, self._origin, item.sha256, now)
            if known is not None:
                return known.url
        role = "video" if item.media_type.startswith("video/") else "image"
        work = WorkInput.model_validate({"role": role, "sha256": item.sha256, "source": item.source})
        content, media_type = await asyncio.to_thread(as_sent, item.path, work)
        name = f"{item.sha256}{mimetypes.guess_extension(media_type) or ''}"
        upload = await self._client.upload(content, filename=name, media_type=media_type)
        if self._books is not None:
            await asyncio.to_thread(
                self._books.remember_upload,
                self._origin,
                item.sha256,
                url=upload.url,
                expires_at=min(upload.expires_at, now + KEEP),
            )
        return upload.url
