"""Pictures and clips that stand in the request itself: a data URI, or bare base64."""

import base64
import binascii
import re

_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.IGNORECASE)
_BARE = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# No word and no path is that long; the smallest picture that is accepted is much longer.
_SHORTEST_BARE = 64


def is_inline(value: str) -> bool:
    """Whether the value has the form of a medium; its bytes may still be none."""
    if found := _DATA_URI.match(value):
        return _BARE.fullmatch(value, found.end()) is not None
    return len(value) >= _SHORTEST_BARE and _BARE.fullmatch(value) is not None


def inline_bytes(value: str) -> bytes:
    """What the value holds. Raises ValueError."""
    found = _DATA_URI.match(value)
    try:
        return base64.b64decode(value[found.end() :] if found else value, validate=True)
    except binascii.Error as error:
        raise ValueError("the base64 of an input is damaged") from error
