"""What is kept of a run: its record, its folder, and what may be dropped of it."""
