"""Single values of the service's JSON, read leniently."""

from datetime import UTC, datetime
from decimal import Decimal

# The service is younger: an earlier moment is a clock's zero, not a time at which anything was made.
_EARLIEST_YEAR = 2020


def moment_of(value: object) -> datetime | None:
    """Read an RFC 3339 moment with any number of fractional digits, in UTC; None where the text is no moment.

    A moment without a zone may be of any of 26 hours, and one such as 0001-01-01 of any year: they are none.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip().replace("z", "Z"))
        except ValueError:
            return None
    else:
        return None
    if moment.tzinfo is None or moment.year < _EARLIEST_YEAR:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # an offset that leads past the year 9999
        return None


def seconds_of(value: object, *, divisor: int = 1) -> float | None:
    """Read a number that may come as text; None where it is no finite number of at least zero."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = float(value) / divisor
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def whole_number(value: object) -> int | None:
    """Read an integer, also where it comes as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value.strip())
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return None
