"""What runs in a worker process: looks at the input media, renders, writes the outputs.

Nothing here knows of HTTP or the books, so that a killed worker loses nothing but its work.
"""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import av
from PIL import Image, UnidentifiedImageError

from simulator import rendering
from simulator.catalogue import IMAGE_EDIT

_NICENESS = 5
_MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "mp4": "video/mp4"}
_LARGEST_IMAGE_BYTES = 10 * 1024 * 1024
_LARGEST_VIDEO_BYTES = 200 * 1024 * 1024
_SHORTEST_IMAGE_SIDE = 300
_WIDEST_ASPECT = Fraction(5, 2)
_VIDEO_SIDES = (720, 2160)
# 23.976 frames a second is 24 to everyone but arithmetic, and 59.94 is 60.
_VIDEO_RATES = (Fraction(2397, 100), Fraction(60))
_LONGEST_VIDEO_SECONDS = Fraction("10.05")


@dataclass(frozen=True)
class Order:
    """One prediction to render: its inputs as files, its parameters, and where so many outputs go.

    ``any_picture`` takes pictures of every format that can be decoded, not jpg and png alone.
    """

    model: str
    pictures: tuple[Path, ...]
    clip: Path | None
    parameters: dict[str, Any]
    count: int
    folder: Path
    any_picture: bool = False


@dataclass(frozen=True)
class Made:
    """One output on disk, named in the order's folder."""

    number: int
    filename: str
    content_type: str
    size: int
    sha256: str


class MediaRejected(Exception):
    """An input is not what the model takes."""


def start(lifeline: Connection) -> None:
    """Ends this process as soon as its parent closes the lifeline or dies, in whatever way."""

    def watch() -> None:
        wait([lifeline])
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()
    if hasattr(os, "nice"):  # not on Windows
        # A rendering may be late; an answer may not.
        os.nice(_NICENESS)


def fulfil(order: Order) -> list[Made]:
    """Renders and writes every output of the order. Raises MediaRejected."""
    pictures = [path.read_bytes() for path in order.pictures]
    for number, picture in enumerate(pictures, start=1):
        _check_picture(picture, f"image {number}", any_format=order.any_picture)
    clip = order.clip.read_bytes() if order.clip else None
    if clip is not None:
        _check_clip(clip)
    try:
        return [
            _write(order.folder, number, data, kind) for number, data, kind in _render(order, pictures, clip)
        ]
    except ValueError as error:
        raise MediaRejected(f"an input could not be decoded: {error}") from error


def clip_seconds(path: Path) -> Fraction:
    """The container's duration, that of its longest stream, in seconds, unrounded. Raises MediaRejected."""
    try:
        with av.open(str(path), mode="r") as container:
            return _duration(container)
    except (av.FFmpegError, OSError) as error:
        raise MediaRejected(f"video could not be decoded: {error}") from error


def _render(order: Order, pictures: list[bytes], clip: bytes | None) -> Iterator[tuple[int, bytes, str]]:
    parameters = order.parameters
    if clip is not None:
        if order.count:
            sound = bool(parameters["keep_original_sound"])
            yield (
                1,
                rendering.render_video_edit(clip, pictures, parameters["prompt"], keep_original_sound=sound),
                "mp4",
            )
        return
    options = {name: parameters[name] for name in ("aspect_ratio", "resolution", "output_format")}
    for number in range(1, order.count + 1):
        if order.model == IMAGE_EDIT:
            data = rendering.render_edit(pictures[0], parameters["prompt"], **options, number=number)
        else:
            data = rendering.render_composition(pictures, parameters["prompt"], **options, number=number)
        yield number, data, parameters["output_format"]


def _write(folder: Path, number: int, data: bytes, kind: str) -> Made:
    folder.mkdir(parents=True, exist_ok=True)
    filename = f"{number}.{'jpg' if kind == 'jpeg' else kind}"
    unfinished = folder / f"{filename}.part"
    unfinished.write_bytes(data)
    unfinished.replace(folder / filename)
    return Made(number, filename, _MEDIA_TYPES[kind], len(data), hashlib.sha256(data).hexdigest())


def _check_picture(data: bytes, name: str, *, any_format: bool) -> None:
    if len(data) > _LARGEST_IMAGE_BYTES:
        raise MediaRejected(f"{name} is larger than 10 MB")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            kind, width, height = picture.format, picture.width, picture.height
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise MediaRejected(f"{name} is no picture") from error
    if kind not in {"JPEG", "PNG"} and not any_format:
        raise MediaRejected(f"{name} is {kind}; jpg and png are supported")
    if min(width, height) < _SHORTEST_IMAGE_SIDE:
        raise MediaRejected(
            f"{name} is {width}x{height}; each side must be at least {_SHORTEST_IMAGE_SIDE} px"
        )
    if Fraction(max(width, height), min(width, height)) > _WIDEST_ASPECT:
        raise MediaRejected(f"{name} is {width}x{height}; the aspect ratio must be between 1:2.5 and 2.5:1")


def _check_clip(data: bytes) -> None:
    if len(data) > _LARGEST_VIDEO_BYTES:
        raise MediaRejected("video is larger than 200 MB")
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            if "mp4" not in container.format.name:
                raise MediaRejected(f"video is {container.format.name}; mp4 and mov are supported")
            if not container.streams.video:
                raise MediaRejected("video has no picture")
            stream = container.streams.video[0]
            seconds, sides = _duration(container), (stream.width, stream.height)
            rate = stream.average_rate
    except (av.FFmpegError, OSError) as error:
        raise MediaRejected(f"video could not be decoded: {error}") from error
    if seconds > _LONGEST_VIDEO_SECONDS:
        raise MediaRejected(f"video is {float(seconds):.2f} s long; 10 s is the limit")
    if not (_VIDEO_SIDES[0] <= min(sides) and max(sides) <= _VIDEO_SIDES[1]):
        raise MediaRejected(f"video is {sides[0]}x{sides[1]}; sides must be between 720 and 2160 px")
    if rate is None or not _VIDEO_RATES[0] <= rate <= _VIDEO_RATES[1]:
        raise MediaRejected("video must have 24 to 60 frames a second")


def _duration(container: av.container.InputContainer) -> Fraction:
    if container.duration is not None:
        return Fraction(container.duration, av.time_base)
    lengths = [
        stream.duration * stream.time_base
        for stream in container.streams
        if stream.duration and stream.time_base
    ]
    if not lengths:
        raise MediaRejected("video does not say how long it is")
    return max(lengths)
