"""Paid work that the ledger lacks, because it was lost or is an older copy, taken over from what else knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from blocks.ledger.attempts import asset_row
from blocks.ledger.claims import new_generation
from blocks.ledger.owners import NO_LEASE
from blocks.ledger.part import Part
from blocks.ledger.records import AttemptState, GenerationWork, RunRow, StoredAsset
from blocks.ledger.tables import assets as assets_table
from blocks.ledger.tables import attempts, generation_assets, generations, runs

_WITHOUT_END = (
    AttemptState.RESERVED,
    AttemptState.INTENT,
    AttemptState.UNKNOWN,
    AttemptState.SUBMITTED,
    AttemptState.COMPLETED,
    AttemptState.HELD,
)


@dataclass(frozen=True)
class PastResult:
    """One prediction that was paid for. With ``assets`` it is kept; with an ``error`` it failed; else it is collected.

    Money in millionths; ``charged`` is None where it is not known. ``made_at`` is when it was sent.
    """

    work: GenerationWork
    prediction_id: str
    made_at: datetime
    estimated: int
    charged: int | None = None
    refunded: int = 0
    assets: tuple[StoredAsset, ...] = ()
    error_code: str | None = None
    error: str | None = None
    account: str | None = None

    @property
    def state(self) -> AttemptState:
        if self.assets:
            return AttemptState.STORED
        return AttemptState.FAILED if self.error is not None else AttemptState.SUBMITTED


class TakingOver(Part):
    def knows_run(self, run_id: str) -> bool:
        """Look whether a run of this id is in the ledger."""
        with self._database.read() as connection:
            return bool(connection.execute(sa.select(sa.exists().where(runs.c.id == run_id))).scalar_one())

    def take_over(self, run: RunRow, record: str | None, results: Sequence[PastResult]) -> int:
        """Enter a past run and what it had paid for; return how many predictions were not known as far as that.

        What the ledger has of them already is only taken further, never back. To be called for the oldest run first.
        """
        with self._database.write() as connection:
            row = {name: getattr(run, name) for name in RunRow.__dataclass_fields__} | {"record": record}
            self._database.insert_missing(connection, runs, [row])
            return sum(self._take(connection, run, result) for result in results)

    def _take(self, connection: sa.Connection, run: RunRow, result: PastResult) -> bool:
        now = self._database.now(connection)
        key, work = result.work.key, result.work
        self._database.insert_missing(connection, generations, [new_generation(work, now)])
        self._locked_generation(connection, key)
        made = sa.select(attempts).where(attempts.c.service == work.service)
        known = connection.execute(made.where(attempts.c.prediction_id == result.prediction_id)).one_or_none()
        if known is not None and (known.generation_key != key or known.state not in _WITHOUT_END):
            return False
        if known is not None and result.state is AttemptState.SUBMITTED:
            return False
        if known is None:
            # The request that the ledger knows no answer of is the one that was answered later.
            lost = made.where(
                attempts.c.generation_key == key,
                attempts.c.prediction_id.is_(None),
                attempts.c.state.in_(_WITHOUT_END),
            )
            known = connection.execute(lost).one_or_none()
        living = connection.execute(
            sa.select(attempts.c.id).where(
                attempts.c.generation_key == key, attempts.c.state.in_(_WITHOUT_END)
            )
        ).scalar_one_or_none()
        if result.state is AttemptState.SUBMITTED and living is not None and known is None:
            return False
        values = _values(run, result, now)
        if known is None:
            number = sa.select(sa.func.coalesce(sa.func.max(attempts.c.number), 0)).where(
                attempts.c.generation_key == key
            )
            connection.execute(
                sa.insert(attempts).values(
                    generation_key=key,
                    number=connection.execute(number).scalar_one() + 1,
                    service=work.service,
                    model=work.model,
                    run_id=run.id,
                    estimated=result.estimated,
                    reserved=result.estimated,
                    reserved_at=result.made_at,
                    owner="",
                    lease="",
                    polls=0,
                    input_sha256s=[one.sha256 for one in work.inputs],
                    **values,
                )
            )
        else:
            connection.execute(sa.update(attempts).where(attempts.c.id == known.id).values(**values))
        if result.assets:
            self._keep(connection, run, result, now)
        return True

    def _keep(self, connection: sa.Connection, run: RunRow, result: PastResult, now: datetime) -> None:
        key = result.work.key
        rows = sorted((asset_row(asset, now) for asset in result.assets), key=lambda row: str(row["sha256"]))
        self._database.insert_missing(connection, assets_table, rows)
        connection.execute(sa.delete(generation_assets).where(generation_assets.c.generation_key == key))
        connection.execute(
            sa.insert(generation_assets),
            [
                {
                    "generation_key": key,
                    "position": position,
                    "sha256": asset.sha256,
                    "flagged_nsfw": asset.flagged_nsfw,
                }
                for position, asset in enumerate(result.assets, start=1)
            ],
        )
        done = {"state": "stored", "stored_at": result.made_at, "stored_by_run": run.id}
        connection.execute(sa.update(generations).where(generations.c.key == key).values(done | NO_LEASE))


def _values(run: RunRow, result: PastResult, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": result.state,
        "prediction_id": result.prediction_id,
        "refunded": result.refunded,
        "submitted_at": result.made_at,
        "account": result.account,
        "error_code": result.error_code,
        "error": result.error,
        "held_reason": None,
    }
    if result.charged is not None:
        values |= {"charged": result.charged, "settled_at": now, "settled_run_id": run.id}
    if result.state is AttemptState.STORED:
        values |= {"completed_at": result.made_at, "stored_at": result.made_at, "download_s": 0.0}
    if result.state is AttemptState.FAILED:
        values["failed_at"] = result.made_at
    return values
