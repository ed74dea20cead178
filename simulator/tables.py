"""The tables of the books. Moments are nanoseconds of Unix time, amounts millionths of a dollar."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

SCHEMA_VERSION = 1

metadata = MetaData()

account = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("balance", BigInteger, nullable=False),
    Column("webhook_secret", String, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("model", String, nullable=False),
    Column("kind", String, nullable=False),  # image or video
    Column("status", String, nullable=False),
    Column("input", JSON, nullable=False),  # as sent
    Column("parameters", JSON, nullable=False),  # as understood: unknown keys dropped, defaults filled in
    Column("fate", JSON, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("charged", Boolean, nullable=False),
    Column("latency_seconds", Float, nullable=False),  # the clock applied
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("code", Integer, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
    Column("nsfw", JSON, nullable=False, default=list),
    Column("looks", Integer, nullable=False, default=0),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("webhook", Text),
    Column("webhook_ended", Boolean, nullable=False, default=False),  # delivered, or given up
    Index("predictions_by_time", "created_at"),
    Index("predictions_by_status", "status"),
)

charges = Table(
    "charges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(32), nullable=False, unique=True),
    Column("kind", String, nullable=False),  # deduct, refund or top_up
    Column("prediction_id", String(32)),
    Column("model", String),
    Column("amount", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    # One prediction is charged once and refunded once, whatever happens.
    Index("charges_once", "prediction_id", "kind", unique=True),
    Index("charges_by_time", "at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("filename", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("stored_at", BigInteger),  # None: announced, the bytes have not come
)

outputs = Table(
    "outputs",
    metadata,
    Column("prediction_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1
    Column("filename", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
    Column("authorized", Boolean, nullable=False),  # it carried an Authorization header
    Column("status", Integer),  # None: never answered
    Column("prediction_id", String(32)),
    Column("fault", String),  # what a rule of the fault file did
)

rule_counts = Table(
    "rule_counts",
    metadata,
    Column("rule", String(64), primary_key=True),
    Column("matched", Integer, nullable=False),
    Column("fired", Integer, nullable=False),
)
