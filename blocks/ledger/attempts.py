"""The steps of an attempt, each one committed and on disk before the method returns.

Decisions (to reserve, to send) need the lease. What came of a request may be told by whoever sent it, even
after losing the lease: a paid prediction's id is not refused for being late.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from blocks.errors import NeedsPerson
from blocks.ledger.alone import require_alone
from blocks.ledger.budget import check_day, check_run
from blocks.ledger.facts import count_intent
from blocks.ledger.owners import NO_LEASE
from blocks.ledger.part import Part, attempt_from, day_start, lease_lost, plain, update_attempt
from blocks.ledger.records import AttemptRow, AttemptState, IllegalTransition, Reply, Settlement, StoredAsset
from blocks.ledger.tables import assets as assets_table
from blocks.ledger.tables import attempts, generation_assets, generations, owners

ALLOWED: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.RESERVED: frozenset({AttemptState.INTENT, AttemptState.WITHDRAWN}),
    AttemptState.INTENT: frozenset(
        {
            AttemptState.SUBMITTED,
            AttemptState.RESERVED,  # it was not accepted: 429, no connection
            AttemptState.UNKNOWN,
            AttemptState.WITHDRAWN,  # it was refused: key, credit, a bad parameter
            AttemptState.FAILED,
            AttemptState.HELD,
        }
    ),
    AttemptState.UNKNOWN: frozenset({AttemptState.SUBMITTED, AttemptState.RESERVED, AttemptState.HELD}),
    AttemptState.SUBMITTED: frozenset({AttemptState.COMPLETED, AttemptState.FAILED, AttemptState.HELD}),
    AttemptState.COMPLETED: frozenset({AttemptState.STORED, AttemptState.FAILED, AttemptState.HELD}),
    # What a person, or the service's records later on, may find out about it.
    AttemptState.HELD: frozenset(
        {AttemptState.SUBMITTED, AttemptState.COMPLETED, AttemptState.RESERVED, AttemptState.FAILED}
    ),
    AttemptState.STORED: frozenset({AttemptState.COMPLETED}),  # its bytes were lost: collected again
    AttemptState.FAILED: frozenset(),
    AttemptState.WITHDRAWN: frozenset(),
}


class Attempts(Part):
    def attempt(self, attempt_id: int) -> AttemptRow:
        """Read an attempt as it stands. Raises LookupError where there is none of this id."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(attempts).where(attempts.c.id == attempt_id)).one_or_none()
        if row is None:
            raise LookupError(f"the ledger has no attempt {attempt_id}")
        return attempt_from(row)

    def attempts(
        self,
        *,
        run_id: str | None = None,
        settled_run_id: str | None = None,
        state: AttemptState | None = None,
        key: str | None = None,
    ) -> list[AttemptRow]:
        """List attempts, the oldest first: those at home in a run, charged in a run, in a state, of a key."""
        query = sa.select(attempts).order_by(attempts.c.id)
        if run_id is not None:
            query = query.where(attempts.c.run_id == run_id)
        if settled_run_id is not None:
            query = query.where(attempts.c.settled_run_id == settled_run_id)
        if state is not None:
            query = query.where(attempts.c.state == state)
        if key is not None:
            query = query.where(attempts.c.generation_key == key)
        with self._database.read() as connection:
            return [attempt_from(row) for row in connection.execute(query)]

    def intend(
        self,
        attempt_id: int,
        *,
        body: Mapping[str, Any],
        input_sha256s: Sequence[str],
        request_timeout_s: float,
        queue_s: float | None = None,
        upload_s: float | None = None,
        day_cap: int | None = None,
        worst_case: int = 0,
        alone: bool = False,
        account: str | None = None,
        balance_before: int | None = None,
        balance_at: datetime | None = None,
        skew_low: float | None = None,
        skew_high: float | None = None,
    ) -> AttemptRow:
        """Step ``reserved → intent``: right before the POST of ``body``, which is to follow at once.

        ``account`` is a fingerprint of whose key it leaves with, ``balance_before`` that account's credit in
        millionths at ``balance_at``, ``skew_low`` and ``skew_high`` bound the service's clock less the ledger's in
        seconds: by these a lost reply is judged.

        ``worst_case`` is what it may cost at today's price: a reservation from before that price is raised to it. The
        last door before the money: raises CapReached where the run, or the day, has no room for that, or has come to
        be over its budget since (by what it resumed, or was charged), LeaseLost where the work is another's, and, if
        it is to be ``alone``, AnotherUnderWay where another request of the model is under way, or its fate is being
        looked for.
        """
        with self._database.write() as connection:
            generation, attempt = self._locked_attempt(connection, attempt_id)
            token = self._require_lease(generation)
            self._require_mine(attempt, by_sender=False)
            check_step(attempt, AttemptState.INTENT)
            now = self._database.now(connection)
            if alone:
                require_alone(self._database, connection, attempt, now)
            # What was reserved on another day is spent today.
            overnight = attempt.reserved_at < day_start(now)
            held = max(attempt.reserved, worst_case)
            more = held - attempt.reserved
            check_day(self._database, connection, attempt.service, day_cap, held if overnight else more, now)
            check_run(connection, attempt.run_id, more, now)
            # Whoever looks from now on finds the lease alive while the request is under way.
            connection.execute(
                sa.update(owners).where(owners.c.id == generation.lease_owner).values(heartbeat_at=now)
            )
            values = {
                "state": AttemptState.INTENT,
                "intent_at": now,
                "unknown_at": None,
                "reserved": held,
                "reserved_at": now if overnight else attempt.reserved_at,
                "intent_lease": token,
                "error": None,
                "body": dict(body),
                "input_sha256s": list(input_sha256s),
                "request_timeout_s": request_timeout_s,
                "queue_s": queue_s,
                "upload_s": upload_s,
                "account": account,
                "balance_before": balance_before,
                "balance_at": balance_at,
                "skew_low": skew_low,
                "skew_high": skew_high,
                "reply": None,
            }
            intended = update_attempt(connection, attempt_id, values)
            count_intent(connection)
            return intended

    def may_send(self, attempt_id: int) -> bool:
        """Look whether an intent is still this process's to carry out: nobody has taken the work over."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(attempts.c.generation_key, attempts.c.state, attempts.c.intent_lease)
                .add_columns(generations.c.lease_token)
                .join(generations, attempts.c.generation_key == generations.c.key)
                .where(attempts.c.id == attempt_id)
            ).one()
        token = self._token(row.generation_key)
        return bool(row.state == AttemptState.INTENT and token == row.intent_lease == row.lease_token)

    def submitted(
        self,
        attempt_id: int,
        prediction_id: str,
        *,
        service_created_at: datetime | None = None,
        submit_s: float | None = None,
    ) -> AttemptRow:
        """Step ``intent → submitted``: the service accepted it. Telling the same id twice is fine.

        Raises NeedsPerson, changing nothing, where another attempt has this id already.
        """
        values = {
            "prediction_id": prediction_id,
            "service_created_at": service_created_at,
            "submit_s": submit_s,
            "error": None,
        }
        try:
            return self._step(attempt_id, AttemptState.SUBMITTED, values, by_sender=True)
        except IntegrityError as error:
            raise NeedsPerson(taken(prediction_id)) from error

    def not_sent(self, attempt_id: int) -> AttemptRow:
        """Step back ``intent → reserved``: certainly nothing was created (429, no connection)."""
        return self._step(attempt_id, AttemptState.RESERVED, {}, by_sender=True)

    def unknown(self, attempt_id: int, reason: str, *, reply: Reply = Reply.LOST) -> AttemptRow:
        """Step ``intent → unknown``: the POST may have been accepted, its id is not known."""
        values = {"error": plain(reason), "reply": reply}
        return self._step(attempt_id, AttemptState.UNKNOWN, values, by_sender=True)

    def completed(
        self,
        attempt_id: int,
        *,
        outputs: Sequence[str],
        nsfw: Sequence[bool] = (),
        inference_s: float | None = None,
        detect_s: float | None = None,
        detected_at: datetime | None = None,
        polls: int = 0,
    ) -> AttemptRow:
        """Step ``submitted → completed``: the outputs' addresses are known. ``polls`` are added up."""
        values = {
            "outputs": list(outputs),
            "nsfw": list(nsfw),
            "inference_s": inference_s,
            "detect_s": detect_s,
            "detected_at": detected_at,
            "polls": attempts.c.polls + polls,
        }
        return self._step(attempt_id, AttemptState.COMPLETED, values)

    def stored(
        self,
        attempt_id: int,
        assets: Sequence[StoredAsset],
        *,
        run_id: str,
        download_s: float | None = None,
        settlement: Settlement | None = None,
    ) -> AttemptRow:
        """Step ``completed → stored``: the verified bytes are kept. Gives the lease back.

        A ``settlement``, where the cost is known already, is booked in the same transaction.
        """
        with self._database.write() as connection:
            _, attempt = self._locked_attempt(connection, attempt_id)
            self._require_mine(attempt, by_sender=False)
            check_step(attempt, AttemptState.STORED)
            now = self._database.now(connection)
            key = attempt.generation_key
            # Sorted: two transactions that keep the same assets must not wait for each other in a circle.
            rows = sorted((asset_row(asset, now) for asset in assets), key=lambda row: str(row["sha256"]))
            self._database.insert_missing(connection, assets_table, rows)
            connection.execute(sa.delete(generation_assets).where(generation_assets.c.generation_key == key))
            places = [
                {
                    "generation_key": key,
                    "position": position,
                    "sha256": asset.sha256,
                    "flagged_nsfw": asset.flagged_nsfw,
                }
                for position, asset in enumerate(assets, start=1)
            ]
            if places:
                connection.execute(sa.insert(generation_assets), places)
            done = {"state": "stored", "stored_at": now, "stored_by_run": run_id}
            connection.execute(sa.update(generations).where(generations.c.key == key).values(done | NO_LEASE))
            values = {"state": AttemptState.STORED, "stored_at": now, "download_s": download_s}
            if settlement is not None:
                values |= settled_values(attempt, settlement, run_id, now)
            row = update_attempt(connection, attempt_id, values)
        self._leases.pop(key, None)
        return row

    def failed(
        self,
        attempt_id: int,
        *,
        code: str | None,
        message: str,
        run_id: str,
        polls: int = 0,
        settlement: Settlement | None = None,
    ) -> AttemptRow:
        """Record that the prediction ended without outputs, or that none came of the request.

        With a prediction, the reservation goes on counting until it is settled; without one, nothing can be
        billed, and it is settled at 0.
        """
        with self._database.write() as connection:
            _, attempt = self._locked_attempt(connection, attempt_id)
            self._require_mine(attempt, by_sender=False)
            check_step(attempt, AttemptState.FAILED)
            now = self._database.now(connection)
            values: dict[str, Any] = {
                "state": AttemptState.FAILED,
                "failed_at": now,
                "error_code": code,
                "error": plain(message),
                "polls": attempt.polls + polls,
            }
            if attempt.prediction_id is None:
                settlement = Settlement(charged=0)
            if settlement is not None:
                values |= settled_values(attempt, settlement, run_id, now)
            return update_attempt(connection, attempt_id, values)

    def held(self, attempt_id: int, reason: str) -> AttemptRow:
        """Keep the attempt for a person; ``reason`` says why. Its reservation goes on counting."""
        return self._step(attempt_id, AttemptState.HELD, {"held_reason": plain(reason)})

    def withdrawn(self, attempt_id: int, reason: str) -> AttemptRow:
        """Release the reservation: nothing was sent, or the request was refused; nothing is billed."""
        return self._step(attempt_id, AttemptState.WITHDRAWN, {"error": plain(reason), "reserved": 0})

    def _step(
        self, attempt_id: int, state: AttemptState, values: dict[str, Any], *, by_sender: bool = False
    ) -> AttemptRow:
        with self._database.write() as connection:
            _, attempt = self._locked_attempt(connection, attempt_id)
            self._require_mine(attempt, by_sender=by_sender)
            if attempt.state == state == AttemptState.UNKNOWN:
                # Resumed before its own answer was on record. That it was taken on is worth more than silence.
                if values["reply"] != Reply.ACCEPTED:
                    return attempt
                return update_attempt(connection, attempt_id, {"reply": Reply.ACCEPTED})
            if (
                state == AttemptState.SUBMITTED
                and attempt.prediction_id is not None
                and attempt.prediction_id == values["prediction_id"]
            ):
                return attempt  # adopted from the history before its own reply was on record
            check_step(attempt, state)
            return update_attempt(
                connection, attempt_id, step_values(state, self._database.now(connection)) | values
            )

    def _require_mine(self, attempt: AttemptRow, *, by_sender: bool) -> None:
        """``by_sender``: what came of a request, whoever sent it may say, even after losing the lease."""
        token = self._token(attempt.generation_key)
        rights = {attempt.lease, attempt.intent_lease} if by_sender else {attempt.lease}
        if token is None or token not in rights:
            raise lease_lost(attempt.generation_key)


def check_step(attempt: AttemptRow, state: AttemptState) -> None:
    if state not in ALLOWED[attempt.state]:
        raise IllegalTransition(f"attempt {attempt.id} is {attempt.state} and cannot become {state}")


def step_values(state: AttemptState, now: datetime) -> dict[str, Any]:
    """Give the new state and its moment. Back to ``reserved`` keeps the moment of the reservation."""
    return {"state": state} if state == AttemptState.RESERVED else {"state": state, f"{state}_at": now}


def settled_values(attempt: AttemptRow, settlement: Settlement, run_id: str, now: datetime) -> dict[str, Any]:
    """Give what settling changes: the first run to settle is charged, later news correct the amounts only."""
    values: dict[str, Any] = {
        "charged": settlement.charged,
        "refunded": settlement.refunded,
        "settled_at": now,
        "settled_run_id": attempt.settled_run_id or run_id,
    }
    if settlement.list_price is not None:
        values["list_price"] = settlement.list_price
    if settlement.billed:
        values["billed_at"] = now
    if settlement.discounted_price is not None:
        values["discounted_price"] = settlement.discounted_price
    return values


def taken(prediction_id: str) -> str:
    return (
        f"the service gave the prediction {prediction_id} to two requests; look at it in the account's "
        "history, then run `campaign reconcile`"
    )


def asset_row(asset: StoredAsset, now: datetime) -> dict[str, Any]:
    return {
        "sha256": asset.sha256,
        "media_type": asset.media_type,
        "bytes": asset.bytes,
        "width": asset.width,
        "height": asset.height,
        "duration_seconds": asset.duration_seconds,
        "frames_per_second": asset.frames_per_second,
        "has_sound": asset.has_sound,
        "created_at": now,
    }
