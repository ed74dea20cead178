"""Handing inputs to the service: by ticket, or by the older call where tickets are not offered."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import anyio

from blocks.errors import FetchRefused, RequestRefused, ServiceError, StoreUnusable, Unavailable
from blocks.remote import RemoteFiles
from blocks.wavespeed.answers import Upload
from blocks.wavespeed.connection import Connection

# The service keeps uploads for seven days; a prediction that starts late must still find its input.
_LIFE = timedelta(days=7) - timedelta(hours=6)
_NOT_OFFERED = frozenset({404, 405, 501})
# Below this rate an upload is given up.
_SLOWEST_BYTES_PER_SECOND = 50_000
_CHUNK_BYTES = 256 * 1024
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,8000}")
_PASSING = frozenset({403, 408, 425, 429})


@dataclass(frozen=True)
class _Ticket:
    download_url: str
    put_url: str
    headers: dict[str, str]


class Uploader:
    """Remembers for its life whether the service offers tickets."""

    def __init__(self, connection: Connection, remote: RemoteFiles) -> None:
        self._connection = connection
        self._remote = remote
        self._tickets_offered = True

    async def upload(self, content: bytes | Path, *, filename: str, media_type: str) -> Upload:
        try:
            size = len(content) if isinstance(content, bytes) else (await anyio.Path(content).stat()).st_size
            started = datetime.now(UTC)

            async def attempt() -> str:
                # A ticket is good for one PUT, so each try asks for its own.
                ticket = await self._ticket(filename, size, media_type) if self._tickets_offered else None
                if ticket is None:
                    return await self._send_binary(content, size, filename, media_type)
                await self._put(ticket, content, size)
                return ticket.download_url

            url = await self._connection.repeated(attempt)
        except OSError as error:
            raise StoreUnusable(f"{content!r:.200} cannot be read ({error.strerror or error}).") from error
        return Upload(url=url, expires_at=started + _LIFE)

    def _seconds(self, size: int) -> float:
        return self._connection.request_timeout + size / _SLOWEST_BYTES_PER_SECOND

    async def _ticket(self, filename: str, size: int, media_type: str) -> _Ticket | None:
        asked = {"filename": filename, "size": size, "content_type": media_type}
        try:
            data = await self._connection.asked_once("upload_ticket", "POST", "media/uploads", json=asked)
        except ServiceError as error:
            if error.status not in _NOT_OFFERED and error.code not in _NOT_OFFERED:
                raise
            self._tickets_offered = False
            return None
        ticket = _read_ticket(data)
        if ticket is None:
            self._tickets_offered = False
        elif any(self._connection.key in value for value in ticket.headers.values()):
            raise FetchRefused("The upload ticket asks for the API key to be sent along, which is not done.")
        return ticket

    async def _put(self, ticket: _Ticket, content: bytes | Path, size: int) -> None:
        self._connection.requests_sent["upload_put"] += 1
        status = await self._remote.put(
            ticket.put_url,
            lambda: _chunks(content),
            size=size,
            headers=ticket.headers,
            max_seconds=self._seconds(size),
        )
        if 200 <= status < 300:
            return
        if status >= 500 or status in _PASSING:
            raise Unavailable(
                f"The place for uploads did not take the file (HTTP {status}). Try again later.",
                status=status,
            )
        raise RequestRefused(f"The place for uploads refused the file (HTTP {status}).", status=status)

    async def _send_binary(self, content: bytes | Path, size: int, filename: str, media_type: str) -> str:
        async with _opened(content) as file:
            data = await self._connection.asked_once(
                "upload_binary",
                "POST",
                "media/upload/binary",
                seconds=self._seconds(size),
                files={"file": (filename, file, media_type)},
            )
        url = data.get("download_url") if isinstance(data, dict) else None
        if not isinstance(url, str) or not url:
            raise Unavailable("The service took an upload and gave no URL for it. Try again later.")
        return url


def _read_ticket(data: Any) -> _Ticket | None:
    upload = data.get("upload") if isinstance(data, dict) else None
    if not isinstance(upload, dict) or str(upload.get("method", "PUT")).upper() != "PUT":
        return None
    download_url, put_url, headers = data.get("download_url"), upload.get("url"), upload.get("headers") or {}
    if not (isinstance(download_url, str) and download_url and isinstance(put_url, str) and put_url):
        return None
    if not isinstance(headers, dict):
        return None
    sent = {str(name): str(value) for name, value in headers.items()}
    if not all(
        _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in sent.items()
    ):
        return None
    return _Ticket(download_url, put_url, sent)


async def _chunks(content: bytes | Path) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        for first in range(0, len(content), _CHUNK_BYTES):
            yield content[first : first + _CHUNK_BYTES]
        return
    async with await anyio.open_file(content, "rb") as file:
        while chunk := await file.read(_CHUNK_BYTES):
            yield chunk


@asynccontextmanager
async def _opened(content: bytes | Path) -> AsyncIterator[bytes | IO[bytes]]:
    if isinstance(content, bytes):
        yield content
        return
    async with await anyio.open_file(content, "rb") as file:
        yield file.wrapped
