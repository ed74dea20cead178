"""How the history of this simulated service may show less than there is, or other than it was."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HistorySwitches(BaseModel):
    """What POST /predictions shows, and which of it; results by id are true whatever stands here.

    Seconds are real time. A share of the predictions is the same one with every look.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Where items show what was sent: only when asked to, always under one of two keys, or never.
    history_input: Literal["on_request", "input", "inputs", "none"] = "on_request"
    include_inputs: Literal["accepted", "refused"] = "accepted"  # "refused": asking for that is a 400
    history_urls: Literal["as_sent", "rewritten"] = "as_sent"  # echoed URLs of uploads under another address
    history_prompts: Literal["as_sent", "cut", "masked", "html_escaped", "requoted", "enhanced"] = "as_sent"
    history_prompt_characters: int = Field(default=200, ge=0)  # where prompts are cut
    history_aspect_ratio: Literal["as_sent", "pixels"] = "as_sent"  # "pixels": 1360x768 instead of 16:9
    history_inputs_shown: Literal["all", "required", "prompt", "first_picture"] = "all"

    history_lag_seconds: float = Field(default=0.0, ge=0)  # so long after its acceptance it is not shown
    history_hidden_share: float = Field(default=0.0, ge=0, le=1)  # 1: all, as to another account's key
    history_hidden_seed: int = 0  # which of them are hidden
    history_hides_prompt: str = ""  # what has this in its prompt is hidden; nothing, where this is empty

    history_models: Literal["as_sent", "other_spelling"] = "as_sent"  # how items name their model
    history_model_filter: Literal["as_sent", "other_spelling", "ignored"] = (
        "as_sent"  # what ``model`` goes by
    )
    history_time_filter: Literal["honoured", "ignored"] = "honoured"  # created_after and created_before
    history_zone_hours: float = Field(
        default=0.0, ge=-14, le=14
    )  # ahead of UTC: read and shown without a zone
    history_created_at: Literal["as_is", "zoneless", "zero", "far_off", "missing"] = "as_is"
    history_clock_skew_seconds: float = 0.0  # how far the history's clock is ahead of the service's

    history_order: Literal["newest_first", "oldest_first", "shuffled"] = (
        "newest_first"  # unless ``sort`` says
    )
    history_page: Literal["items", "list", "records", "unknown", "bare"] = "items"  # where a page's items are
    history_id: Literal["id", "uuid"] = "id"  # under which key items have it
    history_unreadable: Literal["none", "string", "null", "without_id", "without_model"] = "none"
    history_unreadable_share: float = Field(default=1.0, ge=0, le=1)  # of the items, if any are
    history_empty_page: Literal["list", "null", "no_data", "total"] = "list"
    history_largest_page: int = Field(default=100, ge=1, le=100)  # whatever page_size asks for
    history_most_pages: int = Field(default=0, ge=0)  # pages after these are empty; 0: there is no bound
