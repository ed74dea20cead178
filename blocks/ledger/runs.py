"""Runs: when, of which campaign, under which budget, and the record of what came of them."""

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from blocks.errors import InvalidInput
from blocks.ledger.owners import is_alive
from blocks.ledger.part import Part, chunks, update_attempt
from blocks.ledger.records import AttemptRow, RunRow, SettledSums, UsualSeconds
from blocks.ledger.tables import attempts, owners, runs

_LONGEST_CAMPAIGN_NAME = 40
# Everything about a run but its record, which is as large as the campaign.
_ROW = [column for column in runs.c if column.name != "record"]
_LEARNT_FROM = 200


def new_run_id(campaign: str, now: datetime, *, simulated: bool = False) -> str:
    """Make a safe file name such as ``20261121-031500-spring-a1b2``; ``now`` is UTC.

    A simulated run's begins with ``simulated-``: whatever is taken out of its tables still says what it is.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", campaign).strip("-")[:_LONGEST_CAMPAIGN_NAME].strip("-")
    mark = "simulated-" if simulated else ""
    return f"{mark}{now:%Y%m%d-%H%M%S}-{name or 'campaign'}-{secrets.token_hex(2)}"


class Runs(Part):
    def start_run(
        self,
        *,
        campaign: str,
        csv_path: str,
        csv_sha256: str,
        service: str,
        provider: str,
        out: str,
        budget: int | None = None,
        flow_run_id: str | None = None,
    ) -> RunRow:
        """Enter a new run, whose id no other has. ``budget`` in millionths of a dollar; None: no cap."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            values = {
                "campaign": campaign,
                "csv_path": csv_path,
                "csv_sha256": csv_sha256,
                "service": service,
                "provider": provider,
                "out": out,
                "budget": budget,
                "started_at": now,
                "flow_run_id": flow_run_id,
            }
            while True:
                run_id = new_run_id(campaign, now, simulated=provider == "simulator")
                taken = sa.select(sa.exists().where(runs.c.id == run_id))
                if not connection.execute(taken).scalar_one():
                    break
            created = connection.execute(sa.insert(runs).values(id=run_id, **values).returning(*_ROW))
            return _run(created.one())

    def end_run(
        self, run_id: str, *, exit_status: int, record_json: str | None, ended_at: datetime | None = None
    ) -> RunRow:
        """Close the run. ``record_json`` is what ``campaign report`` draws tables and page from later."""
        with self._database.write() as connection:
            changed = (
                sa.update(runs)
                .where(runs.c.id == run_id)
                .values(
                    exit_status=exit_status,
                    record=record_json,
                    ended_at=ended_at or self._database.now(connection),
                )
                .returning(*_ROW)
            )
            return _run(connection.execute(changed).one())

    def inherit(self, keys: Iterable[str], run_id: str, owner: str) -> list[AttemptRow]:
        """Charge to this run what runs that died had settled of these pieces of work; return those attempts.

        A run that was killed left no table: without this, what it paid for would be in none. From now on they are
        the ``owner``'s, whom nobody takes for dead while this run lives: two heirs would charge the same twice.
        """
        inherited: list[AttemptRow] = []
        with self._database.write() as connection:
            now = self._database.now(connection)
            for chunk in chunks(keys):
                inherited += [
                    update_attempt(connection, row.attempt_id, {"settled_run_id": run_id, "owner": owner})
                    for row in _left_by_the_dead(connection, chunk, now)
                    if row.settled_run_id != run_id
                ]
        return inherited

    def unaccounted(self, keys: Iterable[str]) -> int:
        """Sum up, refunds taken off, what ``inherit`` would charge to a run of these pieces of work by now."""
        with self._database.read() as connection:
            # Hardly ever is there one: no need to ask about thousands of keys then.
            if not connection.execute(sa.select(sa.exists().where(runs.c.ended_at.is_(None)))).scalar_one():
                return 0
            now = self._database.now(connection)
            return sum(
                row.charged - row.refunded
                for chunk in chunks(keys)
                for row in _left_by_the_dead(connection, chunk, now)
            )

    def has_unaccounted(self, keys: Iterable[str]) -> bool:
        """Look whether a run that has not ended, a dead one most likely, settled attempts at this work."""
        with self._database.read() as connection:
            for chunk in chunks(keys):
                query = sa.select(
                    sa.exists()
                    .where(attempts.c.settled_run_id == runs.c.id)
                    .where(attempts.c.generation_key.in_(chunk), runs.c.ended_at.is_(None))
                )
                if connection.execute(query).scalar_one():
                    return True
        return False

    def runs(self) -> list[RunRow]:
        """List all runs, the newest first."""
        with self._database.read() as connection:
            query = sa.select(*_ROW).order_by(runs.c.started_at.desc(), runs.c.id.desc())
            return [_run(row) for row in connection.execute(query)]

    def run(self, run_id: str) -> RunRow:
        """Find one run, by its id or as ``latest``. Raises InvalidInput where there is none."""
        query = sa.select(*_ROW).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(1)
        if run_id != "latest":
            query = query.where(runs.c.id == run_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is not None:
            return _run(row)
        if run_id == "latest":
            raise InvalidInput("there is no run yet; start one with `campaign run CSV`")
        raise InvalidInput(f"there is no run {_visible(run_id)}; `campaign runs` lists those there are")

    def run_record(self, run_id: str) -> str | None:
        """Read the JSON that ``end_run`` was given; None while the run has not ended."""
        run = self.run(run_id)
        with self._database.read() as connection:
            record: str | None = connection.execute(
                sa.select(runs.c.record).where(runs.c.id == run.id)
            ).scalar_one()
            return record

    def settled_sums(self) -> dict[str, SettledSums]:
        """Sum up by run what is charged in it; runs in which nothing is have no entry.

        They change whenever a bill is read anew: whoever keeps a figure of a run sees by them that it is out of date.
        """
        query = (
            sa.select(
                attempts.c.settled_run_id,
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(attempts.c.charged), 0),
                sa.func.coalesce(sa.func.sum(attempts.c.refunded), 0),
            )
            .where(attempts.c.settled_run_id.is_not(None))
            .group_by(attempts.c.settled_run_id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return {
            run: SettledSums(int(number), int(charged), int(refunded))
            for run, number, charged, refunded in rows
        }

    def records_with(self, text: str, *, most: int = 5) -> list[tuple[RunRow, str]]:
        """Find the newest runs whose record has a text in it, such as an asset's sha256, and their records."""
        query = (
            sa.select(*_ROW, runs.c.record)
            .where(runs.c.record.contains(text, autoescape=True))
            .order_by(runs.c.started_at.desc(), runs.c.id.desc())
            .limit(most)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it
        return [(RunRow(**{k: v for k, v in row.items() if k != "record"}), row["record"]) for row in found]

    def usual_seconds(self, service: str, model: str) -> UsualSeconds | None:
        """Learn how long the model's last 200 predictions took; None where nothing is known yet."""
        query = (
            sa.select(attempts.c.inference_s)
            .where(
                attempts.c.service == service,
                attempts.c.model == model,
                attempts.c.inference_s.is_not(None),
            )
            .order_by(attempts.c.completed_at.desc(), attempts.c.id.desc())
            .limit(_LEARNT_FROM)
        )
        with self._database.read() as connection:
            seconds = sorted(connection.execute(query).scalars())
        if not seconds:
            return None
        return UsualSeconds(
            count=len(seconds),
            p10=_percentile(seconds, 10),
            p50=_percentile(seconds, 50),
            p90=_percentile(seconds, 90),
        )


def _left_by_the_dead(connection: sa.Connection, keys: Sequence[str], now: datetime) -> list[sa.Row[Any]]:
    """Attempts at these pieces of work that are settled in a run that has not ended and that nobody alive works for."""
    query = (
        sa.select(
            attempts.c.id.label("attempt_id"),
            attempts.c.settled_run_id,
            attempts.c.charged,
            attempts.c.refunded,
            owners,
        )
        .select_from(
            attempts.join(runs, attempts.c.settled_run_id == runs.c.id).outerjoin(
                owners, attempts.c.owner == owners.c.id
            )
        )
        .where(attempts.c.generation_key.in_(keys), runs.c.ended_at.is_(None))
    )
    return [row for row in connection.execute(query).all() if not is_alive(row, now)]


def _visible(run_id: str) -> str:
    """As somebody typed or pasted it, hidden and reordering characters spelt out."""
    return "".join(c if c.isprintable() else f"[U+{ord(c):04X}]" for c in run_id[:200])


def _percentile(ordered: list[float], percent: int) -> float:
    """Find the smallest value that at least ``percent`` of all do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _run(row: sa.Row[Any]) -> RunRow:
    return RunRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
