"""The layout of ``manifest.json``: what every key of it means. Schema and page in docs/ are drawn from here.

Amounts are decimal strings in US dollars, moments ISO 8601 in UTC, durations seconds.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tasks.record import Outcome

SCHEMA = 1  # raised when a reader of the file has to change

Dollars = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]{1,6})?$")]
Number = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CampaignPart(_Part):
    """The campaign's CSV as it was read."""

    name: str = Field(description="the CSV's name without its ending")
    path: str = Field(description="where the CSV was, from the root of its machine")
    sha256: Sha256 = Field(description="of the CSV's bytes")
    columns: list[str] = Field(description="its columns in their order")


class PriceListPart(_Part):
    """The price list that the run reckoned with."""

    name: str = Field(description="the file's name")
    dated: str = Field(description="the day from which it holds, as an ISO date")
    sha256: Sha256 = Field(description="of the file's bytes")
    prices: list[dict[str, str]] = Field(description="its rows, by column")


class LimitsPart(_Part):
    """The account's limits, as the run kept them."""

    max_concurrent: int = Field(description="predictions in flight at a time")
    images_per_minute: int = Field(description="predictions of pictures begun in any minute")
    videos_per_minute: int = Field(description="predictions of clips begun in any minute")


class InputPart(_Part):
    """One picture or clip that went into a stage."""

    role: Literal["image", "images", "video"] = Field(description="the parameter that it was sent as")
    source: str = Field(
        description="the path as the CSV has it, the https address, or `BRIEF/STAGE-N` of the stage before"
    )
    sha256: Sha256 = Field(description="of the original's bytes")
    media_type: str = Field(description="of the original")
    converted_to: str | None = Field(
        description="media type that was sent instead, where the model does not take the original"
    )


class LatencyPart(_Part):
    """Seconds of each step; null where the step did not happen in this run."""

    queue_s: Seconds | None = Field(description="waiting for equal work, the account's limits, or the budget")
    upload_s: Seconds | None = Field(description="sending the inputs, or finding that the service has them")
    submit_s: Seconds | None = Field(description="the submitting request")
    inference_s: Seconds | None = Field(description="the service's own work, as it reports it")
    detect_s: Seconds | None = Field(description="from the prediction's end to this program's knowing it")
    download_s: Seconds | None = Field(description="fetching, decoding and keeping the outputs")
    total_s: Seconds | None = Field(description="from the stage's start to its end")
    polls: int = Field(description="how often the prediction was looked at")
    attempts: int = Field(description="how many submitting requests were sent")


class AttemptPart(_Part):
    """One submit that this run accounts for."""

    number: int = Field(description="from 1 within its piece of work")
    state: str = Field(description="how far it came, as the ledger names it")
    prediction_id: str | None = Field(description="the service's id, where it gave one")
    charged_usd: Dollars = Field(description="before what was refunded")
    refunded_usd: Dollars = Field(description="what the billing record shows as given back")
    error_code: str | None = Field(description="the service's code, where it failed")
    error: str | None = Field(description="what went wrong, in words")
    submitted_at: datetime | None = Field(description="when the service took it on")
    ended_at: datetime | None = Field(description="when it was known to be completed or failed")
    settled_at: datetime | None = Field(description="when its cost was read from the bill")


class AssetPart(_Part):
    """One picture or clip that the service made."""

    path: str = Field(description="below the run's folder: `assets/BRIEF/STAGE-N.EXT`")
    sha256: Sha256 = Field(description="of the bytes that the service delivered")
    media_type: str = Field(description="as its bytes say")
    bytes: int = Field(description="how many")
    width: int = Field(description="in pixels")
    height: int = Field(description="in pixels")
    duration_seconds: Number | None = Field(description="of a clip's longest stream")
    frames_per_second: Number | None = Field(description="of a clip")
    has_sound: bool | None = Field(description="of a clip")
    flagged_nsfw: bool = Field(description="the service flagged it as not safe for work")
    parents: list[Sha256] = Field(description="sha256 of everything that it was made from, in the order sent")


class StagePart(_Part):
    """One stage of one brief."""

    stage: Literal["edit", "compose", "video"] = Field(description="which")
    model: str = Field(description="the model's id")
    outcome: Outcome = Field(description="as in `cost.csv`")
    reason: str = Field(description="why it was generated, cached or held, by the plan")
    error: str | None = Field(description="why there is nothing, where there is nothing")
    notes: list[str] = Field(description="where what came is not what was asked for")
    prompt: str = Field(description="as sent")
    request: dict[str, Any] = Field(description="every parameter as sent, the inputs aside")
    inputs: list[InputPart] = Field(description="in the order sent")
    prediction_id: str | None = Field(description="of the prediction that made the assets")
    generation_key: Sha256 | None = Field(
        description="names equal work; null where the stage before left it without its pictures"
    )
    quantity: Number = Field(description="pictures, or billed seconds")
    unit: Literal["image", "second"] = Field(description="of `quantity`")
    unit_price_usd: Dollars = Field(description="by the price list")
    estimated_usd: Dollars = Field(description="as in `cost.csv`")
    charged_usd: Dollars = Field(description="as in `cost.csv`: after refunds")
    refunded_usd: Dollars = Field(description="what the billing record shows as given back")
    saved_usd: Dollars = Field(description="as in `cost.csv`")
    started_at: datetime | None = Field(description="when the stage began; null where it never did")
    ended_at: datetime | None = Field(
        description="when its assets were kept, or when it had failed or was held"
    )
    latency: LatencyPart = Field(description="how long each step took")
    attempts: list[AttemptPart] = Field(description="those that this run accounts for")
    assets: list[AssetPart] = Field(description="what came of it, in the service's order")


class BriefPart(_Part):
    """One brief: a row of the CSV, or one of the variants that a row makes."""

    brief: str = Field(description="its id; a variant's ends in what tells it apart")
    line: int = Field(description="where its row begins in the CSV, as an editor counts")
    row: dict[str, str] = Field(description="the row as read, by column; variants of a row share it")
    take: int = Field(description="which variation of otherwise equal work was asked for")
    status: Literal["done", "failed", "held"] = Field(description="what became of it")
    error: str | None = Field(description="why it is not done")
    notes: list[str] = Field(description="remarks about its references")
    charged_usd: Dollars = Field(description="the sum of its stages")
    stages: list[StagePart] = Field(description="those it has, in the order edit, compose, video")


class Manifest(_Part):
    """What made what in one run: enough to draw the graph of its assets again, and to repeat it."""

    schema_: Literal[1] = Field(alias="schema", description="the version of this layout, 1")
    run: str = Field(description="the run's id")
    provider: Literal["wavespeed", "simulator"] = Field(description="who did the work")
    service: str = Field(description="the API's origin, or `simulator` for the built-in one")
    campaign: CampaignPart = Field(description="name, path, sha256 and columns of the CSV")
    started_at: datetime = Field(description="when the run began")
    ended_at: datetime = Field(description="when it ended")
    seconds: Seconds = Field(description="how long it took")
    exit_status: int = Field(description="how the command ended")
    budget_usd: Dollars | None = Field(description="the cap of `--budget`; null where there was none")
    flow_run_id: str | None = Field(description="the id of Prefect's flow run")
    versions: dict[str, str] = Field(description="of Python, this program, and the libraries that matter")
    price_list: PriceListPart = Field(description="the price list: name, date, sha256 and rows")
    limits: LimitsPart | None = Field(description="the account's limits, as the run kept them")
    notes: list[str] = Field(description="remarks that are worth reading")
    briefs: list[BriefPart] = Field(description="each brief with its stages, in the campaign's order")


PARTS: dict[str, type[BaseModel]] = {
    "The run": Manifest,
    "campaign": CampaignPart,
    "price_list": PriceListPart,
    "limits": LimitsPart,
    "briefs": BriefPart,
    "briefs[].stages": StagePart,
    "briefs[].stages[].inputs": InputPart,
    "briefs[].stages[].latency": LatencyPart,
    "briefs[].stages[].attempts": AttemptPart,
    "briefs[].stages[].assets": AssetPart,
}


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file."""
    schema = Manifest.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "manifest.json"}


def manifest_tables() -> str:
    """Markdown: a section for each part of the file, with its keys and what they mean."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for place, part in PARTS.items():
        yield f"### {place if part is Manifest else f'`{place}`'}\n"
        yield f"{(part.__doc__ or '').strip()}\n"
        yield "| key | type | meaning |"
        yield "|---|---|---|"
        schema = part.model_json_schema(by_alias=True)
        for name, field in schema["properties"].items():
            yield f"| `{name}` | {_type(field)} | {field['description']} |"
        yield ""


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return "text" if schema["$ref"].endswith("Outcome") else "object"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return " or ".join(f"`{value}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "string":
        return _text_type(schema)
    kind = str(schema["type"])
    return {"integer": "whole number", "boolean": "true or false"}.get(kind, kind)


def _text_type(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "moment"
    pattern = schema.get("pattern", "")
    known = {_pattern(Dollars): "dollars", _pattern(Number): "decimal", _pattern(Sha256): "sha256"}
    return known.get(pattern, "text")


def _pattern(annotated: Any) -> str:
    pattern: str = TypeAdapter[Any](annotated).json_schema()["pattern"]
    return pattern
