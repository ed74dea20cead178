"""Reads the authorities' certificates once for all HTTP clients: each of them takes 20 ms over it otherwise."""

import ssl
from typing import Any

import certifi

_make = ssl.create_default_context


def read_certificates_once() -> None:
    """From now on the clients of this process, and of those forked from it, share what they would each have read."""
    if ssl.create_default_context is not _make:
        return
    usual: dict[str, Any] = {"cafile": certifi.where()}
    shared = _make(**usual)

    def make(*arguments: Any, **options: Any) -> ssl.SSLContext:
        return shared if not arguments and options == usual else _make(*arguments, **options)

    ssl.create_default_context = make
