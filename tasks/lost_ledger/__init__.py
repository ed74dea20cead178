"""A ledger that was lost, copied, or restored from an older copy: noticed, and made whole from what else knows."""
