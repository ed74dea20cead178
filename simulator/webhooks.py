"""Telling a client's URL that its prediction has ended, signed so that the client can tell who says it."""

import asyncio
import hashlib
import hmac
import json
import uuid
from typing import Any

import httpx

from simulator.outside import NotPublic, target_of
from simulator.service_time import ServiceTime, now

_TRIES = 3
_WAIT_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that every secret has, not a secret


def signature(secret: str, *, webhook_id: str, timestamp: str, body: bytes) -> str:
    """``v3,`` and the HMAC-SHA256 over ``id.timestamp.body``, keyed with the secret less its prefix."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.removeprefix(_SECRET_PREFIX).encode(), signed, hashlib.sha256).hexdigest()
    return f"v3,{digest}"


class WebhookSender:
    def __init__(self, secret: str, clock: ServiceTime, *, clock_factor: float) -> None:
        self._secret = secret
        self._clock = clock
        self._wait_seconds = _WAIT_SECONDS * clock_factor
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def deliver(self, url: str, prediction: dict[str, Any]) -> bool:
        """Posts the bare prediction; tries again a little later, then gives up. Says whether it arrived."""
        body = json.dumps(prediction).encode()
        # Of the delivery, the same with each try of it; the prediction's own id stands in the body.
        delivery = uuid.uuid4().hex
        for attempt in range(_TRIES):
            await asyncio.sleep(self._wait_seconds * attempt)
            timestamp = str(self._clock.unix_seconds(now()))
            headers = {
                "Content-Type": "application/json",
                "webhook-id": delivery,
                "webhook-timestamp": timestamp,
                "webhook-signature": signature(
                    self._secret, webhook_id=delivery, timestamp=timestamp, body=body
                ),
            }
            try:
                to = await target_of(url, loopback=True)
                response = await self._client.post(
                    to.url, content=body, headers=headers | to.headers, extensions=to.extensions
                )
            except (httpx.HTTPError, httpx.InvalidURL, NotPublic):
                continue
            if response.is_success:
                return True
        return False
