"""Answers by script for tests of the network side: in process, or over a real socket where the wire
matters.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.wavespeed import WaveSpeedClient

KEY = "ws-canary-0123456789abcdef"
BASE_URL = "https://api.example"
PREDICTION_ID = "0123456789abcdef0123456789abcdef"

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def envelope(
    data: Any,
    *,
    code: int = 200,
    message: str = "success",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": message, "data": data}, headers=headers)


def refusal(
    status: int, message: str = "no", *, code: int | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    body = {"code": status if code is None else code, "message": message}
    return httpx.Response(status, json=body, headers=headers)


def gateway_page(status: int = 502) -> httpx.Response:
    page = "<html><body><h1>Bad gateway</h1></body></html>"
    return httpx.Response(status, text=page, headers={"Content-Type": "text/html"})


def prediction(**fields: Any) -> dict[str, Any]:
    return {"id": PREDICTION_ID, "model": "m/edit", "status": "created", "outputs": [], **fields}


class Arriving(httpx.AsyncByteStream):
    """Bytes that come from elsewhere: httpx reads its own responses' beforehand."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class Script:
    """Hands out the replies in their order, the last one for ever, and keeps every request with its body."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        if callable(reply):
            reply = reply(request)
        # A reply that is handed out again needs its own stream, to be read as if it arrived.
        return httpx.Response(reply.status_code, headers=reply.headers, stream=Arriving(reply.content))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def client(self, base_url: str = BASE_URL, **options: Any) -> WaveSpeedClient:
        return WaveSpeedClient(
            SecretStr(KEY), base_url, sleep=self.sleep, transport=httpx.MockTransport(self), **options
        )


class Account:
    """A history and a bill with pages, for as long as the client asks."""

    def __init__(self, items: list[dict[str, Any]], *, largest_page: int = 100, filters: bool = True) -> None:
        self.items = items
        self.largest_page = largest_page
        self.filters = filters
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        search = json.loads(request.content)
        self.asked.append(search)
        items = self.items
        if self.filters:
            if after := search.get("created_after"):
                items = [item for item in items if item["created_at"] >= after]
            if model := search.get("model"):
                items = [item for item in items if item["model"] == model]
            if ids := search.get("prediction_uuids"):
                items = [item for item in items if item["prediction"]["uuid"] in ids]
        size = min(search["page_size"], self.largest_page)
        first = (search["page"] - 1) * size
        return envelope({"page": search["page"], "items": items[first : first + size]})


Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(*connected: Connected) -> AsyncIterator[str]:
    """Serve each connection by the next function, the last one for ever; yields the base URL."""
    remaining = list(connected)
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        handle = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        server.close()
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request with a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head, await reader.readexactly(length)


def answering(raw: bytes, *, reset: bool = False) -> Connected:
    """Read a request, answer these bytes, and end the connection; by a reset where asked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if raw:
            writer.write(raw)
            await writer.drain()
        if reset:
            writer.transport.abort()

    return handle


def http(body: bytes, *, status: str = "200 OK", length: int | None = None, headers: str = "") -> bytes:
    """Write a response as bytes; ``length`` may announce more than there is."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n{headers}\r\n"
    return head.encode() + body
