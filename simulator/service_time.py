"""The service's own clock, which may be ahead of or behind the machine's, and how it writes moments."""

import time
from datetime import UTC, datetime
from email.utils import formatdate

NANOSECONDS = 1_000_000_000


def now() -> int:
    """The machine's clock in nanoseconds of Unix time: what the books hold."""
    return time.time_ns()


class ServiceTime:
    """Moments as the service shows them: skewed, with its number of digits."""

    def __init__(self, *, skew_seconds: float, digits: int) -> None:
        self._skew = round(skew_seconds * NANOSECONDS)
        self._digits = digits

    def text(self, moment: int) -> str:
        """A moment of the books in RFC 3339 with 3 to 9 fractional digits."""
        seconds, fraction = divmod(moment + self._skew, NANOSECONDS)
        whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{whole}.{fraction:09d}"[: len(whole) + 1 + self._digits] + "Z"

    def of(self, shown: datetime) -> int:
        """The moment of the books that a client means; without a zone it is UTC."""
        aware = shown if shown.tzinfo else shown.replace(tzinfo=UTC)
        since_epoch = aware - datetime(1970, 1, 1, tzinfo=UTC)
        microseconds = (
            since_epoch.days * 86_400 + since_epoch.seconds
        ) * 1_000_000 + since_epoch.microseconds
        return microseconds * 1_000 - self._skew

    def unix_seconds(self, moment: int) -> int:
        return (moment + self._skew) // NANOSECONDS

    def http_date(self, *, later_seconds: float = 0.0) -> str:
        """The Date header's text for now, or for so many seconds from now."""
        return formatdate((now() + self._skew) / NANOSECONDS + later_seconds, usegmt=True)
