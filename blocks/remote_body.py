"""What arrives from another host: whether it is a file at all, and how it gets to the disk, whole or not at
all.
"""

import hashlib
import os
import secrets
import time
from pathlib import Path

import anyio
import httpx

from blocks.errors import FetchRefused, NotFound, RateLimited, StoreUnusable, Unavailable
from blocks.remote_addresses import shown
from blocks.retry_after import retry_after_seconds

_SLOW_WINDOW_SECONDS = 20.0
_LEAST_BYTES_PER_SECOND = 1024
_GONE = frozenset({403, 404, 410})
_PASSING = frozenset({408, 425, 429})
# Asked for as it is; some hosts pack it all the same. These unpack a piece to a thousand times its size at most.
# Others, and several over each other, would fill the memory with a single piece, before anybody counts its bytes.
_PACKED = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


def raise_for_file(response: httpx.Response, url: str) -> None:
    """Raise NotFound, a Transient error or FetchRefused where the answer holds no file."""
    status = response.status_code
    if status in (200, 203):
        return
    if status in _GONE:
        raise NotFound(
            f"{shown(url)} is not there, or not any more (HTTP {status}). "
            "What the service makes lives seven days.",
            status=status,
        )
    if status >= 500 or status in _PASSING:
        kind = RateLimited if status == 429 else Unavailable
        raise kind(
            f"{shown(url)} could not be read (HTTP {status}). Try again later.",
            status=status,
            retry_after=retry_after_seconds(response.headers),
        )
    raise FetchRefused(f"{shown(url)} answers HTTP {status} instead of a file.", url=shown(url))


async def write_body(response: httpx.Response, into: Path, max_bytes: int, url: str) -> tuple[str, int]:
    """Return sha256 and size of the body, now whole and on disk at ``into``."""
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(url, into, max_bytes)
    packed = response.headers.get("content-encoding", "").strip().lower()
    if packed not in _PACKED:
        raise FetchRefused(f"{shown(url)} comes packed in a way that is not read.", url=shown(url), path=into)
    partial = into.with_name(f".{into.name[:80]}.{secrets.token_hex(8)}.part")
    digest, size = hashlib.sha256(), 0
    pace = _Pace(url)
    try:
        # Opened without a wait: whoever is cancelled while a thread opens a file never gets it to close it.
        with partial.open("xb") as opened:
            file = anyio.wrap_file(opened)
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(url, into, max_bytes)
                pace.arrived(len(chunk))
                digest.update(chunk)
                await file.write(chunk)
            await file.flush()
            await anyio.to_thread.run_sync(os.fsync, opened.fileno())
        await anyio.to_thread.run_sync(_move, partial, into)
    except OSError as error:
        reason = error.strerror or error
        raise StoreUnusable(
            f"{into} could not be written ({reason}). Make room, or correct the folder."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return digest.hexdigest(), size


def _move(partial: Path, into: Path) -> None:
    partial.replace(into)
    folder = os.open(into.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _too_large(url: str, into: Path, max_bytes: int) -> FetchRefused:
    return FetchRefused(
        f"{shown(url)} is larger than the {max_bytes:,} bytes that are read from it.",
        url=shown(url),
        path=into,
    )


class _Pace:
    """Refuses a trickle that never falls silent: so many bytes must come in each window of time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._since = time.monotonic()
        self._bytes = 0

    def arrived(self, count: int) -> None:
        self._bytes += count
        passed = time.monotonic() - self._since
        if passed < _SLOW_WINDOW_SECONDS:
            return
        if self._bytes < _LEAST_BYTES_PER_SECOND * passed:
            raise FetchRefused(f"{shown(self._url)} comes too slowly to wait for.", url=shown(self._url))
        self._since, self._bytes = time.monotonic(), 0
