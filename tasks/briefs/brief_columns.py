"""The columns of a campaign as one model: what each means, what it may hold, and what a blank cell means.

The documents, the JSON Schema and the starter file are drawn from it. Choices, limits and defaults are those of the
requests in ``tasks/models.py``; rows are read, and their faults worded, in ``tasks/briefs/brief_rows.py``.
"""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field

from tasks.briefs.cells import DEVICE_NAMES
from tasks.models import (
    FEWEST_IMAGES,
    LONGEST_PROMPT,
    MOST_IMAGES,
    REQUESTS,
    ComposeRequest,
    EditRequest,
    Stage,
    StageRequest,
    VideoRequest,
)

PROMPTS: dict[Stage, str] = {stage: f"{stage}_prompt" for stage in Stage}
SOURCE_COLUMNS = ("edit_image", "compose_images", "video", "video_images")
# A list in one of these makes a variant of the brief for each of its entries.
MATRIX_COLUMNS: dict[str, tuple[str, ...]] = {
    f"{stage}_aspect_ratio": get_args(request.model_fields["aspect_ratio"].annotation)
    for stage, request in REQUESTS.items()
    if "aspect_ratio" in request.model_fields
}

_NOT_BLANK = {"pattern": r"\S"}


def _prompt(meaning: str) -> Any:
    # Braces may be filled with more or with less than they take: only without any is the length known here.
    limit: dict[str, Any] = {"anyOf": [{"maxLength": LONGEST_PROMPT}, {"pattern": "[{}]"}]}
    return Field(default="", title="text", description=meaning, json_schema_extra=limit)


def _files(most: int, meaning: str) -> Any:
    title = "one file" if most == 1 else "files"
    more = f"(\\|[^|]+){{0,{most - 1}}}" if most > 1 else ""
    return Field(
        default="", title=title, description=meaning, json_schema_extra={"pattern": f"^([^|]+{more})?$"}
    )


def _choice(request: type[StageRequest], name: str, meaning: str) -> Any:
    field = request.model_fields[name]
    choices = [str(choice) for choice in get_args(field.annotation)] or ["true", "false"]
    allowed: dict[str, Any] = {"enum": ["", *choices]}
    if name == "aspect_ratio":
        one = f"({'|'.join(choices)})"
        allowed = {"anyOf": [allowed, {"pattern": f"^{one}( *\\| *{one})+$"}]}
    title = " ".join(f"`{choice}`" for choice in choices)
    default = str(field.default).lower()
    return Field(default=default, title=title, description=meaning, json_schema_extra=allowed)


def _number_of_images(request: type[StageRequest], meaning: str) -> Any:
    numbers = [str(number) for number in range(FEWEST_IMAGES, MOST_IMAGES + 1)]
    return Field(
        default=str(request.model_fields["num_images"].default),
        title=f"{FEWEST_IMAGES} to {MOST_IMAGES}",
        description=meaning,
        json_schema_extra={"enum": ["", *numbers]},
    )


def _any_case(word: str) -> str:
    return "".join(f"[{sign.upper()}{sign}]" if sign.isalpha() else sign for sign in word)


def _given(column: str) -> dict[str, Any]:
    return {"required": [column], "properties": {column: _NOT_BLANK}}


_RULES: dict[str, Any] = {
    "anyOf": [_given(prompt) for prompt in PROMPTS.values()],
    "allOf": [
        {"if": _given("edit_prompt"), "then": _given("edit_image")},
        {
            "if": {"allOf": [_given("compose_prompt"), {"not": _given("edit_prompt")}]},
            "then": _given("compose_images"),
        },
        {"if": _given("video_prompt"), "then": _given("video")},
    ],
    "additionalProperties": {"type": "string"},
}


class CampaignRow(BaseModel):
    """One row of a campaign's CSV, by column: each cell as text, blank where the default is meant.

    A further column is right where a prompt of the file names it in braces, and only there. Choices are written in
    lower case here; the CSV takes them in any. What a schema cannot say (ids that differ by case only, `@ImageN` beyond
    the references, files that are not there) is found by `campaign plan`.
    """

    model_config = ConfigDict(extra="allow", title="Brief", json_schema_extra=_RULES)

    brief: str = Field(
        title="an id",
        description="names the brief and its folder; unique in the file",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$",
        json_schema_extra={
            "not": {"pattern": f"^({'|'.join(_any_case(name) for name in sorted(DEVICE_NAMES))})(\\.|$)"}
        },
    )
    edit_prompt: str = _prompt("the image edit: what to change")
    edit_image: str = _files(1, "the picture that the edit changes; required with an edit prompt")
    edit_aspect_ratio: str = _choice(
        EditRequest, "aspect_ratio", "of the edited pictures; several make one variant each"
    )
    edit_resolution: str = _choice(EditRequest, "resolution", "of the edited pictures")
    edit_num_images: str = _number_of_images(EditRequest, "how many variations; each is paid for")
    edit_output_format: str = _choice(EditRequest, "output_format", "of the edited pictures")
    compose_prompt: str = _prompt(
        "the composition: what to make of the references, which it calls `@Image1`, `@Image2` and so on"
    )
    compose_images: str = _files(
        ComposeRequest.max_references,
        "more references, after the edited pictures; required where the brief has no edit",
    )
    compose_aspect_ratio: str = _choice(
        ComposeRequest, "aspect_ratio", "of the composed pictures; several make one variant each"
    )
    compose_resolution: str = _choice(ComposeRequest, "resolution", "of the composed pictures")
    compose_num_images: str = _number_of_images(ComposeRequest, "how many variations; each is paid for")
    compose_output_format: str = _choice(ComposeRequest, "output_format", "of the composed pictures")
    video_prompt: str = _prompt("the video edit: what to change in the clip")
    video: str = _files(1, "the clip that is changed; required with a video prompt")
    video_images: str = _files(
        VideoRequest.max_references,
        "more references, after the composed pictures, or after the edited ones where the brief composes none",
    )
    video_keep_original_sound: str = _choice(
        VideoRequest, "keep_original_sound", "whether the clip keeps its sound"
    )
    take: str = Field(
        default="1",
        title="1 or more",
        description="raise it to pay for a new variation of otherwise equal work",
        json_schema_extra={"pattern": "^([1-9][0-9]{0,8})?$"},
    )


COLUMNS: tuple[str, ...] = tuple(CampaignRow.model_fields)


def brief_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one row."""
    schema = CampaignRow.model_json_schema()
    schema["description"] = " ".join(schema["description"].split())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def column_table() -> str:
    """The same as a table in Markdown."""
    lines = ["| column | values | default | meaning |", "|---|---|---|---|"]
    for name, field in CampaignRow.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default}`" if field.default else ""
        cells = (f"`{name}`", field.title or "", default, field.description or "")
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines) + "\n"
