"""Amounts of the billing record, whose unit is not documented: dollars, or whole millionths of a dollar."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from blocks.money import to_millionths

# One charge for a picture or a clip: no thousand dollars, and not as little as a tenth of a cent.
_SMALLEST_PLAUSIBLE_MILLIONTHS = 1000
_LARGEST = Decimal(10**12)


def amount_in_millionths(value: object, expected: int | None = None) -> int:
    """Return the amount without its sign, in millionths of a dollar.

    The two readings of a number lie a million times apart. With the ``expected`` price (millionths) the
    nearer one by ratio is right; without it, a fraction is dollars, a whole number from 1000 on is
    millionths, and a smaller one is dollars. Raises ValueError where the value is no amount.
    """
    try:
        # Not abs(), which rounds, and fails where an exponent is beyond its own bounds.
        number = Decimal(str(value)).copy_abs()
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not an amount") from error
    if not number.is_finite() or number > _LARGEST:
        raise ValueError(f"{value!r} is not an amount")
    if expected:
        # Halfway between the readings, by ratio, lies a thousandth of the expected number of millionths.
        in_millionths = number * 1000 >= expected
    else:
        in_millionths = number == number.to_integral_value() and number >= _SMALLEST_PLAUSIBLE_MILLIONTHS
    return (
        int(number.quantize(Decimal(1), rounding=ROUND_HALF_UP)) if in_millionths else to_millionths(number)
    )
