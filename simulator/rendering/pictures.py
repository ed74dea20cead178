"""An edited picture: framed, set into its new surroundings, graded, lit."""

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from simulator.rendering.framing import Framing, framed
from simulator.rendering.grading import distinct_hue, dyed, graded
from simulator.rendering.light import light_layer
from simulator.rendering.matte import Matte, matte_for, oval_mask
from simulator.rendering.particles import particle_layers
from simulator.rendering.scenes import scene_for
from simulator.rendering.styles import Variation
from simulator.rendering.textures import as_mask, bounded, noise
from simulator.rendering.vocabulary import Look

# Without an outline new surroundings only shimmer through the old ones: a hard cut would look torn.
_SHIMMER = 0.62


def edit_picture(source: Image.Image, size: tuple[int, int], look: Look, variation: Variation) -> Image.Image:
    """RGB at ``size``, without the mark."""
    framing = framed(source, size, variation.zoom, variation.pan)
    picture = framing.picture
    if look.scene or look.backdrop or look.softness or look.recolour:
        matte = _matte(framing)
        picture = _recoloured(picture, matte, look)
        picture = _surrounded(picture, matte, look, variation)
    return lit(_bloomed(graded(picture, look), look), look, variation)


def _matte(framing: Framing) -> Matte:
    """Looked for in the sharp part alone: mirrored surroundings hold mirrored subjects."""
    matte = matte_for(framing.sharp)
    if matte.cut_out:
        return Matte(framing.whole(matte.mask), cut_out=True)
    return Matte(oval_mask(framing.picture.size), cut_out=False)


def lit(picture: Image.Image, look: Look, variation: Variation) -> Image.Image:
    """The RGB picture with the look's light, particles and grain over it."""
    _lay(picture, light_layer(picture.size, look, variation))
    for layer in particle_layers(picture.size, look, variation):
        _lay(picture, layer.picture)
    if look.grain:
        picture = _grained(picture, look, variation)
    return picture


def soft_copy(picture: Image.Image, share: float) -> Image.Image:
    """Blurred by ``share`` of the shorter side; worked out on a small copy, which nobody can tell."""
    small = picture.resize(bounded(picture.size, 480), Image.Resampling.BOX)
    blurred = small.filter(ImageFilter.GaussianBlur(min(small.size) * share))
    return blurred.resize(picture.size, Image.Resampling.BICUBIC)


def _lay(picture: Image.Image, layer: Image.Image) -> None:
    picture.paste(layer.convert("RGB"), (0, 0), layer.getchannel("A"))


def _recoloured(picture: Image.Image, matte: Matte, look: Look) -> Image.Image:
    if look.recolour is None:
        return picture
    mask = matte.mask if matte.cut_out else matte.mask.point(lambda level: level * 0.92)
    hue, depth = distinct_hue(picture, matte.mask)
    return Image.composite(dyed(picture, look.recolour, hue, depth), picture, mask)


def _surrounded(picture: Image.Image, matte: Matte, look: Look, variation: Variation) -> Image.Image:
    """The subject kept, what lies around it blurred or painted anew."""
    surroundings = picture
    if look.softness:
        surroundings = soft_copy(surroundings, 0.02 + 0.02 * look.softness)
    scene = scene_for(picture.size, look, variation)
    if scene is not None and matte.cut_out:
        surroundings = _with_contact_shadow(scene, matte.mask)
    elif scene is not None:
        blurred = soft_copy(picture, 0.02)
        surroundings = Image.blend(blurred, ImageChops.soft_light(scene, blurred), 0.4)
        surroundings = Image.blend(surroundings, scene, _SHIMMER)
    return Image.composite(picture, surroundings, matte.mask)


def _with_contact_shadow(scene: Image.Image, mask: Image.Image) -> Image.Image:
    small = mask.resize(bounded(mask.size, 360), Image.Resampling.BOX)
    dropped = Image.new("L", small.size, 0)
    dropped.paste(small, (0, round(small.height * 0.02)))
    shadow = dropped.filter(ImageFilter.GaussianBlur(min(small.size) * 0.035))
    shadow = shadow.point(lambda level: level * 0.55).resize(scene.size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", scene.size, (14, 12, 16)), scene, shadow)


def _bloomed(picture: Image.Image, look: Look) -> Image.Image:
    if not look.bloom:
        return picture
    return Image.blend(picture, ImageChops.screen(picture, soft_copy(picture, 0.03)), look.bloom * 0.7)


def _grained(picture: Image.Image, look: Look, variation: Variation) -> Image.Image:
    """Film grain, as coarse at 4k as at 1k: finer grain would only make the file large."""
    small = bounded(picture.size, 1000)
    random = np.random.default_rng(variation.seed + 3)
    levels = 0.5 + (noise(small, small, random) - 0.5) * 0.16 * look.grain
    grain = as_mask(levels).resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.overlay(picture, Image.merge("RGB", (grain, grain, grain)))
