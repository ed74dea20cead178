"""Which hosts we talk to besides the API: https only, and no address inside somebody's network.

A name is resolved once; the addresses that were checked are the ones connected to, so that a name server that
answers differently the second time gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio
import httpx

from blocks.errors import FetchRefused, Unreachable
from blocks.proxies import proxy_for

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_MOST_ADDRESSES = 4
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Destination:
    """``addresses`` are the checked ones to connect to; none for what is taken by name: the trusted origin, and
    what a ``proxy`` connects to, which it resolves itself.
    """

    url: httpx.URL
    addresses: tuple[str, ...] = ()
    proxy: str | None = None


def shown(url: str | httpx.URL) -> str:
    """Return the URL as a message may quote it: without query (it may hold a signature), not endless."""
    text = str(url).partition("?")[0].partition("#")[0]
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 200 else text[:199] + "…"


def origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.raw_host.decode("ascii").lower(), url.port or _DEFAULT_PORTS.get(url.scheme)


def is_public(address: Address) -> bool:
    """Whether the address is out on the internet; one that carries another inside is judged by both."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if any(carried is not None and not is_public(carried) for carried in inner):
            return False
        if address.ipv4_mapped is not None:
            return True
        if address.is_site_local:
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local
    )


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return every address that the system knows for the name. Raises OSError where there is none."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked_destination(
    url: str | httpx.URL,
    *,
    trusted: tuple[str, str, int | None] | None,
    allow_private: bool,
    resolve: Resolve = resolve_host,
    find_proxy: Callable[[httpx.URL], str | None] = proxy_for,
) -> Destination:
    """Return where to connect for this URL. Raises FetchRefused, and Unreachable where the host is not
    known.

    Through a proxy, the host is checked by what this machine knows of it; a name that only the proxy knows is its to
    judge.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise FetchRefused(f"{shown(url)} is not a URL.", url=str(url)) from error
    if parsed.userinfo:
        raise FetchRefused("A URL with a user name or password in it is not followed.", url=shown(url))
    _, host, port = origin_of(parsed)
    if not _HOST.fullmatch(host) or not 0 < (port or 443) <= 65535:
        raise FetchRefused(f"{shown(url)} names no host.", url=shown(url))
    if trusted is not None and origin_of(parsed) == trusted:
        return Destination(parsed, proxy=find_proxy(parsed))
    proxy = find_proxy(parsed)
    if parsed.scheme != "https" and not (parsed.scheme == "http" and allow_private):
        raise FetchRefused(f"{shown(url)} is not https; only https is followed.", url=shown(url))
    try:
        addresses = await resolve(host, port or 0)
    except (OSError, UnicodeError) as error:
        if proxy is not None and parsed.scheme == "https":
            return Destination(parsed, proxy=proxy)
        raise Unreachable(f"The host {host} is not known. Check the URL and the network.") from error
    if not addresses:
        raise Unreachable(f"The host {host} has no address. Check the URL and the network.")
    inside = [text for text in addresses if not is_public(ipaddress.ip_address(text))]
    if inside and not allow_private:
        raise FetchRefused(
            f"{shown(url)} leads to the private or reserved address {inside[0]}, which is not followed. "
            "Use a public https URL or a local file.",
            url=shown(url),
        )
    # Plain http is for one's own network, not for the internet.
    if parsed.scheme == "http" and len(inside) < len(addresses):
        raise FetchRefused(f"{shown(url)} is not https; only https is followed.", url=shown(url))
    if proxy is not None and not all(ipaddress.ip_address(text).is_loopback for text in addresses):
        return Destination(parsed, proxy=proxy)
    return Destination(parsed, tuple(addresses[:_MOST_ADDRESSES]))
