"""What the ledger's bills have taught about the prices of a service."""

from blocks.ledger import Ledger
from blocks.prices import PriceBook
from tasks.models import REQUESTS
from tasks.unit_prices import ServicePrices, learnt_prices


def learnt(service: str, prices: PriceBook, ledger: Ledger) -> ServicePrices:
    """Asks the ledger for the newest bills of every model."""
    bills = {request.model_id: ledger.bills(service, request.model_id) for request in REQUESTS.values()}
    return learnt_prices(bills, lambda model, size: prices.unit_prices.get((model, size or "")))
