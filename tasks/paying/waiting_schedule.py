"""When to look at a running prediction next: pure functions, in seconds."""

from blocks.limits import Kind

VIDEO_FACTOR = 2.5
LONGEST_SECONDS = 15.0
_QUIET_SHARE = 0.6
_GROWTH = 0.05
# Outputs may be written a while after the word that they are there: 4 minutes for a picture, 10 for a clip.
_EMPTY_INTERVALS = 120
_EMPTY_SECONDS = 600.0


def shortest_interval(kind: Kind, poll_seconds: float) -> float:
    """Return the shortest time between two looks at one prediction."""
    return poll_seconds * (VIDEO_FACTOR if kind == "video" else 1.0)


def first_look(shortest: float, usual: tuple[float, float] | None) -> float:
    """Return how long after the submit the first look is worth its request.

    ``usual`` is how long the model takes: the seconds within which one in ten has ended, and one in two. A
    good part of the latter stays quiet; where the model hardly varies, nearly all of the former.
    """
    if usual is None:
        return shortest
    early, middle = usual
    return min(middle, max(_QUIET_SHARE * middle, 0.9 * early))


def next_interval(age: float, shortest: float, usual: tuple[float, float] | None) -> float:
    """Return the time to the next look at a prediction submitted ``age`` seconds ago.

    The shortest until twice its usual time, then gently longer up to 15 s; where nothing is learnt yet it
    grows with the age from the start, so that the delay stays a small share of the whole.
    """
    late = max(0.0, age - (2 * usual[1] if usual else 0.0))
    return min(shortest + _GROWTH * late, max(shortest, LONGEST_SECONDS))


def after_failure(
    failures: int, shortest: float, retry_after: float | None, patience: float = float("inf")
) -> float:
    """Return the wait after so many looks in a row that brought no answer: as long as was asked, within patience."""
    backed_off = min(shortest * 2.0 ** min(failures, 10), max(shortest, 2 * LONGEST_SECONDS))
    return max(backed_off, min(retry_after or 0.0, patience))


def patience_with_empty(shortest: float, deadline_seconds: float) -> float:
    """Return how long a prediction that completed without outputs is asked for them, in seconds."""
    return min(_EMPTY_INTERVALS * shortest, _EMPTY_SECONDS, deadline_seconds)


def detection_delay(
    detected_at: float, *, seen_running_at: float, began_at: float, inference: float | None
) -> float:
    """Return the seconds from a prediction's end to our knowing it; all moments of one clock.

    It ended after ``inference`` seconds of work, as the service measured them, but certainly between the
    last look that saw it running and the one that saw its end; without a measurement, in the middle between
    those two.
    """
    seen_running_at = min(seen_running_at, detected_at)
    ended_at = (seen_running_at + detected_at) / 2 if inference is None else began_at + inference
    return detected_at - min(max(ended_at, seen_running_at), detected_at)
