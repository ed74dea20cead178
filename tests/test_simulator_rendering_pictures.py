"""Edited and composed pictures: sides, formats, marks, what they show, and how they differ."""

import io
import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont
from rendering_inputs import REAL_MEDIA, correlation, file_of, photograph, pixels, product_shot

from simulator.rendering import render_composition, render_edit
from simulator.rendering.framing import covered, framed
from simulator.rendering.layouts import card_boxes
from simulator.rendering.marking import COMMENT, LABEL, label_for
from simulator.rendering.matte import matte_for
from simulator.rendering.sizes import nearest_aspect_ratio, picture_size
from simulator.rendering.styles import look_for, variation_for
from simulator.rendering.vocabulary import COLOURS

EDIT: dict[str, Any] = {"aspect_ratio": "3:2", "resolution": "1k", "output_format": "png", "number": 1}


def edit(image: bytes, prompt: str, **changes: object) -> bytes:
    return render_edit(image, prompt, **{**EDIT, **changes})


@pytest.fixture(scope="module")
def photo() -> bytes:
    real = REAL_MEDIA / "coffee.png"
    return real.read_bytes() if real.exists() else file_of(photograph(1))


def label_likeness(shown: np.ndarray) -> float:
    """How well the place of the label matches the label's words, drawn here anew."""
    height, width = shown.shape[:2]
    label, (left, top) = label_for((width, height))
    points = max(12, round(min(width, height) * 0.022))
    text = ImageFont.load_default(points).getmask(LABEL, mode="L")
    expected = np.array(text, dtype=np.float32).reshape(text.size[1], text.size[0])
    place = shown[top : top + label.height, left : left + label.width].mean(axis=-1)
    best = 0.0
    for down in range(place.shape[0] - expected.shape[0] + 1):
        for across in range(place.shape[1] - expected.shape[1] + 1):
            window = place[down : down + expected.shape[0], across : across + expected.shape[1]]
            best = max(best, correlation(window, expected))
    return best


def inside(card: Image.Image) -> np.ndarray:
    """A small grey copy without the card's rim."""
    rim = round(0.06 * min(card.size))
    grey: np.ndarray = pixels(card.crop((rim, rim, card.width - rim, card.height - rim)), (40, 40)).mean(
        axis=-1
    )
    return grey


@pytest.mark.parametrize(
    ("aspect_ratio", "resolution", "sides"),
    [
        ("1:1", "1k", (1024, 1024)),
        ("3:2", "1k", (1248, 832)),
        ("2:3", "1k", (832, 1248)),
        ("4:3", "1k", (1168, 880)),
        ("3:4", "1k", (880, 1168)),
        ("16:9", "1k", (1360, 768)),
        ("9:16", "1k", (768, 1360)),
        ("21:9", "1k", (1552, 656)),
        ("1:1", "2k", (2048, 2048)),
        ("21:9", "4k", (6208, 2624)),
        ("9:16", "4k", (3072, 5440)),
    ],
)
def test_sides_are_those_of_the_api_page(aspect_ratio: str, resolution: str, sides: tuple[int, int]) -> None:
    assert picture_size(aspect_ratio, resolution) == sides


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_a_picture_has_the_format_the_sides_and_both_marks(photo: bytes, output_format: str) -> None:
    made = edit(photo, "a quiet morning", aspect_ratio="16:9", output_format=output_format)
    picture = Image.open(io.BytesIO(made))
    assert picture.format == output_format.upper()
    assert picture.size == (1360, 768)
    assert picture.mode == "RGB"
    written = picture.info["Comment"] if output_format == "png" else picture.getexif()[0x010E]
    assert written == COMMENT
    assert COMMENT.startswith("SIMULATED")
    assert label_likeness(pixels(made)) > 0.85


def test_the_label_is_not_found_where_there_is_none(photo: bytes) -> None:
    unmarked = framed(Image.open(io.BytesIO(photo)).convert("RGB"), (1360, 768)).picture
    assert label_likeness(pixels(unmarked)) < 0.6


def test_4k_has_its_sides_and_a_bearable_weight(photo: bytes) -> None:
    made = edit(photo, "snow on marble at night, vintage", aspect_ratio="16:9", resolution="4k")
    assert Image.open(io.BytesIO(made)).size == (5440, 3072)
    assert len(made) < 25_000_000


def test_equal_requests_give_equal_bytes_and_other_prompts_or_numbers_visibly_other_pictures(
    photo: bytes,
) -> None:
    prompts = ["zzyx alpha", "zzyx beta", "a starry night", "on white marble"]
    made = [edit(photo, prompt, resolution="1k") for prompt in prompts]
    made += [edit(photo, prompts[0], number=number) for number in (2, 3)]
    assert edit(photo, prompts[0]) == made[0]
    small = [pixels(data, (312, 208)) for data in made]
    for index, one in enumerate(small):
        for other in small[index + 1 :]:
            assert np.abs(one - other).mean() > 4


def test_a_second_picture_in_new_surroundings_differs_too() -> None:
    shot = file_of(product_shot())
    one, other = (pixels(edit(shot, "on a sunny beach", number=number), (312, 208)) for number in (1, 2))
    assert np.abs(one - other).mean() > 4


@pytest.mark.parametrize(
    "prompt",
    ["golden hour", "midnight", "black and white", "neon", "in a forest", "xyzzy"],
)
def test_the_original_stays_recognisable_and_is_changed(photo: bytes, prompt: str) -> None:
    made = pixels(edit(photo, prompt), (312, 208))
    original = Image.open(io.BytesIO(photo)).convert("RGB")
    variation = variation_for(prompt, 1)
    before = pixels(framed(original, (1248, 832), variation.zoom, variation.pan).picture, (312, 208))
    middle = np.s_[52:156, 78:234]
    assert correlation(made[middle].mean(axis=-1), before[middle].mean(axis=-1)) > 0.75
    assert np.abs(made - before).mean() > 6


def test_words_do_what_they_say(photo: bytes) -> None:
    def average(prompt: str) -> np.ndarray:
        colour: np.ndarray = pixels(edit(photo, prompt), (312, 208)).mean(axis=(0, 1))
        return colour

    plain = average("")
    assert average("midnight").sum() < plain.sum() * 0.8
    assert np.ptp(average("black and white")) < 3
    warm, cold = average("warm"), average("icy cold")
    assert warm[0] - warm[2] > cold[0] - cold[2] + 20
    assert look_for("no snow, please", variation_for("", 1)).particles is None
    assert look_for("snow, please", variation_for("", 1)).particles == "snow"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("on a pale pink background", {"backdrop": COLOURS["pink"], "recolour": None}),
        ("Make the cup cobalt, keep the red saucer", {"recolour": COLOURS["cobalt"], "backdrop": None}),
        ("a sea-green mug in the forest", {"scene": "forest", "recolour": None, "backdrop": None}),
        ("Turn it into dramatic black and white", {"saturation": 0.0, "recolour": None}),
        ("the sea a blur of turquoise behind it", {"scene": "beach", "backdrop": None}),
        ("beach. Keep the snow and the forest as they are.", {"scene": "beach", "particles": None}),
        ("Put the potter on a beach", {"scene": "beach"}),
    ],
)
def test_words_are_read_in_their_place(prompt: str, expected: dict[str, object]) -> None:
    look = look_for(prompt, variation_for(prompt, 1))
    assert {name: getattr(look, name) for name in expected} == expected


def test_a_product_before_a_plain_wall_gets_new_surroundings_and_a_new_colour() -> None:
    shot = product_shot()
    mask = pixels(matte_for(shot).mask)[..., 0]
    assert matte_for(shot).cut_out
    assert mask[360, 450] > 250
    assert mask[360, 425] > 250
    assert mask[:, :200].max() < 5
    assert not matte_for(photograph(5, (900, 600))).cut_out
    forest = pixels(edit(file_of(shot), "in a forest"))
    wall, bottle = forest[200:500, 60:300], forest[620:720, 560:690]
    assert wall[..., 1].mean() > wall[..., 0].mean() + 15  # the wall was grey
    assert bottle[..., 1].mean() > bottle[..., 0].mean() + 15  # and the bottle still is green
    red = pixels(edit(file_of(shot), "make the bottle red"))[620:720, 560:690]
    assert red[..., 0].mean() > red[..., 1].mean() + 40


@pytest.mark.parametrize("sides", [(300, 750), (750, 300), (512, 512)])
@pytest.mark.parametrize("aspect_ratio", ["9:16", "21:9"])
def test_other_shapes_are_extended_rather_than_cut(sides: tuple[int, int], aspect_ratio: str) -> None:
    shape = np.zeros((sides[1], sides[0], 3), dtype=np.uint8) + 120
    # Marks near all four edges: they must still be there.
    for across, down, channel in ((0.5, 0.08, 0), (0.5, 0.92, 1), (0.08, 0.5, 2), (0.92, 0.5, 0)):
        x, y = int(across * sides[0]), int(down * sides[1])
        shape[y - 12 : y + 12, x - 12 : x + 12] = 0
        shape[y - 12 : y + 12, x - 12 : x + 12, channel] = 255
    size = picture_size(aspect_ratio, "1k")
    result = pixels(framed(Image.fromarray(shape), size).picture)
    for channel, count in ((0, 2), (1, 1), (2, 1)):
        others = [other for other in range(3) if other != channel]
        strong = (result[..., channel] > 200) & (result[..., others].max(axis=-1) < 60)
        assert strong.sum() > count * 200


def test_every_kind_of_picture_is_read() -> None:
    plain = photograph(3, (420, 300))
    turned = Image.Exif()
    turned[0x0112] = 6
    translucent = plain.convert("RGBA")
    translucent.putalpha(Image.linear_gradient("L").resize(plain.size))
    grey = np.asarray(plain.convert("L"), dtype=np.uint16) * 257
    kinds = {
        "exif": file_of(plain.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=turned, quality=95),
        "cmyk": file_of(plain.convert("CMYK"), "JPEG", quality=95),
        "16 bit": file_of(Image.fromarray(grey)),
        "palette": file_of(plain.quantize(128)),
        "alpha": file_of(translucent),
        "webp": file_of(plain, "WEBP", quality=95),
    }
    expected = pixels(edit(file_of(plain), "plain"), (208, 139)).mean(axis=-1)
    on_white = Image.new("RGB", plain.size, "white")
    on_white.paste(plain, mask=translucent.getchannel("A"))
    expected_grey = pixels(edit(file_of(plain.convert("L")), "plain"), (208, 139)).mean(axis=-1)
    expected_white = pixels(edit(file_of(on_white), "plain"), (208, 139)).mean(axis=-1)
    others = {"16 bit": expected_grey, "alpha": expected_white}
    for kind, data in kinds.items():
        seen = pixels(edit(data, "plain"), (208, 139)).mean(axis=-1)
        assert correlation(seen, others.get(kind, expected)) > 0.95, kind


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_what_is_no_picture_is_refused_with_its_place(damage: str) -> None:
    good = file_of(photograph(4))
    data = {"text": b"<html>502 Bad Gateway</html>", "truncated": good[: len(good) // 2], "empty": b""}[
        damage
    ]
    with pytest.raises(ValueError, match="the image"):
        edit(data, "anything")
    with pytest.raises(ValueError, match="image 2"):
        render_composition([good, data], "anything", **EDIT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aspect_ratio": "5:4"}, "aspect_ratio '5:4'"),
        ({"resolution": "8k"}, "resolution '8k'"),
        ({"output_format": "gif"}, "output_format 'gif'"),
        ({"number": 0}, "count from 1"),
    ],
)
def test_parameters_that_the_service_lacks_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        edit(file_of(photograph(4)), "anything", **changes)


@pytest.mark.parametrize("count", range(1, 11))
def test_cards_lie_apart_inside_the_picture(count: int) -> None:
    shapes = [(600, 400), (512, 512), (400, 900), (1200, 500), (1280, 720)]
    sizes = [shapes[index % len(shapes)] for index in range(count)]
    for canvas in ((1360, 768), (768, 1360), (1024, 1024), (1552, 656)):
        for layout in range(6):
            boxes = card_boxes(sizes, canvas, layout)
            assert len(boxes) == count
            for index, box in enumerate(boxes):
                assert box.left > 0
                assert box.top > 0
                assert box.left + box.width < canvas[0]
                assert box.top + box.height < label_for(canvas)[1][1]
                assert min(box.width, box.height) > 0.06 * min(canvas)
                for other in boxes[index + 1 :]:
                    apart_across = box.left + box.width <= other.left or other.left + other.width <= box.left
                    apart_down = box.top + box.height <= other.top or other.top + other.height <= box.top
                    assert apart_across or apart_down


@pytest.mark.parametrize(
    ("count", "prompt"), [(1, "a snowy night"), (2, "xyzzy"), (4, "at a table"), (10, "a snowy night")]
)
def test_a_composition_shows_every_reference(count: int, prompt: str) -> None:
    pictures = [photograph(20 + index, (480, 320 + 60 * (index % 4))) for index in range(count)]
    made = render_composition(
        [file_of(picture) for picture in pictures], prompt, **{**EDIT, "aspect_ratio": "16:9"}
    )
    shown = Image.open(io.BytesIO(made))
    boxes = card_boxes([picture.size for picture in pictures], shown.size, variation_for(prompt, 1).layout)
    for index, box in enumerate(boxes):
        there = inside(shown.crop((box.left, box.top, box.left + box.width, box.top + box.height)))
        likeness = [
            correlation(there, inside(covered(picture, (box.width, box.height)))) for picture in pictures
        ]
        assert likeness[index] > 0.85
        assert int(np.argmax(likeness)) == index
    assert label_likeness(pixels(made)) > 0.85


def test_compositions_vary_by_prompt_and_number_and_repeat_exactly() -> None:
    images = [file_of(photograph(30 + index)) for index in range(3)]
    made = [
        render_composition(images, prompt, **{**EDIT, "number": number})
        for prompt, number in (("one", 1), ("two", 1), ("one", 2), ("one", 1))
    ]
    assert made[0] == made[3]
    small = [pixels(data, (156, 104)) for data in made[:3]]
    assert min(np.abs(small[a] - small[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))) > 4


def test_auto_takes_the_first_references_nearest_ratio() -> None:
    tall, wide = photograph(40, (300, 520)), photograph(41, (700, 300))
    made = render_composition([file_of(tall), file_of(wide)], "both", **{**EDIT, "aspect_ratio": "auto"})
    assert Image.open(io.BytesIO(made)).size == (768, 1360)
    assert nearest_aspect_ratio(700, 300) == "21:9"
    assert nearest_aspect_ratio(512, 500) == "1:1"
    with pytest.raises(ValueError, match="at least one"):
        render_composition([], "none", **EDIT)


def test_a_worker_process_can_be_handed_the_functions() -> None:
    assert pickle.loads(pickle.dumps(render_edit)) is render_edit
    assert pickle.loads(pickle.dumps(render_composition)) is render_composition
