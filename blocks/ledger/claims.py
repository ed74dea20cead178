"""Who may work on a piece of work: leases, and what is done already."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from blocks.ledger.owners import LEASE_SECONDS, NO_LEASE, is_alive
from blocks.ledger.part import HeldLease, Part, attempt_from, chunks, update_attempt
from blocks.ledger.records import (
    AlreadyStored,
    AttemptRow,
    AttemptState,
    Busy,
    Claim,
    GenerationWork,
    Granted,
    HeldForPerson,
    IllegalTransition,
    PaidResult,
    StoredAsset,
    StoredGeneration,
)
from blocks.ledger.tables import assets, attempts, generation_assets, generations, owners

_RESUMABLE = (
    AttemptState.RESERVED,
    AttemptState.INTENT,
    AttemptState.UNKNOWN,
    AttemptState.SUBMITTED,
    AttemptState.COMPLETED,
)
_TAKEN_ON = (AttemptState.SUBMITTED, AttemptState.COMPLETED)


class Claims(Part):
    def find_stored(self, keys: Iterable[str]) -> dict[str, StoredGeneration]:
        """Find what is paid for and kept, by key. Whether the files still exist, the asset store knows."""
        with self._database.read() as connection:
            return stored_generations(connection, keys)

    def find_held(self, keys: Iterable[str]) -> dict[str, AttemptRow]:
        """Find the attempts that wait for a person, by key: nobody knows which prediction they made, if any."""
        with self._database.read() as connection:
            held = _find_attempts(connection, keys, (AttemptState.HELD,))
        return {key: attempt for key, attempt in held.items() if attempt.prediction_id is None}

    def find_begun(self, keys: Iterable[str]) -> dict[str, AttemptRow]:
        """Find the attempts whose prediction the service has taken on, by key: they are not sent again.

        One that is held because the account did not show its prediction counts: the next run asks for it again.
        """
        with self._database.read() as connection:
            begun = _find_attempts(connection, keys, (*_TAKEN_ON, AttemptState.HELD))
        return {key: attempt for key, attempt in begun.items() if attempt.prediction_id is not None}

    def find_unanswered(self, keys: Iterable[str]) -> dict[str, AttemptRow]:
        """Find the attempts whose request was sent, and of which nobody knows yet what came of it, by key."""
        with self._database.read() as connection:
            return _find_attempts(connection, keys, (AttemptState.INTENT, AttemptState.UNKNOWN))

    def find_paid_results(self, keys: Iterable[str]) -> dict[str, PaidResult]:
        """Find what was kept once and is not forgotten, by key, whether or not its bytes are on the disk still.

        What was opened again to be collected, and is not there yet, counts too; ``find_stored`` leaves that out.
        """
        # Only what was stored has the seconds of its download on record: an attempt without them is under way for
        # the first time, and what its piece of work has of assets came of an earlier one.
        opened_again = sa.and_(
            generations.c.state == "open",
            attempts.c.state == AttemptState.COMPLETED,
            attempts.c.download_s.is_not(None),
        )
        stored = sa.and_(generations.c.state == "stored", attempts.c.state == AttemptState.STORED)
        found: dict[str, PaidResult] = {}
        with self._database.read() as connection:
            for chunk in chunks(keys):
                query = (
                    sa.select(attempts)
                    .join(generations, attempts.c.generation_key == generations.c.key)
                    .where(attempts.c.generation_key.in_(chunk), sa.or_(stored, opened_again))
                    .order_by(attempts.c.number)
                )
                kept = _kept_assets(connection, chunk)
                for row in connection.execute(query):
                    attempt = attempt_from(row)
                    found[attempt.generation_key] = PaidResult(
                        tuple(kept.get(attempt.generation_key, ())), attempt
                    )
        return found

    def claim(self, work: GenerationWork, *, owner: str, run_id: str) -> Claim:
        """Take the lease on a piece of work, where nobody alive has it and there is something to do.

        Of two tasks of one process, too, only one is granted it. Give it back with ``release`` (in a
        ``finally``); ``stored`` gives it back by itself. After Busy, ask again. ``run_id`` is the run that
        wants the work done.

        A held attempt is granted where its prediction is known: whether the account shows that one by now can be
        asked free of charge, and ``go_on`` is for when it does. Without one, HeldForPerson is the answer.
        """
        # Most who ask while another works only want to hear that it goes on: that needs no writing.
        with self._database.read() as connection:
            answer = self._look(connection, work.key, owner, run_id)
        if answer is not None:
            return answer
        token = uuid.uuid4().hex
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._database.insert_missing(connection, generations, [new_generation(work, now)])
            self._locked_generation(connection, work.key)
            answer = self._look(connection, work.key, owner, run_id)
            if answer is not None:
                return answer
            connection.execute(
                sa.update(generations)
                .where(generations.c.key == work.key)
                .values(lease_owner=owner, lease_token=token, lease_run=run_id, leased_at=now)
            )
            attempt = _find_attempts(connection, [work.key], (*_RESUMABLE, AttemptState.HELD)).get(work.key)
        self._leases[work.key] = HeldLease(owner, token)
        return Granted(attempt)

    def go_on(self, attempt_id: int) -> AttemptRow:
        """Let a held attempt go on whose prediction the account shows after all, from where it was held.

        Its times stay: they say until when the service keeps its outputs. Raises IllegalTransition where it is
        not held any more, or where no prediction of it is known.
        """
        with self._database.write() as connection:
            _, attempt = self._locked_attempt(connection, attempt_id)
            if attempt.state is not AttemptState.HELD or attempt.prediction_id is None:
                raise IllegalTransition(f"attempt {attempt_id} is {attempt.state}: it cannot go on")
            state = AttemptState.COMPLETED if attempt.completed_at is not None else AttemptState.SUBMITTED
            return update_attempt(connection, attempt_id, {"state": state, "held_reason": None})

    def release(self, key: str, owner: str) -> None:
        """Give the lease back. Does nothing where it is another's, or was given back already."""
        lease = self._leases.get(key)
        if lease is None or lease.owner != owner:
            return
        with self._database.write() as connection:
            connection.execute(
                sa.update(generations)
                .where(generations.c.key == key, generations.c.lease_token == lease.token)
                .values(NO_LEASE)
            )
        self._leases.pop(key, None)

    def reopen(self, key: str) -> None:
        """Open stored work again, because its bytes are gone or damaged. Does nothing where it is open.

        Its attempt is ``completed`` once more: the next ``claim`` hands it out, to be downloaded again free
        of charge while the service has the outputs.
        """
        with self._database.write() as connection:
            generation = self._locked_generation(connection, key)
            if generation.state == "stored":
                connection.execute(
                    sa.update(generations)
                    .where(generations.c.key == key)
                    .values(state="open", stored_at=None, stored_by_run=None)
                )
                newest = (
                    sa.select(sa.func.max(attempts.c.number))
                    .where(attempts.c.generation_key == key, attempts.c.state == AttemptState.STORED)
                    .scalar_subquery()
                )
                connection.execute(
                    sa.update(attempts)
                    .where(attempts.c.generation_key == key, attempts.c.number == newest)
                    .values(state=AttemptState.COMPLETED, stored_at=None)
                )

    def close_again(self, attempt_id: int) -> None:
        """Undo ``reopen``: what is missing here is on another machine, and counts as kept. Gives the lease back.

        Raises LeaseLost where the work is another's by now.
        """
        with self._database.write() as connection:
            generation, attempt = self._locked_attempt(connection, attempt_id)
            self._require_lease(generation)
            kept = _kept_assets(connection, [attempt.generation_key])
            if attempt.prediction_id is None or not kept:
                raise IllegalTransition(f"attempt {attempt_id} was never kept: it cannot be closed again")
            now = self._database.now(connection)
            done = {"state": "stored", "stored_at": now, "stored_by_run": attempt.run_id}
            connection.execute(
                sa.update(generations)
                .where(generations.c.key == attempt.generation_key)
                .values(done | NO_LEASE)
            )
            stored = {"state": AttemptState.STORED, "stored_at": now, "held_reason": None}
            update_attempt(connection, attempt_id, stored)
        self._leases.pop(attempt.generation_key, None)

    def _look(self, connection: sa.Connection, key: str, owner: str, run_id: str) -> Claim | None:
        """Say what stands in the way of the lease; None: it can be had."""
        row = connection.execute(
            sa.select(generations.c.state, generations.c.lease_token, generations.c.lease_run, owners)
            .select_from(generations.outerjoin(owners, generations.c.lease_owner == owners.c.id))
            .where(generations.c.key == key)
        ).one_or_none()
        now = self._database.now(connection)
        if row is not None and row.state == "stored":
            return AlreadyStored(stored_generations(connection, [key])[key])
        held = _find_attempts(connection, [key], (AttemptState.HELD,)).get(key) if row is not None else None
        if held is not None and held.prediction_id is None:
            return HeldForPerson(held)
        until = lease_end(row, now) if row is not None else None
        if row is not None and until is not None:
            return Busy(row.id, row.lease_run, until)
        if key in self._leases:
            # Another task of this process believes that it has the lease, and has not noticed its loss yet.
            return Busy(owner, run_id, now + timedelta(seconds=LEASE_SECONDS))
        return None


def lease_end(row: sa.Row[Any], now: datetime) -> datetime | None:
    """Say when the lease of a generation's row, joined with its owner, runs out; None where none is alive."""
    if row.lease_token is None or not is_alive(row, now):
        return None
    until: datetime = row.heartbeat_at + timedelta(seconds=LEASE_SECONDS)
    return until


def new_generation(work: GenerationWork, now: datetime) -> dict[str, Any]:
    return {
        "key": work.key,
        "service": work.service,
        "provider": work.provider,
        "model": work.model,
        "stage": work.stage,
        "request": work.request,
        "inputs": [{"role": one.role, "sha256": one.sha256} for one in work.inputs],
        "take": work.take,
        "prompt": work.prompt,
        "state": "open",
        "created_at": now,
    }


def _find_attempts(
    connection: sa.Connection, keys: Iterable[str], states: tuple[AttemptState, ...]
) -> dict[str, AttemptRow]:
    """Find attempts in states of which, the database sees to that, a key has one attempt at most."""
    found: dict[str, AttemptRow] = {}
    for chunk in chunks(keys):
        query = sa.select(attempts).where(attempts.c.generation_key.in_(chunk), attempts.c.state.in_(states))
        for row in connection.execute(query):
            found[row.generation_key] = attempt_from(row)
    return found


def stored_generations(connection: sa.Connection, keys: Iterable[str]) -> dict[str, StoredGeneration]:
    """What is paid for and kept of these keys, within a transaction of the caller's."""
    found: dict[str, StoredGeneration] = {}
    for chunk in chunks(keys):
        kept = _kept_assets(connection, chunk)
        ids: dict[str, str] = {}
        made = (
            sa.select(attempts.c.generation_key, attempts.c.prediction_id)
            .where(attempts.c.generation_key.in_(chunk), attempts.c.state == AttemptState.STORED)
            .order_by(attempts.c.number)
        )
        for row in connection.execute(made):
            ids[row.generation_key] = row.prediction_id
        stored = sa.select(generations).where(generations.c.key.in_(chunk), generations.c.state == "stored")
        for row in connection.execute(stored):
            found[row.key] = StoredGeneration(
                key=row.key,
                model=row.model,
                stage=row.stage,
                assets=tuple(kept.get(row.key, ())),
                stored_at=row.stored_at,
                stored_by_run=row.stored_by_run,
                prediction_id=ids.get(row.key),
            )
    return found


def _kept_assets(connection: sa.Connection, keys: Sequence[str]) -> dict[str, list[StoredAsset]]:
    """In the service's order, by key; of no more keys than one query takes."""
    kept: dict[str, list[StoredAsset]] = {}
    query = (
        sa.select(generation_assets.c.generation_key, generation_assets.c.flagged_nsfw, assets)
        .join(assets, generation_assets.c.sha256 == assets.c.sha256)
        .where(generation_assets.c.generation_key.in_(keys))
        .order_by(generation_assets.c.generation_key, generation_assets.c.position)
    )
    for row in connection.execute(query):
        kept.setdefault(row.generation_key, []).append(_asset(row))
    return kept


def _asset(row: sa.Row[Any]) -> StoredAsset:
    return StoredAsset(
        sha256=row.sha256,
        media_type=row.media_type,
        bytes=row.bytes,
        width=row.width,
        height=row.height,
        duration_seconds=row.duration_seconds,
        frames_per_second=row.frames_per_second,
        has_sound=row.has_sound,
        flagged_nsfw=row.flagged_nsfw,
    )
