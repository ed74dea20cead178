"""What a budget learns from: how much an attempt asked for, and whether its cost was read from the account's bill."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("quantity", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("billed_at", sa.DateTime(timezone=True), nullable=True))
