"""Who the ledger is, whose keys it has sent work with, and which store has what of it."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    facts = op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.bulk_insert(
        facts,
        [
            {"name": "identity", "value": secrets.token_hex(16)},
            {"name": "salt", "value": secrets.token_hex(32)},
            {"name": "intents", "value": "0"},
        ],
    )
    op.create_table(
        "accounts",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", "fingerprint", name=op.f("pk_accounts")),
    )
    op.create_table(
        "dismissed",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("prediction_id", sa.Text(), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", "prediction_id", name=op.f("pk_dismissed")),
    )
    op.create_table(
        "stores",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stores")),
    )
    op.create_table(
        "holdings",
        sa.Column("generation_key", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_key"], ["generations.key"], name=op.f("fk_holdings_generation_key")
        ),
        sa.ForeignKeyConstraint(["store"], ["stores.id"], name=op.f("fk_holdings_store")),
        sa.PrimaryKeyConstraint("generation_key", "store", name=op.f("pk_holdings")),
    )
