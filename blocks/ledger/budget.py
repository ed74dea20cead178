"""The cap: what is reserved and charged never exceeds it, whoever reserves at the same moment.

The check and the reservation are one transaction that holds the run's row, so they cannot interleave.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from blocks.ledger.database import Database
from blocks.ledger.learnt import asked_for
from blocks.ledger.owners import is_alive
from blocks.ledger.part import Part, attempt_from, day_start, update_attempt
from blocks.ledger.records import AttemptRow, AttemptState, CapReached, IllegalTransition, RunMoney
from blocks.ledger.tables import attempts, generations, owners, runs

# PostgreSQL: reservations under a cap a day wait for one another, whatever run they are of.
_DAY_LOCK = 0x6B6C_696E_6702

_LIVING = (
    AttemptState.RESERVED,
    AttemptState.INTENT,
    AttemptState.UNKNOWN,
    AttemptState.SUBMITTED,
    AttemptState.COMPLETED,
    AttemptState.HELD,
)
_AT_WORK = tuple(state for state in _LIVING if state is not AttemptState.HELD)
# What such an attempt holds is in the price of a plan that has its work, too.
_NOT_KNOWN_TO_BE_SENT = (AttemptState.RESERVED, AttemptState.INTENT, AttemptState.UNKNOWN)


class Budget(Part):
    def reserve(
        self,
        key: str,
        *,
        run_id: str,
        owner: str,
        estimated: int,
        worst_case: int,
        quantity: Decimal | None = None,
        day_cap: int | None = None,
    ) -> AttemptRow:
        """Begin an attempt at the claimed work and set ``worst_case`` of the run's budget aside for it.

        ``quantity``: how many pictures, or seconds before any rounding up; later runs learn the price of one from it.

        Raises CapReached, changing nothing, where the run's budget or ``day_cap`` (all runs at this service, since
        midnight UTC) does not cover it; LeaseLost where the work is not this process's; IllegalTransition where an
        attempt at it is alive already.
        """
        with self._database.write() as connection:
            generation = self._locked_generation(connection, key)
            token = self._require_lease(generation)
            now = self._database.now(connection)
            number, living = connection.execute(
                sa.select(
                    sa.func.coalesce(sa.func.max(attempts.c.number), 0),
                    sa.func.count().filter(attempts.c.state.in_(_LIVING)),
                ).where(attempts.c.generation_key == key)
            ).one()
            if living or generation.state == "stored":
                raise IllegalTransition(
                    f"the work {key} is stored, or an attempt at it is alive: resume that one"
                )
            check_day(self._database, connection, generation.service, day_cap, worst_case, now)
            check_run(connection, run_id, worst_case, now)
            created = connection.execute(
                sa.insert(attempts)
                .values(
                    generation_key=key,
                    number=number + 1,
                    state=AttemptState.RESERVED,
                    run_id=run_id,
                    service=generation.service,
                    model=generation.model,
                    estimated=estimated,
                    reserved=worst_case,
                    quantity=quantity,
                    refunded=0,
                    owner=owner,
                    lease=token,
                    reserved_at=now,
                    polls=0,
                )
                .returning(*attempts.c)
            )
            return attempt_from(created.one())

    def resume(
        self,
        attempt_id: int,
        *,
        run_id: str,
        owner: str,
        worst_case: int = 0,
        day_cap: int | None = None,
    ) -> AttemptRow:
        """Go on with an attempt that ``claim`` handed out: from now on it is this run's and this owner's.

        What was sent is spent, so its reservation moves to this run without asking the cap; one that was only
        ``reserved`` must fit in (else CapReached, and it stays where it was), and holds ``worst_case`` from then on,
        where today's price makes that more than it held. What is settled stays where it was settled. An earlier
        ``intent`` becomes ``unknown``: its reply is lost. Look at the returned state.
        """
        with self._database.write() as connection:
            generation, attempt = self._locked_attempt(connection, attempt_id)
            token = self._require_lease(generation)
            now = self._database.now(connection)
            values: dict[str, Any] = {"owner": owner, "lease": token}
            if attempt.charged is None:
                values["run_id"] = run_id
            if attempt.state == AttemptState.RESERVED:
                held = max(attempt.reserved, worst_case)
                check_day(self._database, connection, attempt.service, day_cap, held, now, without=attempt_id)
                check_run(connection, run_id, held, now, without=attempt_id)
                values |= {"reserved": held, "reserved_at": now}
            elif attempt.state == AttemptState.INTENT and attempt.intent_lease != token:
                values |= {"state": AttemptState.UNKNOWN, "unknown_at": now}
                values["error"] = "the process that sent the request ended before the reply was on record"
            elif attempt.state not in _LIVING or attempt.state == AttemptState.HELD:
                raise IllegalTransition(
                    f"attempt {attempt_id} is {attempt.state}: there is nothing to resume"
                )
            return update_attempt(connection, attempt_id, values)

    def hold_at_least(
        self, run_id: str, model: str, resolution: str | None, worst_case: Callable[[Decimal], int]
    ) -> None:
        """Raise what a run holds for requests of this model and resolution that were sent and are not settled.

        ``worst_case`` gives millionths for a quantity, at a price that a bill has shown. No cap is asked: they are
        spent, and what they may cost is no longer free for others.
        """
        with self._database.write() as connection:
            rows = connection.execute(
                sa.select(attempts)
                .where(
                    attempts.c.run_id == run_id,
                    attempts.c.model == model,
                    attempts.c.charged.is_(None),
                    attempts.c.state.not_in((AttemptState.RESERVED, AttemptState.WITHDRAWN)),
                )
                .order_by(attempts.c.id)
            ).all()
            for attempt in map(attempt_from, rows):
                place, quantity = asked_for(attempt.model, attempt.body, attempt.quantity)
                if place[1] != resolution or quantity is None:
                    continue
                held = worst_case(quantity)
                if held > attempt.reserved:
                    update_attempt(connection, attempt.id, {"reserved": held})

    def run_money(self, run_id: str) -> RunMoney:
        """Sum up what the run has cost so far and holds."""
        with self._database.read() as connection:
            return _money(connection, attempts.c.run_id == run_id)

    def day_money(self, service: str, *, apart_from: Collection[str] = ()) -> tuple[RunMoney, datetime]:
        """Sum up what all runs at a service have cost and hold since midnight UTC; and when the next day begins.

        ``apart_from`` are keys of work that a plan has in its own sum: what is reserved for it is left out.
        """
        with self._database.read() as connection:
            now = self._database.now(connection)
            rows = connection.execute(
                sa.select(
                    attempts.c.generation_key,
                    attempts.c.state,
                    attempts.c.charged,
                    attempts.c.refunded,
                    attempts.c.reserved,
                ).where(_of_day(service, now))
            ).all()
        own = frozenset(apart_from)
        charged = sum(row.charged - row.refunded for row in rows if row.charged is not None)
        reserved = sum(
            row.reserved
            for row in rows
            if row.charged is None and not (row.generation_key in own and row.state in _NOT_KNOWN_TO_BE_SENT)
        )
        return RunMoney(charged=charged, reserved=reserved), next_day(now)


def check_run(
    connection: sa.Connection, run_id: str, wanted: int, now: datetime, without: int | None = None
) -> None:
    """Raise CapReached unless the run's budget covers ``wanted`` beside everything else of the run."""
    cap = connection.execute(
        sa.select(runs.c.budget).where(runs.c.id == run_id).with_for_update()
    ).scalar_one()
    if cap is not None:
        _refuse_beyond(connection, cap, attempts.c.run_id == run_id, wanted, now, without=without)


def check_day(
    database: Database,
    connection: sa.Connection,
    service: str,
    cap: int | None,
    wanted: int,
    now: datetime,
    without: int | None = None,
) -> None:
    """Raise CapReached unless the day's cap covers ``wanted`` beside all else of the day; None: no cap."""
    if cap is None:
        return
    if not database.is_sqlite:  # there, transactions that write wait for one another anyway
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_DAY_LOCK)))
    which = _of_day(service, now)
    _refuse_beyond(connection, cap, which, wanted, now, without=without, until=next_day(now))


def next_day(moment: datetime) -> datetime:
    """The UTC midnight after the moment."""
    return day_start(moment) + timedelta(days=1)


def _of_day(service: str, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(attempts.c.service == service, attempts.c.reserved_at >= day_start(now))


def _refuse_beyond(
    connection: sa.Connection,
    cap: int,
    which: sa.ColumnElement[bool],
    wanted: int,
    now: datetime,
    *,
    without: int | None,
    until: datetime | None = None,
) -> None:
    if without is not None:
        which = sa.and_(which, attempts.c.id != without)
    money = _money(connection, which)
    if money.charged + money.reserved + wanted > cap:
        raise CapReached(
            cap=cap,
            charged=money.charged,
            reserved=money.reserved,
            wanted=wanted,
            in_flight=_in_flight(connection, which, now),
            until=until,
        )


def _money(connection: sa.Connection, which: sa.ColumnElement[bool]) -> RunMoney:
    settled = attempts.c.charged.is_not(None)
    query = sa.select(
        sa.func.coalesce(sa.func.sum(attempts.c.charged - attempts.c.refunded).filter(settled), 0),
        sa.func.coalesce(sa.func.sum(attempts.c.reserved).filter(~settled), 0),
    ).where(which)
    charged, reserved = connection.execute(query).one()
    return RunMoney(charged=int(charged), reserved=int(reserved))


def _in_flight(connection: sa.Connection, which: sa.ColumnElement[bool], now: datetime) -> int:
    """What is reserved for work on which somebody alive has the lease: held attempts and dead runs' free nothing."""
    query = (
        sa.select(sa.func.sum(attempts.c.reserved).label("amount"), owners)
        .select_from(
            attempts.join(generations, attempts.c.generation_key == generations.c.key).join(
                owners, generations.c.lease_owner == owners.c.id
            )
        )
        .where(which, attempts.c.charged.is_(None), attempts.c.state.in_(_AT_WORK))
        .group_by(*owners.c)
    )
    return sum(int(row.amount) for row in connection.execute(query).all() if is_alive(row, now))
