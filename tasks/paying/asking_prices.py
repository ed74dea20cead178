"""What the service itself asks for a piece of work: asked before it is paid for, free of charge, and again later."""

import time

from blocks.errors import (
    AccountRefused,
    NotFound,
    OutcomeUnknown,
    RequestRefused,
    Transient,
)
from blocks.kept_quotes import KEPT
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason
from tasks.unit_prices import Place, in_dollars, other_price
from tasks.work import StageWork

# A price that was asked for holds so long.
QUOTED_SECONDS = KEPT.total_seconds()


def place_of(work: StageWork) -> Place:
    return work.model, work.resolution


def worst_case_of(bench: Workbench, work: StageWork) -> int:
    """What has to be set aside for it at today's prices, in millionths of a dollar."""
    return bench.prices.worst_case(
        place_of(work), work.measured_quantity, list_price=work.unit_price, listed=work.worst_case
    )


async def ask_price(bench: Workbench, work: StageWork, body: dict[str, object]) -> None:
    """Asks where nobody has, for work of this model and resolution, in the last ten minutes.

    Raises AccountRefused (and stops the run's spending), BudgetRefused where the price is in another currency.
    """
    place = place_of(work)
    async with bench.lock(f"price {place}"):
        asked = bench.prices_asked.get(place)
        if asked is not None and time.monotonic() - asked < QUOTED_SECONDS:
            return
        try:
            quote = in_dollars(await bench.client.price(work.model, body))
        except AccountRefused as error:
            bench.stop.set(StopReason.ACCOUNT_REFUSED, str(error))
            raise
        except (Transient, NotFound, RequestRefused, OutcomeUnknown):
            if not bench.prices.has_price(place):
                bench.note(f"{work.model}: the service gave no price; the price list's is used")
        else:
            bench.prices.learn_quote(place, quote, work.measured_quantity, work.unit_price)
            for note in other_price(work.model, quote, work.estimated):
                bench.note(note)
        bench.prices_asked[place] = time.monotonic()
