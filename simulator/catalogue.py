"""The three models: what they take, in which limits, and what they cost by the list.

Unknown keys are dropped silently and the run is billed, as the real service does.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from simulator.inline_media import is_inline
from simulator.records import Kind

IMAGE_EDIT = "kwaivgi/kling-image-v3/edit"
IMAGE_COMPOSITION = "kwaivgi/kling-image-o3/edit"
VIDEO_EDIT = "kwaivgi/kling-video-o3-pro/video-edit"

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_500)]


def _a_medium(value: str) -> str:
    if not is_inline(value) and not (len(value) <= _LONGEST_URL and _URL.fullmatch(value)):
        raise ValueError("neither an http(s) URL nor a data URI or base64")
    return value


_URL = re.compile(r"https?://[^\s/]+/\S*")
_LONGEST_URL = 4_096
_LONGEST_INLINE = 280_000_000  # 200 MB in base64
Medium = Annotated[str, StringConstraints(max_length=_LONGEST_INLINE), AfterValidator(_a_medium)]
AspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9"]
OutputFormat = Literal["png", "jpeg", "webp"]

_LIST_PRICE_IMAGE = Decimal("0.028")
_LIST_PRICE_IMAGE_4K = Decimal("0.056")
# What stands for a required parameter that a price is asked for without.
_STAND_INS: dict[str, Any] = {
    "prompt": "-",
    "image": "https://example.com/-",
    "images": ["https://example.com/-"],
    "video": "https://example.com/-",
}
SHORTEST_BILLED_SECONDS = 3
LONGEST_BILLED_SECONDS = 10


class ModelInput(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: Prompt

    @property
    def pictures(self) -> list[str]:
        """The reference pictures, in order: URLs, data URIs or base64."""
        raise NotImplementedError

    @property
    def clip(self) -> str | None:
        return None


class ImageEditInput(ModelInput):
    image: Medium
    aspect_ratio: AspectRatio = "16:9"
    resolution: Literal["1k", "2k"] = "1k"
    num_images: StrictInt = Field(default=1, ge=1, le=9)
    output_format: OutputFormat = "png"

    @property
    def pictures(self) -> list[str]:
        return [self.image]


class ImageCompositionInput(ModelInput):
    images: list[Medium] = Field(min_length=1, max_length=10)
    aspect_ratio: AspectRatio | Literal["auto"] = "auto"
    resolution: Literal["1k", "2k", "4k"] = "1k"
    num_images: StrictInt = Field(default=1, ge=1, le=9)
    output_format: OutputFormat = "png"

    @property
    def pictures(self) -> list[str]:
        return self.images


class VideoEditInput(ModelInput):
    video: Medium
    images: list[Medium] = Field(default_factory=list, max_length=4)
    keep_original_sound: StrictBool = True

    @property
    def pictures(self) -> list[str]:
        return self.images

    @property
    def clip(self) -> str | None:
        return self.video


@dataclass(frozen=True)
class Model:
    """One model of the catalogue; ``base_price`` is in dollars, for an image of 1k or for 5 s of video."""

    model_id: str
    name: str
    kind: Kind
    input_type: type[ModelInput]
    base_price: Decimal
    description: str
    formula: str

    api_type: ClassVar[dict[Kind, str]] = {"image": "image-to-image", "video": "video-to-video"}

    @property
    def required(self) -> frozenset[str]:
        return frozenset(name for name, field in self.input_type.model_fields.items() if field.is_required())

    def floor(self, inputs: dict[str, Any]) -> tuple[ModelInput, bool]:
        """What a price is asked for, where parts are missing: they cost the least; whether a clip was given.

        Raises ValidationError for what is there and wrong.
        """
        missing = {name: _STAND_INS[name] for name in self.required - set(inputs)}
        understood = self.input_type.model_validate({**inputs, **missing})
        return understood, understood.clip is not None and "video" not in missing

    def entry(self, base_url: str) -> dict[str, Any]:
        """Its entry of GET /api/v3/models, with the JSON schema of its input."""
        return {
            "model_id": self.model_id,
            "name": self.name,
            "base_price": float(self.base_price),
            "description": self.description,
            "type": self.api_type[self.kind],
            "formula": self.formula,
            "api_schema": {
                "api_schemas": [
                    {
                        "type": "model_run",
                        "server": base_url,
                        "method": "POST",
                        "api_path": f"/api/v3/{self.model_id}",
                        "request_schema": _request_schema(self.input_type),
                    }
                ]
            },
        }


def _request_schema(input_type: type[ModelInput]) -> dict[str, Any]:
    """The JSON schema, with the order of its parameters; a choice is one flat ``enum``."""
    schema = input_type.model_json_schema()
    for parameter in schema["properties"].values():
        choices = parameter.pop("anyOf", None)
        if choices:
            values = [value for choice in choices for value in choice.get("enum", [choice.get("const")])]
            parameter |= {"type": "string", "enum": values}
    return {**schema, "x-order-properties": list(schema["properties"])}


def image_price(parameters: dict[str, Any]) -> Decimal:
    """List price in dollars of an image prediction."""
    each = _LIST_PRICE_IMAGE_4K if parameters["resolution"] == "4k" else _LIST_PRICE_IMAGE
    return each * int(parameters["num_images"])


MODELS = {
    model.model_id: model
    for model in (
        Model(
            IMAGE_EDIT,
            "Kling Image V3 Edit (simulated)",
            "image",
            ImageEditInput,
            _LIST_PRICE_IMAGE,
            "Edits one picture as the prompt says.",
            "0.028 * num_images",
        ),
        Model(
            IMAGE_COMPOSITION,
            "Kling Image O3 Edit (simulated)",
            "image",
            ImageCompositionInput,
            _LIST_PRICE_IMAGE,
            "Composes one to ten pictures, named @Image1, @Image2 and so on in the prompt.",
            "(resolution == '4k' ? 0.056 : 0.028) * num_images",
        ),
        Model(
            VIDEO_EDIT,
            "Kling Video O3 Pro Video Edit (simulated)",
            "video",
            VideoEditInput,
            Decimal("1.80"),
            "Edits a clip of 3 to 10 seconds, with up to four reference pictures.",
            "1.8 / 5 * min(max(duration, 3), 10)",
        ),
    )
}
