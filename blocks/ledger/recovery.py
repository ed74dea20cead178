"""Attempts whose prediction is not known, and what the service's own records say about them."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from blocks.errors import NeedsPerson
from blocks.ledger.attempts import check_step, settled_values, step_values, taken
from blocks.ledger.claims import lease_end
from blocks.ledger.owners import is_alive
from blocks.ledger.part import Part, attempt_from, chunks, plain, update_attempt
from blocks.ledger.records import (
    Adopt,
    AttemptRow,
    AttemptState,
    Decision,
    Hold,
    IllegalTransition,
    SendAgain,
    Settlement,
)
from blocks.ledger.tables import attempts, generations, owners

_WITHOUT_ID = (AttemptState.INTENT, AttemptState.UNKNOWN)
_OPEN_TO_PERSONS = (AttemptState.HELD, AttemptState.UNKNOWN)

# Given all attempts without an id and those of the history's ids that the ledger knows: what is certain.
Decide = Callable[[list[AttemptRow], set[str]], Sequence[Decision]]


class Recovery(Part):
    def attempts_without_id(self, service: str, model: str) -> list[AttemptRow]:
        """List every process's ``intent`` and ``unknown`` attempts of a model, the oldest first.

        Where ``posting`` is set, the attempt's owner is alive and may be in the POST right now.
        """
        with self._database.read() as connection:
            return self._without_id(connection, service, model)

    def unknown_ids(self, service: str, ids: Collection[str]) -> set[str]:
        """Pick those of the service's prediction ids that no attempt has."""
        with self._database.read() as connection:
            return set(ids) - _known(connection, service, ids)

    def sent_and_known(
        self, service: str, ids: Collection[str], since: datetime, *, earliest: datetime, newest: int = 20
    ) -> list[AttemptRow]:
        """List attempts whose predictions are known: those of ``ids``, those sent since, and the ``newest`` ones.

        None of the latter two was sent before ``earliest``.
        """
        known = sa.and_(attempts.c.service == service, attempts.c.prediction_id.is_not(None))
        since = max(since, earliest)
        latest = (
            sa.select(attempts.c.id)
            .where(known, attempts.c.intent_at >= earliest)
            .order_by(attempts.c.intent_at.desc())
            .limit(newest)
        )
        found: dict[int, AttemptRow] = {}
        with self._database.read() as connection:
            queries = [
                sa.select(attempts).where(known, attempts.c.intent_at >= since),
                sa.select(attempts).where(attempts.c.id.in_(latest)),
                *(
                    sa.select(attempts).where(known, attempts.c.prediction_id.in_(chunk))
                    for chunk in chunks(ids)
                ),
            ]
            for query in queries:
                found |= {row.id: attempt_from(row) for row in connection.execute(query)}
        return [found[key] for key in sorted(found)]

    def bodies_sent(self, service: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Read what was sent for those of the service's predictions that an attempt has, by prediction id."""
        found: dict[str, dict[str, Any]] = {}
        with self._database.read() as connection:
            for chunk in chunks(ids):
                query = sa.select(attempts.c.prediction_id, attempts.c.body).where(
                    attempts.c.service == service, attempts.c.prediction_id.in_(chunk)
                )
                found |= {row.prediction_id: row.body for row in connection.execute(query) if row.body}
        return found

    def decide(
        self, service: str, model: str, history_ids: Collection[str], decision: Decide
    ) -> list[AttemptRow]:
        """Apply what ``decision(attempts, known_ids)`` says, all or nothing, while nothing else can change.

        ``history_ids`` are the predictions that the service's history showed, read before this call;
        ``known_ids`` are those among them that an attempt has already. Attempts that get no decision stay as
        they are. Raises IllegalTransition for a decision about an attempt that is ``posting`` or not listed,
        and NeedsPerson where an adopted id is another attempt's. Returns the attempts decided about.
        """
        try:
            with self._database.write() as connection:
                # Generations first, in one order, as everyone locks them.
                keys = sa.select(attempts.c.generation_key).where(_is_without_id(service, model))
                connection.execute(
                    sa.select(generations.c.key)
                    .where(generations.c.key.in_(keys))
                    .order_by(generations.c.key)
                    .with_for_update()
                ).all()
                listed = self._without_id(connection, service, model, lock=True)
                known = _known(connection, service, history_ids)
                decisions = decision(list(listed), set(known))
                by_id = {attempt.id: attempt for attempt in listed}
                now = self._database.now(connection)
                return [_apply(connection, by_id.get(one.attempt_id), one, now) for one in decisions]
        except IntegrityError as error:
            raise NeedsPerson(taken("that was to be adopted")) from error

    def adopt(
        self, attempt_id: int, *, prediction_id: str, service_created_at: datetime | None = None
    ) -> AttemptRow:
        """Give a ``held`` or ``unknown`` attempt its prediction, as a person or the service's books say.

        It becomes ``submitted`` and is collected by the next run. Raises NeedsPerson where another attempt
        has the prediction.
        """
        try:
            with self._database.write() as connection:
                _, attempt = self._locked_attempt(connection, attempt_id)
                if attempt.state not in _OPEN_TO_PERSONS:
                    raise IllegalTransition(
                        f"attempt {attempt_id} is {attempt.state}: it cannot adopt a prediction"
                    )
                one = Adopt(attempt_id, prediction_id, service_created_at)
                return _apply(connection, attempt, one, self._database.now(connection))
        except IntegrityError as error:
            raise NeedsPerson(taken(prediction_id)) from error

    def send_again(self, attempt_id: int, *, of_another_account: bool = False) -> AttemptRow:
        """Let a ``held`` or ``unknown`` attempt be sent again by the next run: a person says it came to nothing.

        One that was sent ``of_another_account`` may be ``intent`` as well: nothing of ours decides it.
        """
        open_states = {*_OPEN_TO_PERSONS, *([AttemptState.INTENT] if of_another_account else [])}
        with self._database.write() as connection:
            _, attempt = self._locked_attempt(connection, attempt_id)
            if attempt.state not in open_states or attempt.prediction_id is not None:
                raise IllegalTransition(f"attempt {attempt_id} is {attempt.state}: it cannot be sent again")
            sent = _apply(
                connection, attempt, SendAgain(attempt_id, counts=False), self._database.now(connection)
            )
            # Somebody has looked: what was lost before counts no more.
            connection.execute(
                sa.update(attempts)
                .where(attempts.c.generation_key == attempt.generation_key)
                .values(resent=0)
            )
            return dataclasses.replace(sent, resent=0)

    def resent(self, keys: Collection[str]) -> dict[str, int]:
        """Count how often each piece of work was sent again after lost replies, since a person last looked."""
        found: dict[str, int] = {}
        with self._database.read() as connection:
            for chunk in chunks(keys):
                query = (
                    sa.select(attempts.c.generation_key, sa.func.sum(attempts.c.resent))
                    .where(attempts.c.generation_key.in_(chunk))
                    .group_by(attempts.c.generation_key)
                )
                found |= {key: int(count) for key, count in connection.execute(query)}
        return found

    def at_work(self, service: str) -> set[int]:
        """Pick the attempts that a living process is busy with: it made or resumed them, or claimed their work.

        May be asked within ``decide``: nobody can claim, resume or settle anything then.
        """
        with self._database.read() as connection:
            now = self._database.now(connection)
            alive = [row.id for row in connection.execute(sa.select(owners)).all() if is_alive(row, now)]
            query = (
                sa.select(attempts.c.id)
                .join(generations, attempts.c.generation_key == generations.c.key)
                .where(
                    attempts.c.service == service,
                    attempts.c.owner.in_(alive) | generations.c.lease_owner.in_(alive),
                )
            )
            return set(connection.execute(query).scalars())

    def settle(
        self,
        attempt_id: int,
        *,
        charged: int,
        refunded: int = 0,
        list_price: int | None = None,
        discounted_price: int | None = None,
        billed: bool = False,
        run_id: str,
    ) -> AttemptRow:
        """Book what a prediction cost. Needs no lease; may be repeated as the service's books change.

        ``billed``: the account's bill says so, and later runs may learn from it. The first run that settles an attempt
        is the run it is charged in.
        """
        if charged < 0 or refunded < 0:
            raise ValueError("what was charged and refunded are amounts of zero or more")
        with self._database.write() as connection:
            _, attempt = self._locked_attempt(connection, attempt_id)
            if attempt.prediction_id is None:
                raise IllegalTransition(f"attempt {attempt_id} has no prediction that could be billed")
            settlement = Settlement(charged, refunded, list_price, discounted_price, billed)
            now = self._database.now(connection)
            return update_attempt(connection, attempt_id, settled_values(attempt, settlement, run_id, now))

    def unsettled(self, run_id: str | None = None) -> list[AttemptRow]:
        """List attempts whose prediction's cost is not booked yet, of one run or all; the oldest first."""
        query = (
            sa.select(attempts)
            .where(attempts.c.prediction_id.is_not(None), attempts.c.charged.is_(None))
            .order_by(attempts.c.id)
        )
        if run_id is not None:
            query = query.where(attempts.c.run_id == run_id)
        with self._database.read() as connection:
            return [attempt_from(row) for row in connection.execute(query)]

    def _without_id(
        self, connection: sa.Connection, service: str, model: str, *, lock: bool = False
    ) -> list[AttemptRow]:
        query = sa.select(attempts).where(_is_without_id(service, model)).order_by(attempts.c.id)
        rows = connection.execute(query.with_for_update() if lock else query).all()
        now = self._database.now(connection)
        return [
            dataclasses.replace(attempt, posting=_is_posting(connection, attempt, now))
            for attempt in map(attempt_from, rows)
        ]


def _is_without_id(service: str, model: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        attempts.c.service == service, attempts.c.model == model, attempts.c.state.in_(_WITHOUT_ID)
    )


def _is_posting(connection: sa.Connection, attempt: AttemptRow, now: datetime) -> bool:
    if attempt.state != AttemptState.INTENT:
        return False
    row = connection.execute(
        sa.select(generations.c.lease_token, owners)
        .select_from(generations.outerjoin(owners, generations.c.lease_owner == owners.c.id))
        .where(generations.c.key == attempt.generation_key)
    ).one()
    return row.lease_token == attempt.intent_lease and lease_end(row, now) is not None


def _known(connection: sa.Connection, service: str, ids: Collection[str]) -> set[str]:
    known: set[str] = set()
    for chunk in chunks(ids):
        query = sa.select(attempts.c.prediction_id).where(
            attempts.c.service == service, attempts.c.prediction_id.in_(chunk)
        )
        known.update(connection.execute(query).scalars())
    return known


def _apply(
    connection: sa.Connection, attempt: AttemptRow | None, decision: Decision, now: datetime
) -> AttemptRow:
    if attempt is None or attempt.posting:
        raise IllegalTransition(f"nothing can be decided now about attempt {decision.attempt_id}")
    values: dict[str, Any]
    match decision:
        case Adopt():
            state = AttemptState.SUBMITTED
            values = {
                "prediction_id": decision.prediction_id,
                "service_created_at": decision.service_created_at,
                "error": None,
            }
        case Hold():
            state = AttemptState.HELD
            values = {"held_reason": plain(decision.reason)}
        case SendAgain():
            state = AttemptState.RESERVED
            # Whoever sent it before has no say any more: a late reply must not pass for the next one's.
            values = {"intent_lease": None, "resent": attempt.resent + decision.counts}
    check_step(attempt, state)
    return update_attempt(connection, attempt.id, step_values(state, now) | values)
