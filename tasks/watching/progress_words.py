"""How a view of progress says durations that nobody knows exactly: in few words, and never in many more."""

import math

_MINUTE, _HOUR = 60, 3600
# Up to so many of a unit are said in it, before the next one is taken.
_SECONDS_UP_TO, _MINUTES_UP_TO = 2 * _MINUTE, 100 * _MINUTE


def range_text(likely: float, late: float) -> str:
    """Say two durations in seconds as people do: ``3 to 5 min``, or ``about 3 min`` where they are the same to them."""
    if late <= _MINUTE or (likely < _MINUTE and late <= _SECONDS_UP_TO):
        first, second = (f"{_upwards(seconds, 5)}" for seconds in (likely, late))
        unit = "s"
    elif late <= _MINUTES_UP_TO:
        first, second = (f"{_upwards(seconds / _MINUTE, 1)}" for seconds in (likely, late))
        unit = "min"
    else:
        first, second = (f"{math.ceil(seconds / _HOUR * 10) / 10:.1f}" for seconds in (likely, late))
        unit = "h"
    return f"about {second} {unit}" if first == second else f"{first} to {second} {unit}"


def _upwards(amount: float, step: int) -> int:
    return max(step, math.ceil(amount / step) * step)
