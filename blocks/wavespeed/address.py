"""Where the API is: an address that the key may be sent to."""

from urllib.parse import urlsplit

from blocks.errors import InvalidInput
from blocks.proxies import is_loopback


def checked_base_url(base_url: str) -> str:
    """Return the address without a slash at its end; InvalidInput where the key must not be sent there."""
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(_unusable()) from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise InvalidInput(_unusable())
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "WAVESPEED_BASE_URL holds a user name or password; give the key as WAVESPEED_API_KEY only."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInput(
            f"WAVESPEED_BASE_URL is plain http on {host}, where others could read the API key. "
            "Use https; plain http is for loopback addresses such as http://127.0.0.1:8000 only."
        )
    return base_url.strip().rstrip("/")


def _unusable() -> str:
    return "WAVESPEED_BASE_URL is not an address such as https://api.wavespeed.ai."


def checked_key(key: str) -> str:
    """Return the key as a header can carry it. Raises InvalidInput that does not quote it."""
    key = key.strip()
    if not key:
        raise InvalidInput(
            "WAVESPEED_API_KEY is empty. Set it to the account's key, or unset it to use the simulator."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput(
            "WAVESPEED_API_KEY holds characters that no key has (spaces, line ends or non-ASCII). "
            "Copy the key again."
        )
    return key
