"""The words in which the service says how far a prediction is."""

# What the service has taken on: it is under way, or done.
TAKEN_ON_STATUSES = frozenset(
    {
        "created",
        "pending",
        "queued",
        "starting",
        "processing",
        "running",
        "in_progress",
        "succeeded",
        "completed",
    }
)
_LONGEST_STATUS = 200
ENDED_STATUSES = frozenset({"completed", "failed", "cancelled", "timeout", "deleted"})


def status_of(value: object) -> str:
    """Read a status in small letters; empty where there is none, or a text too long to be one."""
    return value.strip().lower() if isinstance(value, str) and len(value) <= _LONGEST_STATUS else ""
