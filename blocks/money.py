"""Exact money: integers of a millionth of a US dollar inside, decimal strings with a dot outside."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

MILLIONTHS_PER_DOLLAR = 1_000_000
_MILLIONTH = Decimal("0.000001")
# Above any bill; keeps a typing slip such as 1e30 from travelling on as money.
_LARGEST_DOLLARS = Decimal(10**12)


def to_millionths(dollars: Decimal | str | int) -> int:
    """An amount in dollars as whole millionths, rounded half up.

    Floats are not accepted: read JSON with ``parse_float=Decimal``.
    Raises ValueError where the text is no amount of money.
    """
    try:
        amount = Decimal(dollars)
    except InvalidOperation as error:
        raise ValueError(f"{dollars!r} is not an amount in dollars such as 12.50") from error
    # Compared without abs(), which rounds, and fails where an exponent is beyond its own bounds.
    if not amount.is_finite() or amount.copy_abs() > _LARGEST_DOLLARS:
        raise ValueError(f"{dollars!r} is not an amount in dollars such as 12.50")
    return int((amount * MILLIONTHS_PER_DOLLAR).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_dollars(millionths: int) -> Decimal:
    """The same amount in dollars, exact, without trailing zeros."""
    amount = (Decimal(millionths) * _MILLIONTH).normalize()
    # Decimal("1E+2") is 100 with an exponent that no table wants.
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount


def dollars_text(millionths: int) -> str:
    """The amount as a decimal string with a dot: ``1.91232``, ``0.028``, ``0``."""
    return format(to_dollars(millionths), "f")
