"""What a run would do and why, what it costs and how long it takes: worked out before anything is spent."""
