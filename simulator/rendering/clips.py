"""An edited clip: every frame graded, lit and marked, the references shown in it, motion and sound kept."""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import av
import av.container
from PIL import Image, ImageChops

from simulator.rendering.footage import FRAMES_PER_SECOND, Footage, open_footage
from simulator.rendering.grading import Matrix
from simulator.rendering.insets import Inset, insets_for
from simulator.rendering.light import light_layer
from simulator.rendering.marking import COMMENT, label_for
from simulator.rendering.matte import oval_mask
from simulator.rendering.particles import particle_layers
from simulator.rendering.planes import PlaneGrade, PlaneLayer, Planes
from simulator.rendering.sound import RATE, sound_frames, sound_layout
from simulator.rendering.styles import Variation
from simulator.rendering.textures import bounded
from simulator.rendering.vocabulary import Look

# One thread: x264 is deterministic for a fixed number of them, and a worker has one core.
_ENCODER_OPTIONS = {"crf": "21", "threads": "1", "g": "48"}
_LARGE = 1920 * 1088  # pixels; above it, looking ahead takes the encoder hundreds of megabytes
_INDEX_BYTES_PER_SECOND = 4_000  # of pictures and sound together, generously
_INDEX_BYTES = 32_000
_LONGEST_UNKNOWN = 60  # seconds the index has room for where the clip does not say how long it is


def edit_clip(
    clip: bytes,
    references: Sequence[Image.Image],
    look: Look,
    variation: Variation,
    *,
    keep_original_sound: bool,
) -> bytes:
    """The MP4's bytes. Raises ValueError where the clip cannot be decoded."""
    try:
        layout = sound_layout(clip) if keep_original_sound else None
        with av.open(io.BytesIO(clip), "r") as source:
            footage = open_footage(source)
            return _written(footage, _edited(footage, references, look, variation), clip, layout)
    except av.FFmpegError as error:
        raise ValueError(f"the clip cannot be decoded: {error.strerror}") from error


def _edited(
    footage: Footage, references: Sequence[Image.Image], look: Look, variation: Variation
) -> Iterator[Planes]:
    size, matrix = footage.size, footage.matrix
    grade = PlaneGrade(look, matrix)
    light = PlaneLayer.from_rgba(light_layer(size, look, variation), matrix)
    weather = [
        _drifting(PlaneLayer.from_rgba(layer.picture, matrix), layer.drift, size)
        for layer in particle_layers(size, look, variation)
    ]
    insets = [_arriving(inset, matrix) for inset in insets_for(references, size, variation)]
    label, label_place = label_for(size)
    mark = PlaneLayer.from_rgba(label, matrix)
    soft_rim = ImageChops.invert(oval_mask(size)) if look.softness else None
    for index, original in enumerate(footage.frames):
        moment = index / FRAMES_PER_SECOND
        frame = grade.applied(original)
        if soft_rim is not None:
            _soften(frame, soft_rim)
        if look.bloom:
            frame.luma = Image.blend(
                frame.luma, ImageChops.screen(frame.luma, _soft(frame.luma, 24)), look.bloom * 0.5
            )
        light.lay_on(frame)
        for lay in (*weather, *insets):
            lay(frame, moment)
        mark.lay_on(frame, label_place)
        yield frame


def _drifting(
    layer: PlaneLayer, drift: tuple[float, float], size: tuple[int, int]
) -> Callable[[Planes, float], None]:
    def lay(frame: Planes, moment: float) -> None:
        across, down = (_even(share * size[1] * moment) for share in drift)
        layer.pushed(across, down).lay_on(frame)

    return lay


def _arriving(inset: Inset, matrix: Matrix) -> Callable[[Planes, float], None]:
    layer = PlaneLayer.from_rgba(inset.picture, matrix)

    def lay(frame: Planes, moment: float) -> None:
        share = min(1.0, max(0.0, (moment - inset.begins) / inset.lasts))
        if share > 0:
            left = 1 - (1 - share) ** 3  # quick at first, then settling
            place = (
                inset.place[0] + _even(inset.comes_from[0] * (1 - left)),
                inset.place[1] + _even(inset.comes_from[1] * (1 - left)),
            )
            layer.lay_on(frame, place, strength=left)

    return lay


def _soften(frame: Planes, rim: Image.Image) -> None:
    """Blur where ``rim`` is opaque."""
    half_rim = rim.resize(frame.blue.size, Image.Resampling.BOX)
    frame.luma.paste(_soft(frame.luma, 10), (0, 0), rim)
    frame.blue.paste(_soft(frame.blue, 5), (0, 0), half_rim)
    frame.red.paste(_soft(frame.red, 5), (0, 0), half_rim)


def _soft(plane: Image.Image, factor: int) -> Image.Image:
    """A fast blur: averaged down and enlarged again."""
    small = bounded(plane.size, max(16, max(plane.size) // factor))
    return plane.resize(small, Image.Resampling.BOX).resize(plane.size, Image.Resampling.BICUBIC)


def _written(footage: Footage, frames: Iterator[Planes], clip: bytes, layout: str | None) -> bytes:
    file = io.BytesIO()
    seconds = math.ceil(footage.seconds) if footage.seconds is not None else _LONGEST_UNKNOWN
    options = {
        # Room for the index ahead of the media, so that players can start before the last byte has come.
        "moov_size": str(_INDEX_BYTES + seconds * _INDEX_BYTES_PER_SECOND),
        "max_interleave_delta": "0",
    }
    with av.open(file, "w", format="mp4", options=options) as target:
        target.metadata["comment"] = COMMENT
        picture = target.add_stream("libx264", rate=FRAMES_PER_SECOND, options=_encoder_options(footage.size))
        picture.width, picture.height = footage.size
        picture.pix_fmt = "yuv420p"
        picture.codec_context.sample_aspect_ratio = footage.pixel_shape
        picture.codec_context.color_range = 1
        for name, value in footage.colour_tags.items():
            setattr(picture.codec_context, name, value)
        if layout is not None:
            _add_sound(target, clip, layout)
        for index, planes in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(planes.to_codes(), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
            target.mux(picture.encode(frame))
        target.mux(picture.encode())
    return file.getvalue()


def _encoder_options(size: tuple[int, int]) -> dict[str, str]:
    return _ENCODER_OPTIONS | {"preset": "superfast" if size[0] * size[1] > _LARGE else "veryfast"}


def _add_sound(target: av.container.OutputContainer, clip: bytes, layout: str) -> None:
    """All of it before the first picture: the container sorts both by time as the pictures come."""
    sound = target.add_stream("aac", rate=RATE, layout=layout)
    for frame in sound_frames(clip, layout):
        target.mux(sound.encode(frame))
    target.mux(sound.encode())


def _even(value: float) -> int:
    """The colour planes have half the pixels, so everything moves by two at a time."""
    return round(value / 2) * 2
