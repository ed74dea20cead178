"""A composition: every reference as a card on a backdrop made from the first one and the prompt."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageChops

from simulator.rendering.cards import card
from simulator.rendering.framing import covered
from simulator.rendering.grading import graded
from simulator.rendering.layouts import card_boxes
from simulator.rendering.light import light_layer
from simulator.rendering.particles import particle_layers
from simulator.rendering.pictures import soft_copy
from simulator.rendering.scenes import scene_for
from simulator.rendering.styles import Variation
from simulator.rendering.vocabulary import Look

# The cards take on the look only in part: they are to be recognised.
_SHARE_OF_LOOK = 0.45


def compose(
    sources: Sequence[Image.Image], size: tuple[int, int], look: Look, variation: Variation
) -> Image.Image:
    """RGB at ``size``, without the mark."""
    canvas = _backdrop(sources[0], size, look, variation)
    unit = min(size) / 100
    boxes = card_boxes([source.size for source in sources], size, variation.layout)
    for source, box in zip(sources, boxes, strict=True):
        fitted = covered(source, (box.width, box.height))
        toned = Image.blend(fitted, graded(fitted, look), _SHARE_OF_LOOK)
        drawn, margin = card(toned, unit)
        canvas.paste(drawn.convert("RGB"), (box.left - margin, box.top - margin), drawn.getchannel("A"))
    return canvas


def _backdrop(first: Image.Image, size: tuple[int, int], look: Look, variation: Variation) -> Image.Image:
    """Blurred surroundings, darker than the cards, with the prompt's colours, light and weather."""
    blurred = soft_copy(covered(first, size), 0.06)
    scene = scene_for(size, look, variation)
    if scene is not None:
        blurred = Image.blend(scene, ImageChops.soft_light(scene, blurred), 0.35)
    stronger = replace(look, saturation=look.saturation * 0.9, exposure=look.exposure - 0.25, fade=0.03)
    backdrop = graded(blurred, stronger)
    lighting = light_layer(size, replace(look, glow_strength=min(0.8, look.glow_strength + 0.2)), variation)
    backdrop.paste(lighting.convert("RGB"), (0, 0), lighting.getchannel("A"))
    for layer in particle_layers(size, look, variation):
        backdrop.paste(layer.picture.convert("RGB"), (0, 0), layer.picture.getchannel("A"))
    return backdrop
