"""What work costs on this account: as its service quotes it, as it bills it, and how it counts a clip's seconds.

Nothing is asked here. Amounts are millionths of a dollar. Quantities are pictures, or a clip's billed seconds before
any rounding up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import partial

from blocks.errors import BudgetRefused
from blocks.ledger import Bill
from blocks.money import dollars_text
from blocks.wavespeed import Quote

# What a price goes by: the model's id, and the resolution where it has one.
Place = tuple[str, str | None]

# A price that has changed is forgotten a day after the first bill of the new one.
_BILLS_OF = timedelta(days=1)
_CURRENCY = "USD"


class Rounding(StrEnum):
    """How an account is billed for the fractions of a clip's second."""

    EXACT = "exact"
    UP = "rounded up"

    def counted(self, quantity: Decimal) -> Decimal:
        return whole(quantity) if self is Rounding.UP else quantity


def whole(quantity: Decimal) -> Decimal:
    return quantity.to_integral_value(ROUND_CEILING)


@dataclass(frozen=True)
class PricePoint:
    """So much was asked, or billed, for so much."""

    amount: int
    quantity: Decimal

    def cost(self, quantity: Decimal, rounding: Rounding | None) -> Fraction:
        """What another quantity costs at this price; where the rounding is not known, by the dearer reading."""
        readings = tuple(Rounding) if rounding is None else (rounding,)
        return max(
            self.amount * Fraction(way.counted(quantity)) / Fraction(way.counted(self.quantity))
            for way in readings
        )


@dataclass
class ServicePrices:
    """``rounding`` is what settled bills have shown, None as long as none has."""

    rounding: Rounding | None = None
    _quoted: dict[Place, PricePoint] = field(default_factory=dict)
    _billed: dict[Place, PricePoint] = field(default_factory=dict)
    _reading: dict[Place, Rounding] = field(default_factory=dict)

    def learn_quote(self, place: Place, quote: Quote, quantity: Decimal, list_price: int) -> None:
        """``list_price`` is the price list's for one picture or second: by it, a quote tells its own rounding."""
        self._quoted[place] = PricePoint(quote.discounted_price, quantity)
        self._reading.pop(place, None)
        said = [way for way in Rounding if _nearly(quote.price, list_price * way.counted(quantity))]
        if len(said) == 1:
            self._reading[place] = said[0]

    def learn_bill(self, place: Place, amount: int, quantity: Decimal) -> None:
        """A dearer bill raises the price from now on; a cheaper one does not lower it."""
        point, before = PricePoint(amount, quantity), self._billed.get(place)
        if before is None or point.cost(quantity, self.rounding) > before.cost(quantity, self.rounding):
            self._billed[place] = point

    def has_bill(self, place: Place) -> bool:
        return place in self._billed

    def has_price(self, place: Place) -> bool:
        return place in self._quoted or place in self._billed

    def cost(self, place: Place, quantity: Decimal) -> int | None:
        """What the service takes, by its quote or, where that was dearer, its bill; None where it said neither."""
        rounding = self.rounding or self._reading.get(place)
        costs = [point.cost(quantity, rounding) for point in self._points(place)]
        return _half_up(max(costs)) if costs else None

    def worst_case(self, place: Place, quantity: Decimal, *, list_price: int, listed: int) -> int:
        """What has to be set aside for work that the price list has at ``listed`` at most, at ``list_price`` a unit.

        Never less than that, until a bill has shown that the service's cheaper price is what one pays.
        """
        points = self._points(place)
        if not points:
            return listed
        most = max(point.cost(quantity, self.rounding) for point in points)
        by_the_list = list_price * Fraction((self.rounding or Rounding.UP).counted(quantity))
        dearest = -(-most * listed // by_the_list) if by_the_list else -(-most // 1)
        proven = place in self._quoted and place in self._billed
        return int(dearest) if proven else max(listed, int(dearest))

    def billed_at_least(self, place: Place, quantity: Decimal) -> int:
        """The same by the bills alone; 0 without one."""
        point = self._billed.get(place)
        return 0 if point is None else int(-(-point.cost(quantity, self.rounding) // 1))

    def _points(self, place: Place) -> list[PricePoint]:
        return [known[place] for known in (self._quoted, self._billed) if place in known]


def learnt_prices(
    bills_of: Mapping[str, Sequence[Bill]], list_price: Callable[[str, str | None], int | None]
) -> ServicePrices:
    """What bills of earlier runs have taught; for each model's id its bills, the newest first.

    ``list_price`` is what the price list has for one picture or second of a model and resolution, if anything.
    """
    prices = ServicePrices()
    for model, bills in bills_of.items():
        prices.rounding = prices.rounding or rounding_of(bills, partial(list_price, model))
    for model, bills in bills_of.items():
        newest: dict[str | None, Bill] = {}
        for bill in bills:
            if newest.setdefault(bill.resolution, bill).billed_at - bill.billed_at <= _BILLS_OF:
                prices.learn_bill((model, bill.resolution), bill.charged, bill.quantity)
    return prices


def rounding_of(
    bills: Sequence[Bill], list_price: Callable[[str | None], int | None] = lambda _: None
) -> Rounding | None:
    """How fractions of a second are billed, by the newest bill that can tell; None where none can.

    A bill tells by agreeing, in one reading only, on the price of a second with the price list or with another bill.
    """
    for bill in bills:
        if bill.quantity == whole(bill.quantity):
            continue
        known = [
            PricePoint(one.charged, one.quantity)
            for one in bills
            # Where rounding changes both by the same share, they agree in either reading.
            if one.quantity * whole(bill.quantity) != bill.quantity * whole(one.quantity)
        ]
        if (listed := list_price(bill.resolution)) is not None:
            known.append(PricePoint(listed, Decimal(1)))
        said = {
            way
            for way in Rounding
            if any(_nearly(bill.charged, point.cost(bill.quantity, way)) for point in known)
        }
        if len(said) == 1:
            return said.pop()
    return None


def _nearly(amount: int, other: Decimal | Fraction | int) -> bool:
    """Amounts are rounded to a millionth, and a discount may have rounded before."""
    return abs(amount - Fraction(other)) <= 1


def _half_up(amount: Fraction) -> int:
    return int((amount * 2 + 1) // 2)


def in_dollars(quote: Quote) -> Quote:
    """The quote; raises BudgetRefused where it is in another currency than that of budgets and tables."""
    if quote.currency != _CURRENCY:
        raise BudgetRefused(
            f"the service names its price of {quote.model_id} in {quote.currency}, and budgets, plans and tables count "
            f"US dollars ({_CURRENCY}). Nothing was spent; use an account that is billed in US dollars"
        )
    return quote


def other_price(model: str, quote: Quote, listed: int) -> Iterable[str]:
    """A note where the service asks for something else than the price list has, in millionths."""
    if abs(quote.discounted_price - listed) > 1:
        yield (
            f"{model}: the service asks ${dollars_text(quote.discounted_price)} for what the price list has at "
            f"${dollars_text(listed)}"
        )
