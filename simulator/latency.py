"""How long a prediction takes: as long as other hosts of the same models were seen to take, tail included."""

import math
import random

_IMAGE_MEDIAN_SECONDS = 45.0
_IMAGE_SIGMA = 0.45
_RESOLUTION_FACTOR = {"1k": 1.0, "2k": 1.25, "4k": 2.0}
_VIDEO_MEDIAN_SECONDS = 90.0
_VIDEO_SECONDS_PER_BILLED_SECOND = 24.0
_VIDEO_SIGMA = 0.4
_SLOW_SHARE = 0.01
_SLOW_FACTOR = (4.0, 8.0)


def image_latency(prediction_id: str, resolution: str) -> float:
    """Seconds from start to end of an image prediction, the clock not applied; the same for the same id."""
    return _latency(prediction_id, _IMAGE_MEDIAN_SECONDS * _RESOLUTION_FACTOR[resolution], _IMAGE_SIGMA)


def video_latency(prediction_id: str, billed_seconds: float) -> float:
    """Seconds from start to end of a video prediction, the clock not applied; the same for the same id."""
    median = _VIDEO_MEDIAN_SECONDS + _VIDEO_SECONDS_PER_BILLED_SECOND * billed_seconds
    return _latency(prediction_id, median, _VIDEO_SIGMA)


def _latency(prediction_id: str, median: float, sigma: float) -> float:
    chance = random.Random(prediction_id)  # noqa: S311 - a latency, no secret; seeded so that it can be repeated
    seconds = chance.lognormvariate(math.log(median), sigma)
    if chance.random() < _SLOW_SHARE:
        seconds *= chance.uniform(*_SLOW_FACTOR)
    return seconds
