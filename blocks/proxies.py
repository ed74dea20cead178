"""The proxy that the environment names: for what is out on the internet, never for this machine itself."""

import ipaddress
import os
from urllib.request import getproxies

import httpx

UNUSABLE_PROXY = (
    "The proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used; correct or unset it."
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """By the text alone: a name that merely resolves to loopback today may resolve elsewhere tomorrow."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(url: httpx.URL) -> str | None:
    """The address of the proxy through which this URL is asked for; None where none is, and for loopback always.

    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case, as httpx understands them.
    """
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or is_loopback(url.host):
        return None
    host = url.host.lower()
    for exempt in (name.strip().lower() for name in proxies.get("no", "").split(",")):
        bare = exempt.lstrip(".").strip("[]")
        if exempt == "*" or (bare and (host == bare or host.endswith(f".{bare}"))):
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def keep_loopback_direct() -> None:
    """For libraries that obey NO_PROXY only, here and in the processes that are started from here."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    exempt = [name.strip() for name in given.split(",") if name.strip()]
    server = _host_of(os.environ.get("PREFECT_API_URL", ""))
    wanted = [*_LOOPBACK, *([server] if server and is_loopback(server) else [])]
    exempt += [host for host in wanted if host not in exempt]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(exempt)


def _host_of(url: str) -> str:
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return ""
