"""Clips: what a file is, found out by demuxing and decoding it, never from its name.

The bytes come from strangers. Only the mp4/mov demuxer is let at them (a playlist that calls itself a clip
could make another one open files and addresses), sizes are bounded before anything is unpacked, and whatever
a decoder throws becomes NotDecodable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import av
import av.error
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from blocks.errors import NotDecodable, TooLargeToDecode
from blocks.file_kind import kind_of_file

MOST_CLIP_BYTES = 1_000_000_000
MOST_CLIP_FRAMES = 50_000
MOST_CLIP_FRAME_PIXELS = 40_000_000

# What the first box of an mp4 or mov file may be called; files from before 2001 have no `ftyp`.
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MICROSECOND = Decimal("0.000001")
# An edit list may keep a frame or two at either end from being shown.
_FRAMES_THAT_MAY_LACK = 2


@dataclass(frozen=True)
class ClipFacts:
    """``width`` and ``height`` are pixels as the clip is meant to be seen, after its rotation."""

    media_type: str
    container: Literal["mp4", "mov"]
    duration_seconds: Decimal  # the container's, which is that of its longest stream; unrounded
    width: int
    height: int
    frames_per_second: Decimal
    has_sound: bool
    bytes: int


def inspect_clip(path: Path) -> ClipFacts:
    """The facts of a clip, after reading all of it and decoding its first frame.

    Raises NotDecodable where it is no clip, or one that is cut short.
    """
    with _opened(path) as (container, video):
        first: VideoFrame | None = None
        packets = 0
        for packet in container.demux((video, *container.streams.audio)):
            _refuse_cut_packet(packet.is_corrupt)
            if packet.stream is not video:
                continue
            packets += 1 if packet.size else 0
            if first is None:
                first = next((frame for frame in packet.decode() if isinstance(frame, VideoFrame)), None)
        _refuse_missing_frames(packets, video.frames)
        return _clip_facts(path, container, video, first)


def decode_clip_fully(path: Path) -> ClipFacts:
    """The same after decoding every frame of picture and sound.

    Raises NotDecodable where anything is damaged or missing.
    """
    with _opened(path) as (container, video):
        first: VideoFrame | None = None
        frames = 0
        for packet in container.demux((video, *container.streams.audio)):
            _refuse_cut_packet(packet.is_corrupt)
            for frame in packet.decode():
                if isinstance(frame, VideoFrame):
                    first = first or frame
                    frames += 1
                if isinstance(frame, VideoFrame | AudioFrame) and frame.is_corrupt:
                    raise NotDecodable("a damaged clip: a frame of it cannot be decoded")
                if frames > MOST_CLIP_FRAMES:
                    raise TooLargeToDecode(
                        f"a clip of more than {MOST_CLIP_FRAMES:,} frames, too many to unpack"
                    )
        _refuse_missing_frames(frames, video.frames)
        return _clip_facts(path, container, video, first)


def still_of_clip(path: Path, seconds: float) -> Image.Image:
    """The frame at so many seconds from the start, upright, in RGB; of a shorter clip the last one.

    Raises NotDecodable where it is no clip.
    """
    with _opened(path) as (container, video):
        still: VideoFrame | None = None
        for frame in container.decode(video):
            still = frame
            began = (video.start_time or 0) * (video.time_base or 0)
            if frame.time is not None and frame.time - began >= seconds:
                break
        if still is None:
            raise NotDecodable("a clip without a frame that can be decoded")
        picture = Image.fromarray(still.to_ndarray(format="rgb24"))
        return picture.rotate(still.rotation, expand=True) if still.rotation else picture


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A clip with a picture; everything a demuxer or decoder raises while it is open is NotDecodable."""
    size = path.stat().st_size
    if size > MOST_CLIP_BYTES:
        raise TooLargeToDecode(f"a clip of {size:,} bytes; {MOST_CLIP_BYTES:,} are the most that are read")
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] not in _FIRST_BOXES:
        raise NotDecodable(f"not an mp4 or mov clip, but {kind_of_file(path)}")
    try:
        with av.open(str(path), format="mov", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise NotDecodable("a file without moving pictures, or a clip that is cut short")
            video = container.streams.video[0]
            _refuse_large_frames(video.codec_context.width, video.codec_context.height)
            video.codec_context.options = {"max_pixels": str(MOST_CLIP_FRAME_PIXELS)}
            yield container, video
    except (av.error.FFmpegError, ValueError, ArithmeticError, EOFError) as error:
        raise NotDecodable(f"a damaged or incomplete clip ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[0] if text else type(error).__name__


def _refuse_large_frames(width: int, height: int) -> None:
    if width * height > MOST_CLIP_FRAME_PIXELS:
        raise TooLargeToDecode(f"a clip of {width}x{height}, too many pixels to unpack")


def _refuse_cut_packet(is_corrupt: bool) -> None:
    if is_corrupt:
        raise NotDecodable("a clip that is cut short or damaged: not all of its data is there")


def _refuse_missing_frames(found: int, stated: int) -> None:
    """``stated`` is the container's own count of frames, 0 where it keeps none."""
    if found + _FRAMES_THAT_MAY_LACK < stated:
        raise NotDecodable(f"a clip that is cut short: {found} of its {stated} frames are there")


def _clip_facts(
    path: Path, container: InputContainer, video: VideoStream, first: VideoFrame | None
) -> ClipFacts:
    if first is None:
        raise NotDecodable("a clip without a frame that can be decoded")
    rate = video.average_rate or video.guessed_rate
    if container.duration is None or container.duration <= 0 or not rate:
        raise NotDecodable("a clip that does not say how long it is")
    quarter_turned = first.rotation % 180 == 90
    is_mov = container.metadata.get("major_brand", "qt  ") == "qt  "
    return ClipFacts(
        media_type="video/quicktime" if is_mov else "video/mp4",
        container="mov" if is_mov else "mp4",
        duration_seconds=_without_zeros(container.duration * _MICROSECOND),
        width=first.height if quarter_turned else first.width,
        height=first.width if quarter_turned else first.height,
        frames_per_second=_without_zeros((Decimal(rate.numerator) / rate.denominator).quantize(_MICROSECOND)),
        has_sound=bool(container.streams.audio),
        bytes=path.stat().st_size,
    )


def _without_zeros(number: Decimal) -> Decimal:
    # normalize() alone would turn 10 into 1E+1, which no table wants.
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()
