"""What quotes and bills teach about prices: amounts, rounding, currency. No service, no ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from blocks.errors import BudgetRefused
from blocks.ledger import Bill
from blocks.wavespeed import Quote
from tasks.unit_prices import PricePoint, Rounding, ServicePrices, in_dollars, learnt_prices, rounding_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = 360_000
EDIT, CLIP = ("m/edit", "1k"), ("m/video", None)


def bill(quantity: str, charged: int, *, hours_ago: float = 0, resolution: str | None = None) -> Bill:
    return Bill(resolution, Decimal(quantity), charged, NOW - timedelta(hours=hours_ago))


@pytest.mark.parametrize(
    ("bills", "listed", "learnt"),
    [
        ([], SECOND, None),
        ([bill("3", 1_080_000)], SECOND, None),  # a whole number of seconds tells nothing
        ([bill("4.25", 1_530_000)], SECOND, Rounding.EXACT),
        ([bill("4.25", 1_800_000)], SECOND, Rounding.UP),
        # A price that is not the list's: one bill alone tells nothing, two unlike ones do, or one of whole seconds.
        ([bill("4.25", 840_000)], SECOND, None),
        ([bill("4.25", 840_000), bill("3.2", 672_000)], SECOND, Rounding.UP),
        ([bill("4.25", 714_000), bill("3.2", 537_600)], SECOND, Rounding.EXACT),
        ([bill("4.25", 840_000), bill("6", 1_008_000)], None, Rounding.UP),
        ([bill("4.25", 840_000), bill("4.25", 840_000)], SECOND, None),
        # Where rounding changes two clips by the same share, both readings fit them: 4.5 of 5, 3.6 of 4.
        ([bill("4.5", 840_000), bill("3.6", 672_000)], None, None),
        # The newest bill that can tell decides.
        ([bill("3", 1_080_000), bill("4.25", 1_800_000), bill("5.5", 1_980_000)], SECOND, Rounding.UP),
        ([bill("5.5", 1_980_000), bill("4.25", 1_800_000)], SECOND, Rounding.EXACT),
    ],
)
def test_rounding_is_learnt_only_from_bills_that_can_tell(
    bills: list[Bill], listed: int | None, learnt: Rounding | None
) -> None:
    assert rounding_of(bills, lambda _: listed) is learnt


@pytest.mark.parametrize(
    ("rounding", "cost"),
    [
        (Rounding.EXACT, Fraction(1_800_000) * 32 / Fraction("42.5")),
        (Rounding.UP, Fraction(1_440_000)),
        (None, Fraction(1_440_000)),
    ],
)
def test_another_clip_at_the_price_of_one(rounding: Rounding | None, cost: Fraction) -> None:
    assert PricePoint(1_800_000, Decimal("4.25")).cost(Decimal("3.2"), rounding) == cost


def test_a_rounded_quote_is_not_rounded_twice() -> None:
    """A clip of 9.1 s at the list's price, rounded up, says nothing about 3 s but the list's price."""
    prices = ServicePrices()
    prices.learn_quote(CLIP, Quote("m/video", 3_600_000, 3_600_000), Decimal("9.1"), SECOND)
    assert prices.cost(CLIP, Decimal(3)) == 1_080_000
    assert prices.cost(CLIP, Decimal("4.25")) == 1_800_000
    assert prices.worst_case(CLIP, Decimal("9.1"), list_price=SECOND, listed=3_600_000) == 3_600_000


def test_a_discount_is_told_from_rounding() -> None:
    prices = ServicePrices()
    prices.learn_quote(CLIP, Quote("m/video", 1_530_000, 1_377_000), Decimal("4.25"), SECOND)
    assert prices.cost(CLIP, Decimal("8.5")) == 2 * 1_377_000


def test_what_is_set_aside() -> None:
    prices = ServicePrices()

    def held() -> int:
        return prices.worst_case(EDIT, Decimal(2), list_price=28_000, listed=56_000)

    assert held() == 56_000
    prices.learn_quote(EDIT, Quote("m/edit", 20_000, 20_000), Decimal(1), 28_000)
    assert held() == 56_000, "a cheaper quote is not believed before a bill shows it"
    prices.learn_bill(EDIT, 20_000, Decimal(1))
    assert held() == 40_000
    prices.learn_bill(EDIT, 90_001, Decimal(3))
    assert held() == 60_001, "never rounded down"
    prices.learn_bill(EDIT, 20_000, Decimal(1))
    assert held() == 60_001, "a cheaper bill does not take back what a dearer one has shown"
    assert prices.cost(EDIT, Decimal(2)) == 60_001
    assert prices.cost(("m/edit", "2k"), Decimal(2)) is None


def test_learnt_from_earlier_runs_a_price_is_forgotten_a_day_after_the_next() -> None:
    sizes = [
        bill("1", 30_000, resolution="1k"),
        bill("1", 50_000, hours_ago=23, resolution="1k"),
        bill("1", 90_000, hours_ago=25, resolution="1k"),
        bill("2", 200_000, hours_ago=900, resolution="2k"),
    ]
    prices = learnt_prices({"m/edit": sizes, "m/video": [bill("4.25", 1_800_000)]}, lambda *_: SECOND)
    assert prices.cost(EDIT, Decimal(1)) == 50_000
    assert prices.cost(("m/edit", "2k"), Decimal(1)) == 100_000
    assert prices.rounding is Rounding.UP
    assert prices.cost(CLIP, Decimal("3.2")) == 1_440_000
    assert not prices.has_bill(("m/edit", "4k"))


def test_another_currency_is_refused() -> None:
    assert in_dollars(Quote("m/edit", 1, 1)).currency == "USD"
    with pytest.raises(BudgetRefused, match=r"m/edit in EUR.*US dollars.*Nothing was spent"):
        in_dollars(Quote("m/edit", 1, 1, currency="EUR"))
