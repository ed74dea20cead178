"""Addresses outside of this service that it may call: those of the public internet, as a service there would.

A name is resolved once and the address that was checked is the one connected to, so that a name server that answers
otherwise the second time changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

_ORDINARY_IPV6 = ipaddress.IPv6Network("2000::/3")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotPublic(Exception):
    """The URL leads to no public address."""


@dataclass(frozen=True)
class Target:
    """Where to send a request instead of to its URL, and what has to go with it."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, str] = field(default_factory=dict)


async def resolved(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def target_of(url: str, *, loopback: bool, resolve: Resolve = resolved) -> Target:
    """The public address behind an https URL; with ``loopback`` this machine's own as well, also over http.

    Raises NotPublic.
    """
    parts = split(url)
    if loopback and parts.scheme in {"http", "https"} and is_loopback(parts.hostname or ""):
        return Target(url)
    try:
        port = parts.port or 443
    except ValueError as error:
        raise NotPublic("the URL has no port that exists") from error
    if parts.scheme != "https" or not parts.hostname:
        raise NotPublic("only https URLs can be fetched")
    try:
        addresses = await resolve(parts.hostname, port)
    except (OSError, UnicodeError) as error:
        raise NotPublic("the host of the URL is not known") from error
    if not addresses or not all(is_public(address) for address in addresses):
        raise NotPublic("the host of the URL is not on the public internet")
    address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Target(
        parts._replace(netloc=f"{address}:{port}").geturl(),
        {"Host": name if port == 443 else f"{name}:{port}"},
        {"sni_hostname": parts.hostname},
    )


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, and hides no other address in it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (
        found not in _ORDINARY_IPV6 or found.sixtofour or found.teredo
    ):
        return False
    return found.is_global and not found.is_multicast


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split(url: str) -> SplitResult:
    """The parts of a URL; those of an empty one where it is none, as with a bracket left open."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
