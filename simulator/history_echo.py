"""What the history shows of what was sent: the same, or what such services were seen to make of it."""

import html
from typing import Any

from simulator.catalogue import MODELS
from simulator.media import rewritten
from simulator.records import Prediction
from simulator.rendering.sizes import picture_size
from simulator.switches import Switches

_OTHER_QUOTES = str.maketrans(
    {
        '"': "\N{RIGHT DOUBLE QUOTATION MARK}",
        "'": "\N{RIGHT SINGLE QUOTATION MARK}",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    }
)
_READABLE_CHARACTERS = 4


def shown_inputs(prediction: Prediction, switches: Switches) -> dict[str, Any]:
    """Keys as sent, fewer of them perhaps, and values as the switches make them."""
    shown = dict(prediction.input)
    match switches.history_inputs_shown:
        case "required":
            needed = MODELS[prediction.model].required
            shown = {key: value for key, value in shown.items() if key in needed}
        case "prompt":
            shown = {key: value for key, value in shown.items() if key == "prompt"}
        case "first_picture":
            shown = {key: value[:1] if isinstance(value, list) else value for key, value in shown.items()}
    if isinstance(prompt := shown.get("prompt"), str):
        shown["prompt"] = _prompt(prompt, switches)
    if switches.history_aspect_ratio == "pixels" and shown.get("aspect_ratio", "auto") != "auto":
        width, height = picture_size(shown["aspect_ratio"], prediction.parameters["resolution"])
        shown["aspect_ratio"] = f"{width}x{height}"
    if switches.history_urls == "rewritten":
        shown = {key: _rewritten(value) for key, value in shown.items()}
    return shown


def _prompt(prompt: str, switches: Switches) -> str:
    match switches.history_prompts:
        case "cut":
            return prompt[: switches.history_prompt_characters]
        case "masked":
            return prompt[:_READABLE_CHARACTERS] + "*" * len(prompt[_READABLE_CHARACTERS:])
        case "html_escaped":
            return html.escape(prompt)
        case "requoted":
            return prompt.translate(_OTHER_QUOTES)
        case "enhanced":
            return (
                f"A professional photograph. {prompt.strip()} Highly detailed, balanced light, sharp focus."
            )
    return prompt


def _rewritten(value: Any) -> Any:
    if isinstance(value, list):
        return [_rewritten(each) for each in value]
    return rewritten(value) if isinstance(value, str) else value
