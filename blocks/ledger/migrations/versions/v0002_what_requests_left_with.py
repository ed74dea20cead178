"""What a request left with, and what came of it: by this a lost reply is judged."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("account", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("balance_before", sa.BigInteger(), nullable=True))
    op.add_column("attempts", sa.Column("balance_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempts", sa.Column("skew_low", sa.Float(), nullable=True))
    op.add_column("attempts", sa.Column("skew_high", sa.Float(), nullable=True))
    op.add_column("attempts", sa.Column("reply", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("resent", sa.Integer(), nullable=False, server_default=sa.text("0")))
