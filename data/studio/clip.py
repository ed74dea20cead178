"""Frames and sound become an MP4 file."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from data.studio.sound import RATE

_AUDIO_FRAME = 1024


def write_clip(
    path: Path, frames: Iterable[NDArray[np.uint8]], sound: NDArray[np.float32], rate: int
) -> None:
    """H.264 and AAC. ``frames`` have shape (height, width, 3); ``sound`` (2, N) at 48 kHz."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        pictures = container.add_stream("libx264", rate=rate)
        pictures.pix_fmt = "yuv420p"
        pictures.time_base = Fraction(1, rate)
        # One thread, so that the same frames give the same bytes on every machine.
        pictures.options = {"crf": "19", "preset": "slow", "tune": "film", "threads": "1"}
        voice = container.add_stream("aac", rate=RATE, layout="stereo")
        voice.bit_rate = 128_000
        for number, pixels in enumerate(frames):
            if number == 0:
                pictures.height, pictures.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        for start in range(0, sound.shape[1], _AUDIO_FRAME):
            part = np.ascontiguousarray(sound[:, start : start + _AUDIO_FRAME])
            heard = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            heard.sample_rate, heard.pts, heard.time_base = RATE, start, Fraction(1, RATE)
            container.mux(voice.encode(heard))
        container.mux(voice.encode(None))
