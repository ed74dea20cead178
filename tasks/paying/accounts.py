"""Whether work was sent by the account that is asked now: another account's history says nothing about it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from blocks.errors import AccountRefused, NotFound, RequestRefused
from blocks.ledger import KEPT_BY_SERVICE, AttemptRow, AttemptState, Ledger
from blocks.wavespeed import Prediction

# Known predictions of another key's that are asked for: one may have been deleted, several hardly.
MOST_ASKED = 3


@dataclass
class AccountInUse:
    """The account whose key this run has. ``account`` is its id in the ledger, ``read`` gives a prediction by its id.

    ``call`` runs a method of the ledger where that may wait for the disk.
    """

    ledger: Ledger
    service: str
    account: str
    read: Callable[[str], Awaitable[Prediction]]
    call: Callable[..., Awaitable[object]]
    _strangers: set[str] = field(default_factory=set)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ours(self, rows: Iterable[AttemptRow]) -> frozenset[str | None]:
        """Those of the attempts' accounts that are this one; one that is not known counts as ours.

        Where a key is new, it is asked for predictions that the other account is known to have made: if it can read
        one, both are keys of one account, which the ledger notes. Raises Transient where that cannot be found out now.
        """
        async with self._asking:
            return frozenset(
                [
                    account
                    for account in {row.account for row in rows} | {None}
                    if await self._is_ours(account)
                ]
            )

    async def _is_ours(self, account: str | None) -> bool:
        if account is None or account == self.account:
            return True
        if await self.call(self.ledger.is_same_account, self.service, account, self.account):
            return True
        if account in self._strangers:
            return False
        if await self._reads_one_of(account):
            await self.call(self.ledger.join_accounts, self.service, account, self.account)
            return True
        self._strangers.add(account)
        return False

    async def _reads_one_of(self, account: str) -> bool:
        since = datetime.now(UTC) - KEPT_BY_SERVICE

        def predictions() -> list[str]:
            return self.ledger.predictions_of(self.service, account, since, most=MOST_ASKED)

        known = await self.call(predictions)
        assert isinstance(known, list)
        for prediction_id in known:
            try:
                await self.read(prediction_id)
            except (NotFound, RequestRefused):
                continue
            except AccountRefused as error:
                if 403 not in {error.status, error.code}:
                    raise
                continue  # another account's predictions are nobody else's business
            return True
        return False


def sent_by_another(attempt: AttemptRow) -> str:
    """What a person is to do about an attempt without an id that another account's key has sent."""
    lost = "is held" if attempt.state is AttemptState.HELD else "its reply was lost"
    return (
        f"attempt {attempt.id} was sent with the key of another account, and {lost}; only that account can say what "
        "became of it, so nothing is sent for it. Run the command again with that account's WAVESPEED_API_KEY; or look "
        "in that account's history, and where it made nothing there, run "
        f"`campaign reconcile --release {attempt.id}`"
    )
