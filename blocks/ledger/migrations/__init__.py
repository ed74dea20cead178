"""The ledger's history of versions, run by Alembic whenever a ledger is opened."""
