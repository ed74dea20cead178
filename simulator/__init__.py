"""A WaveSpeed on your laptop: the same HTTP API, with books, limits and faults.

It imports nothing of its client's.
"""
