"""A clip's frames, upright and at a steady 24 a second, whatever rate and rotation it came with."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import av.container
import numpy as np
from av.video.reformatter import ColorRange

from simulator.rendering.grading import BT601, BT709, BT2020, Matrix
from simulator.rendering.planes import Planes

FRAMES_PER_SECOND = 24

_STEP = Fraction(1, FRAMES_PER_SECOND)
# Time stamps are rounded: a frame that begins this much too late still counts as there.
_TOLERANCE = Fraction(1, 240)
_HIGH_DEFINITION = 720
# H.273's numbers for the matrices that cameras use.
_MATRICES = {1: BT709, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}


@dataclass(frozen=True)
class Footage:
    """What is known before the frames: sides as shown (even), seconds, and how colours are coded."""

    size: tuple[int, int]
    seconds: Fraction | None
    matrix: Matrix
    colour_tags: dict[str, int]
    pixel_shape: Fraction
    frames: Iterator[Planes]


def open_footage(source: av.container.InputContainer) -> Footage:
    """The first picture stream of the clip. Raises ValueError where there is none, or nothing in it."""
    stream = source.streams.best("video")
    if not isinstance(stream, av.VideoStream):
        raise ValueError("the clip has no picture")  # noqa: TRY004 - the bytes are at fault, not their type
    stream.thread_count = 1
    decoded = source.decode(stream)
    first = next(decoded, None)
    if first is None:
        raise ValueError("the clip holds no frame that can be decoded")
    turn = round(first.rotation / 90) * 90 % 360
    coded_size = (max(2, first.width // 2 * 2), max(2, first.height // 2 * 2))
    size = coded_size if turn in {0, 180} else (coded_size[1], coded_size[0])
    context = stream.codec_context
    shape = context.sample_aspect_ratio or Fraction(1)
    matrix = _MATRICES.get(int(context.colorspace))
    if matrix is None:
        matrix = BT709 if min(size) >= _HIGH_DEFINITION else BT601
    tags = {
        "color_primaries": int(context.color_primaries),
        "color_trc": int(context.color_trc),
        "colorspace": int(context.colorspace),
    }
    start = Fraction(source.start_time or 0, av.time_base)
    seconds = Fraction(source.duration, av.time_base) if source.duration else None

    def upright(frame: av.VideoFrame) -> Planes:
        plain = frame.reformat(
            width=coded_size[0], height=coded_size[1], format="yuv420p", dst_color_range=ColorRange.MPEG
        )
        return Planes.from_codes(np.asarray(plain.to_ndarray(), dtype=np.uint8), coded_size).turned(turn)

    def steady() -> Iterator[Planes]:
        """Each moment shows the frame that stood then; the last one stands until the clip's end."""
        current: av.VideoFrame | None = None  # decoded but not turned upright yet
        shown, produced = upright(first), 0
        began, end = Fraction(0), Fraction(0)
        for frame in decoded:
            if frame.pts is None or frame.time_base is None:
                continue
            begins = frame.pts * frame.time_base - start
            while produced * _STEP + _TOLERANCE < begins and not _full(produced, seconds):
                if current is not None:
                    shown, current = upright(current), None
                yield shown
                produced += 1
            current = frame
            began, end = begins, begins + (begins - began)
        if current is not None:
            shown = upright(current)
        while not _full(produced, seconds or end):
            yield shown
            produced += 1

    return Footage(size, seconds, matrix, tags, shape if turn in {0, 180} else 1 / shape, steady())


def _full(produced: int, seconds: Fraction | None) -> bool:
    """Whether so many frames fill the clip; one at least is made."""
    return seconds is not None and produced >= max(1, round(seconds * FRAMES_PER_SECOND))
