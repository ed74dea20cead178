"""The three models: what they take, in which limits, and what they cost by the list.

Unknown keys are dropped silently and the run is billed, as the real service does.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from simulator.records import Kind

IMAGE_EDIT = "kwaivgi/kling-image-v3/edit"
IMAGE_COMPOSITION = "kwaivgi/kling-image-o3/edit"
VIDEO_EDIT = "kwaivgi/kling-video-o3-pro/video-edit"

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_500)]
MediaUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+/\S*$", max_length=4_096)]
AspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9"]
OutputFormat = Literal["png", "jpeg", "webp"]

_LIST_PRICE_IMAGE = Decimal("0.028")
_LIST_PRICE_IMAGE_4K = Decimal("0.056")
SHORTEST_BILLED_SECONDS = 3
LONGEST_BILLED_SECONDS = 10


class ModelInput(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: Prompt

    @property
    def pictures(self) -> list[str]:
        """URLs of the reference pictures, in order."""
        raise NotImplementedError

    @property
    def clip(self) -> str | None:
        return None


class ImageEditInput(ModelInput):
    image: MediaUrl
    aspect_ratio: AspectRatio = "16:9"
    resolution: Literal["1k", "2k"] = "1k"
    num_images: StrictInt = Field(default=1, ge=1, le=9)
    output_format: OutputFormat = "png"

    @property
    def pictures(self) -> list[str]:
        return [self.image]


class ImageCompositionInput(ModelInput):
    images: list[MediaUrl] = Field(min_length=1, max_length=10)
    aspect_ratio: AspectRatio | Literal["auto"] = "auto"
    resolution: Literal["1k", "2k", "4k"] = "1k"
    num_images: StrictInt = Field(default=1, ge=1, le=9)
    output_format: OutputFormat = "png"

    @property
    def pictures(self) -> list[str]:
        return self.images


class VideoEditInput(ModelInput):
    video: MediaUrl
    images: list[MediaUrl] = Field(default_factory=list, max_length=4)
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

    api_type: ClassVar[dict[Kind, str]] = {"image": "image-to-image", "video": "video-to-video"}

    def entry(self, base_url: str) -> dict[str, Any]:
        """Its entry of GET /api/v3/models, with the JSON schema of its input."""
        return {
            "model_id": self.model_id,
            "name": self.name,
            "base_price": float(self.base_price),
            "description": self.description,
            "type": self.api_type[self.kind],
            "api_schema": {
                "api_schemas": [
                    {
                        "type": "model_run",
                        "server": base_url,
                        "method": "POST",
                        "api_path": f"/api/v3/{self.model_id}",
                        "request_schema": self.input_type.model_json_schema(),
                    }
                ]
            },
        }


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
        ),
        Model(
            IMAGE_COMPOSITION,
            "Kling Image O3 Edit (simulated)",
            "image",
            ImageCompositionInput,
            _LIST_PRICE_IMAGE,
            "Composes one to ten pictures, named @Image1, @Image2 and so on in the prompt.",
        ),
        Model(
            VIDEO_EDIT,
            "Kling Video O3 Pro Video Edit (simulated)",
            "video",
            VideoEditInput,
            Decimal("1.80"),
            "Edits a clip of 3 to 10 seconds, with up to four reference pictures.",
        ),
    )
}
