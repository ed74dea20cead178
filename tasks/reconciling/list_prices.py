"""What the service would have taken without a discount: asked for, since its bill names only what was paid."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from blocks.errors import InputNotFetched, NotFound, RequestRefused, Transient
from blocks.ledger import AttemptRow, Ledger
from blocks.wavespeed import WaveSpeedClient
from tasks.reconciling.reconciliation import AttemptLine, Verdict

# Asking is free, but a thousand clips would take a thousand questions.
_MOST_QUESTIONS = 50
_NO_PART_IN_THE_PRICE = {"prompt", "image", "images"}


async def with_list_prices(
    client: WaveSpeedClient, ledger: Ledger, lines: Iterable[AttemptLine]
) -> list[AttemptLine]:
    """The lines, with list and discounted price written into the ledger where the service names them.

    Prices change: an answer of today is believed only where it comes to what was charged then.
    """
    found = {line.attempt.id: line for line in lines}
    alike: dict[str, list[AttemptLine]] = defaultdict(list)
    for line in found.values():
        if _may_be_asked(line):
            alike[_priced_alike(line.attempt)].append(line)
    newest_first = sorted(alike.values(), key=lambda group: -group[-1].attempt.id)
    for group in newest_first[:_MOST_QUESTIONS]:
        # The newest one's media are the likeliest to be there still.
        attempt = group[-1].attempt
        try:
            quote = await client.price(attempt.model, attempt.body or {})
        except (RequestRefused, InputNotFetched):
            continue  # most likely its clip has expired
        except (NotFound, Transient):
            break  # the service names no prices, or not now
        if quote.currency != "USD":
            break
        for line in group:
            row = line.attempt
            if row.charged == quote.discounted_price and row.settled_run_id is not None:
                booked = ledger.settle(
                    row.id,
                    charged=row.charged,
                    refunded=row.refunded,
                    list_price=quote.price,
                    discounted_price=quote.discounted_price,
                    run_id=row.settled_run_id,
                )
                found[row.id] = replace(line, attempt=booked)
    return list(found.values())


def _may_be_asked(line: AttemptLine) -> bool:
    attempt = line.attempt
    settled = line.verdict in {Verdict.MATCHED, Verdict.DIFFERS} and bool(attempt.charged)
    return settled and attempt.list_price is None and attempt.body is not None


def _priced_alike(attempt: AttemptRow) -> str:
    body = {name: value for name, value in (attempt.body or {}).items() if name not in _NO_PART_IN_THE_PRICE}
    return json.dumps([attempt.model, body], sort_keys=True)
