"""The ledger's tables. Money is whole millionths of a dollar; moments are UTC; durations are seconds.

The migrations under ``migrations/`` build the same tables; a test compares the two.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

# The newest migration. Kept here as well so that opening a ledger that is up to date need not import Alembic.
NEWEST_VERSION = "0005"
# Not Alembic's usual name: Prefect keeps an alembic_version of its own, perhaps in the same database.
VERSION_TABLE = "ledger_version"

# An attempt in one of these states stands in the way of another attempt at the same generation.
LIVING_STATES = "'reserved', 'intent', 'unknown', 'submitted', 'completed', 'held'"


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept in UTC. SQLite has no time zones: they are taken off and put on again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment in the ledger needs a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class ExactNumber(TypeDecorator[Decimal]):
    """A decimal number with every digit it came with; SQLite's own numbers are binary floats."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else Decimal(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# The processes that work with this ledger. A lease lives as long as its owner's heartbeat.
owners = Table(
    "owners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),  # tells the process from a later one with the same id
    Column("registered_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("csv_path", Text, nullable=False),
    Column("csv_sha256", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("out", Text, nullable=False),
    Column("budget", BigInteger),  # None: no cap
    Column("started_at", Moment, nullable=False, index=True),
    Column("ended_at", Moment),
    Column("exit_status", Integer),
    Column("flow_run_id", Text),
    Column("record", Text),  # the run's record as JSON, once it has ended
)

# One piece of work, whoever asks for it: the row that a lease is taken on.
generations = Table(
    "generations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("request", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),  # [{"role": …, "sha256": …}, …] in the order sent
    Column("take", Integer, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("lease_owner", Text, ForeignKey("owners.id"), index=True),
    Column("lease_token", Text),
    Column("lease_run", Text, ForeignKey("runs.id")),
    Column("leased_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("stored_at", Moment),
    Column("stored_by_run", Text, ForeignKey("runs.id")),
    CheckConstraint("state IN ('open', 'stored')", name="state"),
)

assets = Table(
    "assets",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("duration_seconds", ExactNumber),
    Column("frames_per_second", ExactNumber),
    Column("has_sound", Boolean),
    Column("created_at", Moment, nullable=False),
)

generation_assets = Table(
    "generation_assets",
    metadata,
    Column("generation_key", Text, ForeignKey("generations.key"), primary_key=True),
    Column("position", Integer, primary_key=True),  # from 1, in the service's order
    Column("sha256", Text, ForeignKey("assets.sha256"), nullable=False),
    Column("flagged_nsfw", Boolean, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("generation_key", Text, ForeignKey("generations.key"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False, index=True),
    Column("settled_run_id", Text, ForeignKey("runs.id"), index=True),
    Column("service", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prediction_id", Text),
    # Money.
    Column("estimated", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("charged", BigInteger),  # None until settled
    Column("refunded", BigInteger, nullable=False),
    Column("list_price", BigInteger),
    Column("discounted_price", BigInteger),
    # What was asked for: pictures, or the clip's billed seconds before any rounding up.
    Column("quantity", ExactNumber),
    Column("billed_at", Moment),  # when the account's bill showed it; None: booked at its price, or not yet
    # Why it did not go straight on.
    Column("error_code", Text),
    Column("error", Text),
    Column("held_reason", Text),
    # Who works on it: the lease, and the lease under which the newest intent was written.
    Column("owner", Text, nullable=False),
    Column("lease", Text, nullable=False),
    Column("intent_lease", Text),
    # What was sent and what came back.
    Column("body", JSON(none_as_null=True)),
    Column("input_sha256s", JSON(none_as_null=True)),
    Column("outputs", JSON(none_as_null=True)),
    Column("nsfw", JSON(none_as_null=True)),
    # What the newest request left with, by which a lost reply is judged.
    Column("account", Text),  # whose key it was sent with: a fingerprint
    Column("balance_before", BigInteger),
    Column("balance_at", Moment),
    Column("skew_low", Float),  # the service's clock less the ledger's, at the intent
    Column("skew_high", Float),
    Column("reply", Text),  # None until something, or nothing, came of it
    Column(
        "resent", Integer, nullable=False, server_default=text("0")
    ),  # after lost replies, without a person
    # When.
    Column("reserved_at", Moment, nullable=False, index=True),
    Column("intent_at", Moment),
    Column("submitted_at", Moment),
    Column("completed_at", Moment),
    Column("stored_at", Moment),
    Column("failed_at", Moment),
    Column("held_at", Moment),
    Column("unknown_at", Moment),
    Column("withdrawn_at", Moment),
    Column("settled_at", Moment),
    Column("service_created_at", Moment),
    Column("detected_at", Moment),
    # How long.
    Column("request_timeout_s", Float),
    Column("queue_s", Float),
    Column("upload_s", Float),
    Column("submit_s", Float),
    Column("inference_s", Float),
    Column("detect_s", Float),
    Column("download_s", Float),
    Column("polls", Integer, nullable=False),
    CheckConstraint(f"state IN ({LIVING_STATES}, 'stored', 'failed', 'withdrawn')", name="state"),
    CheckConstraint("estimated >= 0 AND reserved >= 0 AND charged >= 0 AND refunded >= 0", name="amounts"),
    UniqueConstraint("generation_key", "number"),
    UniqueConstraint("service", "prediction_id"),
    Index("ix_attempts_service_model_state", "service", "model", "state"),
    Index(
        "uq_attempts_one_living",
        "generation_key",
        unique=True,
        sqlite_where=text(f"state IN ({LIVING_STATES})"),
        postgresql_where=text(f"state IN ({LIVING_STATES})"),
    ),
    sqlite_autoincrement=True,
)

uploads = Table(
    "uploads",
    metadata,
    Column("origin", Text, primary_key=True),  # and the account
    Column("sha256", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("uploaded_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# Of addresses the hash only: they may hold a signature.
remembered_inputs = Table(
    "remembered_inputs",
    metadata,
    Column("address_sha256", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("read_at", Moment, nullable=False),
)

# What is true of the ledger as a whole, by name: who it is, its salt, where it was when it was last checked.
facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Whose keys work has been sent with: a salted fingerprint of each, never the key. Keys that turned out to be of one
# account have that account's id, which is the fingerprint of its first key.
accounts = Table(
    "accounts",
    metadata,
    Column("service", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

# Predictions of which a person has said that this ledger did not make them.
dismissed = Table(
    "dismissed",
    metadata,
    Column("service", Text, primary_key=True),
    Column("prediction_id", Text, primary_key=True),
    Column("dismissed_at", Moment, nullable=False),
)

# The asset stores that have worked with this ledger, and on which machine.
stores = Table(
    "stores",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

# Which store has what of the paid work; nothing is known of what was stored before stores were.
holdings = Table(
    "holdings",
    metadata,
    Column("generation_key", Text, ForeignKey("generations.key"), primary_key=True),
    Column("store", Text, ForeignKey("stores.id"), primary_key=True),
)
