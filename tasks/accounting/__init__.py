"""What a run cost and how long it took, as tables."""
