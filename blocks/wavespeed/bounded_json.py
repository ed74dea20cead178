"""JSON of a stranger: read with bounds on depth, on the number of values, and on numbers."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

DEEPEST = 64
MOST_VALUES = 1_000_000
# An id may be a number of 128 bits. What is reckoned with has a bound of its own where it is read.
_MOST_DIGITS = 39
_LONGEST_FRACTION = 1100  # some services write a double with every digit that it has
_LARGEST_EXPONENT = 30


class NotJson(ValueError):
    pass


class JsonOutOfBounds(ValueError):
    """Deeper, or of more values, than any answer of the service."""


@dataclass
class Reading:
    """``out_of_range`` tells that a number was none that anything can be reckoned with; it is None in ``document``."""

    document: Any = None
    out_of_range: bool = False

    def whole(self, digits: str) -> int | None:
        if len(digits) <= _MOST_DIGITS + digits.startswith("-"):
            return int(digits)
        self.out_of_range = True
        return None

    def fraction(self, text: str) -> Decimal | None:
        if len(text) <= _LONGEST_FRACTION:
            number = Decimal(text)
            # Of an amount, a time or a rate, nothing is left so far behind the point.
            if number.is_zero() or number.adjusted() < -_LARGEST_EXPONENT:
                return Decimal(0)
            if number.adjusted() <= _LARGEST_EXPONENT:
                return number
        self.out_of_range = True
        return None

    def no_number(self, _: str) -> None:
        self.out_of_range = True


def read_json(body: bytes) -> Reading:
    """Read whole numbers as int, others as Decimal, and what is out of range, NaN or Infinity as None.

    Raises NotJson, or JsonOutOfBounds where it is nested deeper than DEEPEST or has more than MOST_VALUES values.
    """
    opened = body.count(b"[") + body.count(b"{")
    # Each value but the first of its list or object follows a comma; text may hold some as well, never so many.
    if opened + body.count(b",") > MOST_VALUES:
        raise JsonOutOfBounds("the answer holds more values than are read")
    reading = Reading()
    try:
        reading.document = json.loads(
            body,
            parse_int=reading.whole,
            parse_float=reading.fraction,
            parse_constant=reading.no_number,
        )
    except RecursionError as error:
        raise JsonOutOfBounds(_DEEP) from error
    except ValueError as error:
        raise NotJson(str(error)) from error
    if opened > DEEPEST and _is_deep(reading.document):
        raise JsonOutOfBounds(_DEEP)
    return reading


_DEEP = f"the answer is nested deeper than {DEEPEST} levels"


def _is_deep(document: Any) -> bool:
    """Level by level: a function that calls itself would not come back from where the nesting is deep."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)
