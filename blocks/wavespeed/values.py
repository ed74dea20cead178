"""Single values of the service's JSON, read leniently, and none that is out of any range."""

import re
from datetime import UTC, datetime
from decimal import Decimal

# The service is younger: an earlier moment is a clock's zero, not a time at which anything was made.
_FIRST_YEAR, _LAST_YEAR = 2020, 2200
_LONGEST_TEXT = 100
_MOST_SECONDS = 1e9  # also what comes in milliseconds is less
_MOST_DIGITS = 18
_WHOLE = re.compile(rf"-?[0-9]{{1,{_MOST_DIGITS}}}")


def moment_of(value: object) -> datetime | None:
    """Read an RFC 3339 moment with any number of fractional digits, in UTC; None where the text is no moment.

    A moment without a zone may be of any of 26 hours, and one such as 0001-01-01 of any year: they are none.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        try:
            moment = datetime.fromisoformat(value.strip().replace("z", "Z"))
        except ValueError:
            return None
    else:
        return None
    # Nor near the other end of the calendar, where no margin can be added.
    if moment.tzinfo is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        return None
    return moment.astimezone(UTC)


def seconds_of(value: object, *, divisor: int = 1) -> float | None:
    """Read a number that may come as text; None where it is none from zero to some decades."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return None
    try:
        number = float(value) / divisor
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= _MOST_SECONDS else None


def whole_number(value: object) -> int | None:
    """Read an integer, also where it comes as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= _MOST_DIGITS:
        return int(value) if value == value.to_integral_value() else None
    return None
