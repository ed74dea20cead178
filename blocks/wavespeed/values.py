"""Single values of the service's JSON, read leniently."""

from datetime import UTC, datetime
from decimal import Decimal


def moment_of(value: object) -> datetime | None:
    """Read an RFC 3339 moment with any number of fractional digits, in UTC; None where the text is no
    moment.
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
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


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
