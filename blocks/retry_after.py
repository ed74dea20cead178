"""How long the service asks us to wait: one pure function over the answer's headers."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A service that says more says nothing: what it makes lives no longer. How much of it is waited is for the patience of
# whoever asks.
LONGEST_WAIT_SECONDS = 604_800.0


def http_date(text: str | None) -> datetime | None:
    """Read an HTTP date; in UTC, None where the text is none."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # The last hours of the year 9999 have no place in every time zone.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def retry_after_seconds(
    headers: Mapping[str, str], *, now: datetime | None = None, longest: float = LONGEST_WAIT_SECONDS
) -> float | None:
    """Return the seconds to wait, 0 to ``longest``; None where the service asks for nothing intelligible.

    ``headers`` finds its keys regardless of case, as httpx's do. Understood are ``retry-after-ms`` (the
    more exact, so it wins), ``Retry-After`` in seconds with or without a fraction, and as an HTTP date. A
    date is taken relative to the answer's own ``Date``, since the service's clock and ours may differ;
    ``now`` stands in where it has none.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, longest)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return min(seconds, longest)
    moment = http_date(text)
    if moment is None:
        return None
    since = http_date(headers.get("date")) or now or datetime.now(UTC)
    return min(max((moment - since).total_seconds(), 0.0), longest)
