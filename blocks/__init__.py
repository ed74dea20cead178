"""What a run connects to: the WaveSpeed account, the ledger, the asset store, the price book."""
