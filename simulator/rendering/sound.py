"""A clip's own sound as AAC."""

import io
from collections.abc import Iterator
from fractions import Fraction

import av

RATE = 48_000
_FRAME = 1024  # samples in one AAC frame
MONO, STEREO = "mono", "stereo"


def sound_layout(clip: bytes) -> str | None:
    """``mono`` or ``stereo`` (which more channels are mixed down to), or None where the clip is silent."""
    with av.open(io.BytesIO(clip), "r") as source:
        stream = source.streams.best("audio")
        if not isinstance(stream, av.AudioStream):
            return None
        return MONO if stream.codec_context.channels == 1 else STEREO


def sound_frames(clip: bytes, layout: str) -> Iterator[av.AudioFrame]:
    """The sound in frames that the encoder takes, at their moments after the clip's start."""
    with av.open(io.BytesIO(clip), "r") as source:
        stream = source.streams.best("audio")
        if not isinstance(stream, av.AudioStream):
            return
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=RATE, frame_size=_FRAME)
        start = Fraction(source.start_time or 0, av.time_base)
        place: int | None = None
        for decoded in source.decode(stream):
            if place is None:
                begins = decoded.pts * decoded.time_base - start if decoded.pts and decoded.time_base else 0
                place = max(0, round(begins * RATE))
            decoded.pts = None
            for frame in resampler.resample(decoded):
                place = _timed(frame, place)
                yield frame
        if place is not None:
            for frame in resampler.resample(None):
                place = _timed(frame, place)
                yield frame


def _timed(frame: av.AudioFrame, place: int) -> int:
    frame.pts, frame.time_base = place, Fraction(1, RATE)
    return place + frame.samples
