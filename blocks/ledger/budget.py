"""The cap: what is reserved and charged never exceeds it, whoever reserves at the same moment.

The check and the reservation are one transaction that holds the run's row, so they cannot interleave.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from blocks.ledger.part import Part, attempt_from, day_start, update_attempt
from blocks.ledger.records import AttemptRow, AttemptState, CapReached, IllegalTransition, RunMoney
from blocks.ledger.tables import attempts, runs

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


class Budget(Part):
    def reserve(
        self,
        key: str,
        *,
        run_id: str,
        owner: str,
        estimated: int,
        worst_case: int,
        day_cap: int | None = None,
    ) -> AttemptRow:
        """Begin an attempt at the claimed work and set ``worst_case`` of the run's budget aside for it.

        Raises CapReached, changing nothing, where the run's budget or ``day_cap`` (all runs, since midnight
        UTC) does not cover it; LeaseLost where the work is not this process's; IllegalTransition where an
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
            self._check_day(connection, day_cap, worst_case, now)
            check_run(connection, run_id, worst_case)
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
                    refunded=0,
                    owner=owner,
                    lease=token,
                    reserved_at=now,
                    polls=0,
                )
                .returning(*attempts.c)
            )
            return attempt_from(created.one())

    def resume(self, attempt_id: int, *, run_id: str, owner: str, day_cap: int | None = None) -> AttemptRow:
        """Go on with an attempt that ``claim`` handed out: from now on it is this run's and this owner's.

        What was sent is spent, so its reservation moves to this run without asking the cap; one that was only
        ``reserved`` must fit in (else CapReached, and it stays where it was). What is settled stays where it
        was settled. An earlier ``intent`` becomes ``unknown``: its reply is lost. Look at the returned state.
        """
        with self._database.write() as connection:
            generation, attempt = self._locked_attempt(connection, attempt_id)
            token = self._require_lease(generation)
            now = self._database.now(connection)
            values: dict[str, Any] = {"owner": owner, "lease": token}
            if attempt.charged is None:
                values["run_id"] = run_id
            if attempt.state == AttemptState.RESERVED:
                self._check_day(connection, day_cap, attempt.reserved, now, without=attempt_id)
                check_run(connection, run_id, attempt.reserved, without=attempt_id)
                values["reserved_at"] = now
            elif attempt.state == AttemptState.INTENT and attempt.intent_lease != token:
                values |= {"state": AttemptState.UNKNOWN, "unknown_at": now}
                values["error"] = "the process that sent the request ended before the reply was on record"
            elif attempt.state not in _LIVING or attempt.state == AttemptState.HELD:
                raise IllegalTransition(
                    f"attempt {attempt_id} is {attempt.state}: there is nothing to resume"
                )
            return update_attempt(connection, attempt_id, values)

    def run_money(self, run_id: str) -> RunMoney:
        """Sum up what the run has cost so far and holds."""
        with self._database.read() as connection:
            return _money(connection, attempts.c.run_id == run_id)

    def _check_day(
        self,
        connection: sa.Connection,
        cap: int | None,
        wanted: int,
        now: datetime,
        without: int | None = None,
    ) -> None:
        if cap is None:
            return
        if not self._database.is_sqlite:  # there, transactions that write wait for one another anyway
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_DAY_LOCK)))
        money = _money(connection, attempts.c.reserved_at >= day_start(now), without=without)
        _refuse_beyond(cap, money, wanted, per_day=True)


def check_run(connection: sa.Connection, run_id: str, wanted: int, without: int | None = None) -> None:
    """Raise CapReached unless the run's budget covers ``wanted`` beside everything else of the run."""
    cap = connection.execute(
        sa.select(runs.c.budget).where(runs.c.id == run_id).with_for_update()
    ).scalar_one()
    if cap is not None:
        _refuse_beyond(
            cap, _money(connection, attempts.c.run_id == run_id, without=without), wanted, per_day=False
        )


def _refuse_beyond(cap: int, money: RunMoney, wanted: int, *, per_day: bool) -> None:
    if money.charged + money.reserved + wanted > cap:
        raise CapReached(
            cap=cap, charged=money.charged, reserved=money.reserved, wanted=wanted, per_day=per_day
        )


def _money(
    connection: sa.Connection, which: sa.ColumnElement[bool], *, without: int | None = None
) -> RunMoney:
    settled = attempts.c.charged.is_not(None)
    query = sa.select(
        sa.func.coalesce(sa.func.sum(attempts.c.charged - attempts.c.refunded).filter(settled), 0),
        sa.func.coalesce(sa.func.sum(attempts.c.reserved).filter(~settled), 0),
    ).where(which)
    if without is not None:
        query = query.where(attempts.c.id != without)
    charged, reserved = connection.execute(query).one()
    return RunMoney(charged=int(charged), reserved=int(reserved))
