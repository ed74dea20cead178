"""The three models: what each takes, within which limits, and what it counts as one unit of work.

Every parameter is sent explicitly, because the service's own pages contradict each other about defaults, and
nothing else is sent, because the service silently drops an unknown key and bills the run all the same.
"""

from abc import abstractmethod
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

LONGEST_PROMPT = 2_500  # characters
FEWEST_IMAGES = 1
MOST_IMAGES = 9

AspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9"]
ComposeAspectRatio = Literal["auto", "16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9"]
EditResolution = Literal["1k", "2k"]
ComposeResolution = Literal["1k", "2k", "4k"]
OutputFormat = Literal["png", "jpeg", "webp"]
Unit = Literal["image", "second"]

ASPECT_RATIOS: tuple[str, ...] = get_args(AspectRatio)
COMPOSE_ASPECT_RATIOS: tuple[str, ...] = get_args(ComposeAspectRatio)
EDIT_RESOLUTIONS: tuple[str, ...] = get_args(EditResolution)
COMPOSE_RESOLUTIONS: tuple[str, ...] = get_args(ComposeResolution)
OUTPUT_FORMATS: tuple[str, ...] = get_args(OutputFormat)

SHORTEST_BILLED = Decimal(3)  # seconds
LONGEST_BILLED = Decimal(10)


class Stage(StrEnum):
    EDIT = "edit"
    COMPOSE = "compose"
    VIDEO = "video"


def billed_seconds(duration: Decimal) -> Decimal:
    """The seconds that a clip of this duration (seconds, unrounded) is billed for: clamped to 3…10, exact."""
    return min(max(duration, SHORTEST_BILLED), LONGEST_BILLED)


def billed_seconds_upper_bound(duration: Decimal) -> Decimal:
    """The same, should the service round up to whole seconds, which its pages leave open."""
    return billed_seconds(duration.to_integral_value(rounding=ROUND_CEILING))


class _Request(BaseModel):
    """The parameters of one submit call as the service takes them, the URLs of its media aside."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model_id: ClassVar[str]
    stage: ClassVar[Stage]
    unit: ClassVar[Unit]
    max_references: ClassVar[int]  # pictures, the clip not counted

    prompt: Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT)]

    @property
    @abstractmethod
    def price_resolution(self) -> str | None:
        """The resolution that the price depends on; None for a model that has none."""

    @abstractmethod
    def quantity_for(self, seconds: Decimal | None) -> Decimal:
        """Billed units. ``seconds`` is the clip's duration, unrounded; a picture model ignores it."""

    def quantity_upper_bound_for(self, seconds: Decimal | None) -> Decimal:
        """Billed units under the dearest reading of the service's pages."""
        return self.quantity_for(seconds)

    def parameters(self) -> dict[str, Any]:
        """Every parameter as sent, without the media."""
        return self.model_dump(mode="json")

    @abstractmethod
    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        """The JSON body of the submit call: exactly the model's schema.

        Raises ValueError where the number of URLs is not one that the model takes.
        """

    def _check_pictures(self, urls: Sequence[str], fewest: int) -> None:
        if not fewest <= len(urls) <= self.max_references:
            raise ValueError(
                f"{self.model_id} takes {fewest} to {self.max_references} pictures, not {len(urls)}"
            )


class _PictureRequest(_Request):
    """What both picture models share: they count, and are paid, by the picture made."""

    unit: ClassVar[Unit] = "image"

    num_images: Annotated[int, Field(ge=FEWEST_IMAGES, le=MOST_IMAGES)] = 1
    output_format: OutputFormat = "png"

    def quantity_for(self, seconds: Decimal | None) -> Decimal:  # noqa: ARG002 - pictures have no duration
        return Decimal(self.num_images)


class EditRequest(_PictureRequest):
    """kling-image-v3: changes one picture as the prompt says."""

    model_id: ClassVar[str] = "kwaivgi/kling-image-v3/edit"
    stage: ClassVar[Stage] = Stage.EDIT
    max_references: ClassVar[int] = 1

    aspect_ratio: AspectRatio = "16:9"
    resolution: EditResolution = "1k"

    @property
    def price_resolution(self) -> str:
        return self.resolution

    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        self._check_pictures(urls, fewest=1)
        return {**self.parameters(), "image": urls[0]}


class ComposeRequest(_PictureRequest):
    """kling-image-o3: makes pictures from several references, named ``@Image1`` … in the prompt."""

    model_id: ClassVar[str] = "kwaivgi/kling-image-o3/edit"
    stage: ClassVar[Stage] = Stage.COMPOSE
    max_references: ClassVar[int] = 10

    aspect_ratio: ComposeAspectRatio = "auto"
    resolution: ComposeResolution = "1k"

    @property
    def price_resolution(self) -> str:
        return self.resolution

    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        self._check_pictures(urls, fewest=1)
        return {**self.parameters(), "images": list(urls)}


class VideoRequest(_Request):
    """kling-video-o3-pro: changes one clip, guided by up to four references; paid by the clip's second."""

    model_id: ClassVar[str] = "kwaivgi/kling-video-o3-pro/video-edit"
    stage: ClassVar[Stage] = Stage.VIDEO
    unit: ClassVar[Unit] = "second"
    max_references: ClassVar[int] = 4

    keep_original_sound: bool = True

    @property
    def price_resolution(self) -> None:
        return None

    def quantity_for(self, seconds: Decimal | None) -> Decimal:
        return billed_seconds(_known(seconds))

    def quantity_upper_bound_for(self, seconds: Decimal | None) -> Decimal:
        return billed_seconds_upper_bound(_known(seconds))

    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        """``urls[0]`` is the clip, the rest are reference pictures; ``images`` is sent even where empty."""
        if not urls:
            raise ValueError(f"{self.model_id} needs a clip")
        clip, *pictures = urls
        self._check_pictures(pictures, fewest=0)
        return {**self.parameters(), "video": clip, "images": pictures}


StageRequest = EditRequest | ComposeRequest | VideoRequest

REQUESTS: dict[str, type[StageRequest]] = {
    Stage.EDIT: EditRequest,
    Stage.COMPOSE: ComposeRequest,
    Stage.VIDEO: VideoRequest,
}


def _known(seconds: Decimal | None) -> Decimal:
    if seconds is None:
        raise ValueError("the price of a video edit needs the duration of its clip")
    return seconds
