"""The ledger: the truth about money, across crashes, processes and machines."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from blocks.ledger import opening
from blocks.ledger.accounts import Accounts
from blocks.ledger.attempts import Attempts
from blocks.ledger.budget import Budget
from blocks.ledger.claims import Claims
from blocks.ledger.copying import Copying
from blocks.ledger.database import Clock, Database, parse_url
from blocks.ledger.facts import Facts
from blocks.ledger.forgetting import Forgetting
from blocks.ledger.learnt import Learnt
from blocks.ledger.owners import Owners
from blocks.ledger.recovery import Recovery
from blocks.ledger.remembered import Remembered
from blocks.ledger.runs import Runs
from blocks.ledger.sessions import RECONNECT_SECONDS
from blocks.ledger.stores import Stores
from blocks.ledger.taking_over import TakingOver
from blocks.ledger.uploads import Uploads

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_BUSY_SECONDS = 30.0


class Ledger(
    Owners,
    Claims,
    Budget,
    Attempts,
    Recovery,
    Runs,
    Uploads,
    Learnt,
    Forgetting,
    Remembered,
    Facts,
    Accounts,
    Stores,
    TakingOver,
    Copying,
):
    """One process's view of the ledger; every method is one transaction, on disk when it returns.

    ```
    with Ledger.open("sqlite:///.campaign/ledger.sqlite3") as ledger:
        owner = ledger.register_owner()
        match ledger.claim(work, owner=owner, run_id=run.id):
            case Granted(attempt=None):
                attempt = ledger.reserve(work.key, run_id=run.id, owner=owner, estimated=28, worst_case=28)
    ```
    A PostgreSQL session that ends is opened again (blocks.ledger.sessions).
    All methods raise LedgerUnusable where the database is locked, damaged, full, read-only or out of reach.
    """

    @classmethod
    def open(
        cls,
        url: str,
        *,
        busy_seconds: float = _BUSY_SECONDS,
        reconnect_seconds: float = RECONNECT_SECONDS,
        clock: Clock | None = None,
    ) -> Self:
        """Open the ledger at a SQLAlchemy URL; make it, or bring it to this version, first where needed.

        ``busy_seconds`` is how long to wait for another program's writing, ``reconnect_seconds`` for a PostgreSQL
        server whose session ended; ``clock`` replaces the ledger's.
        """
        database = Database(
            parse_url(url), busy_seconds=busy_seconds, clock=clock, reconnect_seconds=reconnect_seconds
        )
        try:
            opening.prepare(database)
            opening.check(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def open_if_exists(cls, url: str) -> Self | None:
        """Open the ledger where there is one, else return None and make nothing. For planning."""
        database = Database(
            parse_url(url), busy_seconds=_BUSY_SECONDS, clock=None, reconnect_seconds=RECONNECT_SECONDS
        )
        try:
            if not opening.exists(database):
                database.close()
                return None
            opening.prepare(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def now(self) -> datetime:
        """Read the clock that all the ledger's moments are by: the service's skew is to be measured by it."""
        with self._database.read() as connection:
            return self._database.now(connection)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncLedger:
    """A ledger for an event loop: its calls wait for the disk in one thread, one after another.

    ``attempt = await books.call(books.ledger.intend, attempt.id, body=body, …)``
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def call(
        self,
        function: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Result:
        """Run ``function``, a method of the ledger, and return what it returns.

        Once asked for, it is done: a cancelled caller learns of its cancellation only after the ledger has
        written. A prediction's id that waits in the queue must not be lost to Ctrl-C.
        """
        future = self._thread.submit(function, *arguments, **keywords)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait([waiting])
            raise

    def close(self) -> None:
        """Finish what was asked for, then close the ledger."""
        self._thread.shutdown(wait=True)
        self.ledger.close()
