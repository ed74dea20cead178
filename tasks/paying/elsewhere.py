"""What is paid for and missing here, while another machine of the ledger may have every byte of it."""

from blocks.errors import NeedsPerson
from blocks.ledger import AttemptRow, OtherStore
from tasks.paying.restoring import all_whole
from tasks.paying.workbench import Workbench


async def refuse_if_another_host_has_it(bench: Workbench, key: str) -> None:
    """Raises NeedsPerson where the service has no bytes of paid work any more, but another machine may have them."""
    other = await may_be_elsewhere(bench, key)
    if other is not None:
        raise NeedsPerson(elsewhere(key, other))


async def may_be_elsewhere(bench: Workbench, key: str) -> OtherStore | None:
    found = await bench.ask(bench.ledger.others_that_may_have, [key], bench.store_id)
    return found.get(key)


async def kept_here_after_all(bench: Workbench, attempt: AttemptRow) -> bool:
    """Close work again that another machine has opened because it lacked the bytes, where this one has them all."""
    paid = (await bench.ask(bench.ledger.find_paid_results, [attempt.generation_key])).get(
        attempt.generation_key
    )
    if paid is None or not paid.assets or paid.attempt.id != attempt.id:
        return False
    if not await all_whole(bench, paid.assets):
        return False
    await bench.ask(bench.ledger.close_again, attempt.id)
    return True


def elsewhere(key: str, other: OtherStore) -> str:
    where = f"{other.host} ({other.place})" if other.place else other.host
    return (
        f"it is paid for, its bytes are not in this machine's asset store, and the service keeps them no more; {where} "
        "shares this ledger and may have them. Copy that machine's assets here, or run the campaign there. To have it "
        f"made anew, and paid for again: `campaign forget --key {key[:12]} --yes`"
    )
