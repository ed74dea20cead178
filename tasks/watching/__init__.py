"""A run as people watch it."""
