"""One request of a model at a time, across all processes of a ledger.

Where the account's history does not show what was sent, it cannot tell two lost replies apart. So no second request of
the model leaves while one is under way, or while it is being found out what became of one.
"""

import zlib
from datetime import datetime

import sqlalchemy as sa

from blocks.ledger.database import Database
from blocks.ledger.owners import is_alive
from blocks.ledger.records import AnotherUnderWay, AttemptRow, AttemptState
from blocks.ledger.tables import attempts, generations, owners

# PostgreSQL: the first half of an advisory lock's name; the second half stands for service and model.
_MODEL_LOCK = 0x6B6C_696E


def require_alone(database: Database, connection: sa.Connection, attempt: AttemptRow, now: datetime) -> None:
    """Raise AnotherUnderWay unless no other attempt of the model may be accepted at this moment.

    What a dead process left open does not count: nobody sends it, and whoever takes it up looks for it first.
    """
    if not database.is_sqlite:  # there, transactions that write wait for one another anyway
        half = zlib.crc32(f"{attempt.service} {attempt.model}".encode()) - 2**31
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MODEL_LOCK, half)))
    query = (
        sa.select(owners)
        .select_from(
            attempts.join(generations, attempts.c.generation_key == generations.c.key).join(
                owners, generations.c.lease_owner == owners.c.id
            )
        )
        .where(
            attempts.c.service == attempt.service,
            attempts.c.model == attempt.model,
            attempts.c.state.in_((AttemptState.INTENT, AttemptState.UNKNOWN)),
            attempts.c.id != attempt.id,
        )
    )
    if any(is_alive(row, now) for row in connection.execute(query).all()):
        raise AnotherUnderWay(f"another request of {attempt.model} is under way")
