"""Files on other hosts: remote inputs, outputs, places for uploads. Without the API key, without cookies."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Self

import anyio
import httpx

from blocks.errors import (
    FetchRefused,
    InvalidInput,
    Transient,
    Unavailable,
    Unreachable,
)
from blocks.proxies import UNUSABLE_PROXY, proxy_for
from blocks.remote_addresses import Destination, Resolve, checked_destination, origin_of, resolve_host, shown
from blocks.remote_body import raise_for_file, write_body

_MOST_REDIRECTS = 5
_MOST_TRIES = 3
_TRANSFERS_AT_ONCE = 32
_SILENCE_SECONDS = 30.0
# Set by the connection itself, or about it; a ticket has no say in them.
_CONNECTION_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "cookie", "expect"}
)


@dataclass(frozen=True)
class Fetched:
    """What was written. ``simulated``: an answer on the way carried the header X-Simulated."""

    sha256: str
    bytes: int
    content_type: str
    final_url: str
    simulated: bool


class RemoteFiles:
    """Follows https to public addresses only, every redirect checked again; ``trusted_origin`` is exempt.

    ``trusted_origin`` is the API's base URL, of which scheme, host and port count: loopback and plain http
    are fine there. ``allow_private`` admits private and loopback addresses, over plain http as well. Close
    it with ``aclose`` or use it as an async context manager. ``resolve`` and ``transport`` replace the
    network.
    """

    def __init__(
        self,
        trusted_origin: str | None,
        *,
        allow_private: bool = False,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        resolve: Resolve = resolve_host,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._trusted = origin_of(httpx.URL(trusted_origin)) if trusted_origin else None
        self._allow_private = allow_private
        self._sleep = sleep
        self._resolve = resolve
        self._transport = transport
        self._places = anyio.Semaphore(_TRANSFERS_AT_ONCE)
        self._by_name: httpx.AsyncClient | None = None
        self._by_address: httpx.AsyncClient | None = None
        self._by_proxy: dict[str, httpx.AsyncClient] = {}
        self.simulated = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for client in (self._by_name, self._by_address, *self._by_proxy.values()):
            if client is not None:
                await client.aclose()

    async def fetch(
        self,
        url: str,
        into: Path,
        *,
        max_bytes: int,
        max_seconds: float,
        media_types: Collection[str] | None = None,
    ) -> Fetched:
        """Write what the URL holds to ``into``, whole or not at all.

        ``max_seconds`` covers redirects and repeats. ``media_types`` only tells the server what is liked
        best: what came is for a decoder to judge, also where it says that it is HTML. Raises FetchRefused
        (host, size, time), NotFound (403, 404, 410), Transient errors after a few tries, and StoreUnusable
        where the disk does not take it.
        """
        headers = {"Accept-Encoding": "identity", "Accept": _accept(media_types)}
        passing: Transient | None = None
        async with self._places:
            try:
                with anyio.fail_after(max_seconds):
                    for tries in range(1, _MOST_TRIES + 1):
                        try:
                            return await self._fetch_once(url, into, headers, max_bytes)
                        except Transient as error:
                            # A wait that there is no time for is left to whoever has more.
                            if tries == _MOST_TRIES or (error.retry_after or 0.0) >= max_seconds:
                                raise
                            passing = error
                        jitter = random.random()  # noqa: S311 - spreads requests, keeps no secret
                        await self._sleep((passing.retry_after or 0.0) + 2.0**tries / 4 * jitter)
            except TimeoutError as error:
                if passing is not None:
                    raise passing from error
                raise FetchRefused(
                    f"{shown(url)} was not read within {max_seconds:g} s. Try again, or use a faster host.",
                    url=shown(url),
                    path=into,
                ) from error
        raise AssertionError("the last try returns or raises")

    async def put(
        self,
        url: str,
        content: Callable[[], AsyncIterator[bytes]],
        *,
        size: int,
        headers: Mapping[str, str],
        max_seconds: float,
    ) -> int:
        """Send ``size`` bytes with the headers that an upload's place asks for; return the HTTP status.

        Raises FetchRefused, or Unreachable and Unavailable where no answer came. Redirects are not followed.
        """
        sent = {name: value for name, value in headers.items() if name.lower() not in _CONNECTION_HEADERS}
        sent["Content-Length"] = str(size)
        async with self._places:
            try:
                with anyio.fail_after(max_seconds):
                    destination = await self._checked(url)
                    async with self._answer("PUT", destination, sent, content) as response:
                        return response.status_code
            except TimeoutError as error:
                raise Unavailable(
                    f"The upload to {shown(url)} took longer than {max_seconds:g} s."
                ) from error

    async def _fetch_once(self, url: str, into: Path, headers: Mapping[str, str], max_bytes: int) -> Fetched:
        current, simulated = url, False
        for _ in range(_MOST_REDIRECTS + 1):
            destination = await self._checked(current)
            async with self._answer("GET", destination, headers) as response:
                simulated = simulated or "x-simulated" in response.headers
                location = response.headers.get("location")
                if not (300 <= response.status_code < 400 and location):
                    raise_for_file(response, current)
                    digest, size = await write_body(response, into, max_bytes, current)
                    return Fetched(
                        sha256=digest,
                        bytes=size,
                        content_type=response.headers.get("content-type", ""),
                        final_url=current,
                        simulated=simulated,
                    )
            try:
                current = str(destination.url.join(location))
            except httpx.InvalidURL as error:
                raise FetchRefused(
                    f"{shown(current)} redirects to something that is no URL.", url=shown(url)
                ) from error
        raise FetchRefused(f"{shown(url)} redirects more than {_MOST_REDIRECTS} times.", url=shown(url))

    async def _checked(self, url: str) -> Destination:
        return await checked_destination(
            url,
            trusted=self._trusted,
            allow_private=self._allow_private,
            resolve=self._resolve,
            # What replaces the network replaces the way through a proxy.
            find_proxy=proxy_for if self._transport is None else lambda _: None,
        )

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        destination: Destination,
        headers: Mapping[str, str],
        content: Callable[[], AsyncIterator[bytes]] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        try:
            response = await self._sent(method, destination, headers, content)
            try:
                if "x-simulated" in response.headers:
                    self.simulated = True
                yield response
            finally:
                await response.aclose()
        except httpx.UnsupportedProtocol as error:
            raise FetchRefused(
                f"{shown(destination.url)} is not https.", url=shown(destination.url)
            ) from error
        except httpx.RequestError as error:
            raise Unavailable(
                f"The connection to {destination.url.host} broke ({str(error) or type(error).__name__}). "
                "Try again later."
            ) from error

    async def _sent(
        self,
        method: str,
        destination: Destination,
        headers: Mapping[str, str],
        content: Callable[[], AsyncIterator[bytes]] | None,
    ) -> httpx.Response:
        """Return the answer of the first address that takes a connection."""
        url, client, failed = destination.url, self._client(destination), None
        for address in destination.addresses or (url.host,):
            request = client.build_request(
                method,
                url.copy_with(host=address, fragment=None) if destination.addresses else url,
                headers={**headers, "Host": url.netloc.decode("ascii")},
                content=content() if content else None,
                # The certificate is checked against the name, the connection goes to the address.
                extensions={"sni_hostname": url.raw_host.decode("ascii")} if destination.addresses else None,
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
        way = " through the proxy that the environment names" if destination.proxy else ""
        raise Unreachable(
            f"{url.host} cannot be reached{way} ({str(failed) or 'no connection in time'})."
        ) from failed

    def _client(self, destination: Destination) -> httpx.AsyncClient:
        if destination.proxy is not None:
            if destination.proxy not in self._by_proxy:
                self._by_proxy[destination.proxy] = self._new_client(
                    kept=_TRANSFERS_AT_ONCE, proxy=destination.proxy
                )
            return self._by_proxy[destination.proxy]
        if not destination.addresses:
            self._by_name = self._by_name or self._new_client(kept=_TRANSFERS_AT_ONCE)
            return self._by_name
        # No connection to an address is kept: one made for another name must never serve this one.
        self._by_address = self._by_address or self._new_client(kept=0)
        return self._by_address

    def _new_client(self, *, kept: int, proxy: str | None = None) -> httpx.AsyncClient:
        try:
            return self._client_with(kept, proxy)
        except (ImportError, ValueError) as error:
            raise InvalidInput(UNUSABLE_PROXY) from error

    def _client_with(self, kept: int, proxy: str | None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers={"User-Agent": "kling-campaigns"},
            timeout=httpx.Timeout(_SILENCE_SECONDS, connect=10.0, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=kept, keepalive_expiry=3.0),
            follow_redirects=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            # Only what goes through a proxy is left to the environment, with the certificates that a proxy may need:
            # a proxy resolves names again, behind the check.
            trust_env=proxy is not None,
            proxy=proxy,
            transport=self._transport,
        )


def _accept(media_types: Collection[str] | None) -> str:
    return ", ".join([*sorted(media_types), "*/*;q=0.1"]) if media_types else "*/*"
