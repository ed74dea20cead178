"""The ledger held against the account's own records."""
