"""The three request schemas: exactly the service's keys, its limits, and what is billed."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from tasks.models import (
    REQUESTS,
    ComposeRequest,
    EditRequest,
    Stage,
    VideoRequest,
    billed_seconds,
    billed_seconds_upper_bound,
)

CLIP, ONE, TWO = "https://h/c.mp4", "https://h/1.png", "https://h/2.png"


def test_an_edit_sends_every_parameter_and_nothing_else() -> None:
    assert EditRequest(prompt="warm light").body([ONE]) == {
        "prompt": "warm light",
        "image": ONE,
        "aspect_ratio": "16:9",
        "resolution": "1k",
        "num_images": 1,
        "output_format": "png",
    }


def test_a_composition_sends_its_pictures_in_order() -> None:
    request = ComposeRequest(prompt="@Image2 on @Image1", num_images=3, resolution="4k", output_format="webp")
    assert request.body([ONE, TWO]) == {
        "prompt": "@Image2 on @Image1",
        "images": [ONE, TWO],
        "aspect_ratio": "auto",
        "resolution": "4k",
        "num_images": 3,
        "output_format": "webp",
    }


@pytest.mark.parametrize(("urls", "images"), [([CLIP], []), ([CLIP, ONE, TWO], [ONE, TWO])])
def test_a_video_edit_sends_images_even_where_there_are_none(urls: list[str], images: list[str]) -> None:
    assert VideoRequest(prompt="dusk", keep_original_sound=False).body(urls) == {
        "prompt": "dusk",
        "video": CLIP,
        "images": images,
        "keep_original_sound": False,
    }


@pytest.mark.parametrize(
    ("request_", "urls"),
    [
        (EditRequest(prompt="x"), []),
        (EditRequest(prompt="x"), [ONE, TWO]),
        (ComposeRequest(prompt="x"), []),
        (ComposeRequest(prompt="x"), [ONE] * 11),
        (VideoRequest(prompt="x"), []),
        (VideoRequest(prompt="x"), [CLIP, *[ONE] * 5]),
    ],
)
def test_a_number_of_media_that_the_model_does_not_take_is_refused(
    request_: EditRequest | ComposeRequest | VideoRequest, urls: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"takes|needs"):
        request_.body(urls)


@pytest.mark.parametrize(
    "parameters",
    [
        {"prompt": ""},
        {"prompt": "x" * 2501},
        {"prompt": "x", "num_images": 0},
        {"prompt": "x", "num_images": 10},
        {"prompt": "x", "num_images": "3"},
        {"prompt": "x", "aspect_ratio": "auto"},
        {"prompt": "x", "resolution": "4k"},
        {"prompt": "x", "output_format": "gif"},
        {"prompt": "x", "seed": 1},
    ],
)
def test_what_the_edit_model_does_not_take_is_no_request(parameters: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EditRequest.model_validate(parameters)


def test_parameters_make_the_same_request_again() -> None:
    for stage, parameters in {
        Stage.EDIT: {"prompt": "a", "num_images": 9, "aspect_ratio": "21:9"},
        Stage.COMPOSE: {"prompt": "b", "resolution": "4k"},
        Stage.VIDEO: {"prompt": "c" * 2500, "keep_original_sound": False},
    }.items():
        request = REQUESTS[stage].model_validate(parameters)
        assert REQUESTS[stage.value].model_validate(request.parameters()) == request
        assert request.stage is stage


@pytest.mark.parametrize(
    ("duration", "billed", "upper"),
    [
        ("0.5", "3", "3"),
        ("2.999", "3", "3"),
        ("3", "3", "3"),
        ("5.312", "5.312", "6"),
        ("9.999999", "9.999999", "10"),
        ("10.04", "10", "10"),
    ],
)
def test_billed_seconds_are_clamped_and_exact(duration: str, billed: str, upper: str) -> None:
    assert billed_seconds(Decimal(duration)) == Decimal(billed)
    assert billed_seconds_upper_bound(Decimal(duration)) == Decimal(upper)
    request = VideoRequest(prompt="x")
    assert request.quantity_for(Decimal(duration)) == Decimal(billed)
    assert request.quantity_upper_bound_for(Decimal(duration)) == Decimal(upper)


def test_pictures_are_billed_each_and_a_video_needs_its_duration() -> None:
    assert ComposeRequest(prompt="x", num_images=4).quantity_for(None) == 4
    assert EditRequest(prompt="x", num_images=4).quantity_upper_bound_for(None) == 4
    with pytest.raises(ValueError, match="duration"):
        VideoRequest(prompt="x").quantity_for(None)
