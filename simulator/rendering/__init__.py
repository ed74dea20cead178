"""What the simulated models make: real edits of the real inputs, each marked as simulated.

Three plain functions, deterministic (equal inputs give equal bytes) and free of global state, so that a
worker process can run them. Each raises ValueError, with a sentence for the person who reads it, where an
input cannot be decoded or a parameter is not one of the service's.
"""

from collections.abc import Sequence

from simulator.rendering import clips, compositions, pictures
from simulator.rendering.encoding import encode_picture
from simulator.rendering.marking import mark_picture
from simulator.rendering.sizes import AUTO, enlarged, nearest_aspect_ratio, picture_size, working_size
from simulator.rendering.sources import read_picture
from simulator.rendering.styles import look_for, variation_for

__all__ = ["render_composition", "render_edit", "render_video_edit"]


def render_edit(
    image: bytes, prompt: str, *, aspect_ratio: str, resolution: str, output_format: str, number: int
) -> bytes:
    """One edited picture of ``image``; ``number`` counts the pictures of one request from 1."""
    source = read_picture(image, "the image")
    size = picture_size(_resolve(aspect_ratio, source.size), resolution)
    variation = variation_for(prompt, number)
    edited = pictures.edit_picture(source, working_size(size), look_for(prompt, variation), variation)
    return encode_picture(mark_picture(enlarged(edited, size)), output_format)


def render_composition(
    images: Sequence[bytes],
    prompt: str,
    *,
    aspect_ratio: str,
    resolution: str,
    output_format: str,
    number: int,
) -> bytes:
    """One picture that shows each of the 1 to 10 ``images``; ``auto`` is the first one's nearest ratio."""
    if not images:
        raise ValueError("a composition needs at least one reference image")
    sources = [read_picture(data, f"image {place}") for place, data in enumerate(images, start=1)]
    size = picture_size(_resolve(aspect_ratio, sources[0].size), resolution)
    variation = variation_for(prompt, number)
    composed = compositions.compose(sources, working_size(size), look_for(prompt, variation), variation)
    return encode_picture(mark_picture(enlarged(composed, size)), output_format)


def render_video_edit(
    clip: bytes, images: Sequence[bytes], prompt: str, *, keep_original_sound: bool
) -> bytes:
    """The clip, graded as the prompt says and with the references shown in it.

    The result is an MP4 (H.264 yuv420p at 24 frames a second, AAC where the sound is kept) of the clip's own
    length, to within a frame, and the clip's own sides, made even.
    """
    references = [read_picture(data, f"image {place}") for place, data in enumerate(images, start=1)]
    variation = variation_for(prompt, 1)
    return clips.edit_clip(
        clip, references, look_for(prompt, variation), variation, keep_original_sound=keep_original_sound
    )


def _resolve(aspect_ratio: str, source_size: tuple[int, int]) -> str:
    return nearest_aspect_ratio(*source_size) if aspect_ratio == AUTO else aspect_ratio
